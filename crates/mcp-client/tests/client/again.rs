//! The next run: what was kept is used for whom it belongs to, and stands in nobody's way.

use std::{
    collections::VecDeque,
    fs,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{
        StatusCode,
        header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE},
    },
    response::{Html, IntoResponse, Response},
    routing::{any, get, post},
};
use mcp_client::{Approval, Cache, Fault, Session, Settings, Step};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{Witness, World, cached, client, connect, own_name, serve};

type Pairs = Query<std::collections::HashMap<String, String>>;

/// A server and its authorization server, which approves without a page and can be told what to do next.
#[derive(Clone, Default)]
struct Lawful(Arc<Mutex<Next>>);

#[derive(Default)]
struct Next {
    origin: String,
    /// Named by the resource, before the origin.
    others: Vec<String>,
    /// The only token that is good.
    good: String,
    /// What the token endpoint says, before it gives the good token.
    answers: VecDeque<Response>,
    /// What the authorization endpoint knows; all of it, if none.
    scopes: Option<Vec<&'static str>>,
    /// What is granted whatever is asked for.
    default: &'static str,
    /// The server wants this, too.
    wants: Option<&'static str>,
}

impl Lawful {
    async fn start() -> Self {
        let lawful = Self::default();
        lawful.next().good = "t1".to_owned();
        let app = Router::new()
            .route("/mcp", any(mcp))
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(async || (StatusCode::CREATED, Json(json!({ "client_id": "registered" })))))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(lawful.clone());
        let origin = serve(|_| app).await;
        lawful.next().origin = origin;
        lawful
    }

    fn next(&self) -> std::sync::MutexGuard<'_, Next> {
        self.0.lock().unwrap()
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.next().origin)
    }

    fn client(&self, home: &TempDir, set: impl FnOnce(&mut Settings)) -> (Session, Arc<Witness>) {
        client(&self.url(), |settings| {
            settings.approval = Approval::Headless;
            cached(home)(settings);
            set(settings);
        })
    }
}

async fn mcp(State(lawful): State<Lawful>, request: Request) -> Response {
    let next = lawful.next();
    let authorized = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    if authorized != Some(format!("Bearer {}", next.good)) {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer scope=\"read\"")]).into_response();
    }
    match next.wants {
        Some(scope) => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
        }
        None => Json(json!({ "jsonrpc": "2.0", "id": "first", "result": {} })).into_response(),
    }
}

async fn resource(State(lawful): State<Lawful>) -> Json<Value> {
    let next = lawful.next();
    let servers: Vec<_> = next.others.iter().chain([&next.origin]).collect();
    Json(json!({ "resource": format!("{}/mcp", next.origin), "authorization_servers": servers }))
}

async fn metadata(State(lawful): State<Lawful>) -> Json<Value> {
    let origin = lawful.next().origin.clone();
    Json(json!({
        "issuer": origin, "authorization_endpoint": format!("{origin}/authorize"), "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"), "code_challenge_methods_supported": ["S256"],
    }))
}

async fn authorize(State(lawful): State<Lawful>, Query(query): Pairs) -> Response {
    let next = lawful.next();
    let known = |scope: &str| next.scopes.as_ref().is_none_or(|known| known.contains(&scope));
    let asked = query.get("scope").map_or("", String::as_str);
    let what = if asked.split(' ').all(known) { "code=c" } else { "error=invalid_scope" };
    let to = format!("{}?{what}&state={}", query["redirect_uri"], query["state"]);
    (StatusCode::FOUND, [(LOCATION, to)]).into_response()
}

async fn token(State(lawful): State<Lawful>) -> Response {
    let mut next = lawful.next();
    if let Some(answer) = next.answers.pop_front() {
        return answer;
    }
    let mut token =
        json!({ "access_token": next.good, "token_type": "Bearer", "expires_in": 600, "refresh_token": "r" });
    if !next.default.is_empty() {
        token["scope"] = json!(next.default);
    }
    Json(token).into_response()
}

fn error(status: u16, error: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "error": error }))).into_response()
}

fn page(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Html("<h1>No</h1>")).into_response()
}

#[tokio::test]
async fn a_refused_refresh_is_a_login_whatever_the_refusal_looks_like() {
    for refusal in [page(400), page(403), page(401), error(400, "invalid_grant"), error(400, "x"), page(200)] {
        let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
        lawful.client(&home, |_| ()).0.open().await.unwrap();
        lawful.next().good = "t2".to_owned();
        lawful.next().answers.push_back(refusal);
        let (session, witness) = lawful.client(&home, |_| ());
        session.open().await.unwrap();
        assert_eq!((witness.count(Step::Refresh), witness.count(Step::Authorization)), (1, 1));
    }
}

#[tokio::test]
async fn a_refresh_that_fails_for_now_costs_no_token_and_no_login() {
    for failure in [error(503, "temporarily_unavailable"), error(400, "temporarily_unavailable"), page(502), page(429)]
    {
        let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
        lawful.client(&home, |_| ()).0.open().await.unwrap();
        lawful.next().good = "t2".to_owned();
        lawful.next().answers.push_back(failure);
        let (session, witness) = lawful.client(&home, |_| ());
        let failed = session.open().await.unwrap_err();
        assert!(failed.step == Step::Refresh && failed.advice().unwrap().contains("later"), "{failed}");
        session.open().await.unwrap();
        assert_eq!((witness.count(Step::Refresh), witness.count(Step::Authorization)), (2, 0));
    }
}

#[tokio::test]
async fn what_was_asked_for_once_is_not_asked_for_for_ever() {
    let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
    lawful.next().wants = Some("old");
    let (session, witness) = lawful.client(&home, |_| ());
    assert!(matches!(session.open().await.unwrap_err().fault, Fault::StillInsufficient { .. }));
    assert_eq!(witness.sent(Step::Authorization, "scope"), ["read", "old read"]);
    // That scope is gone: it is asked for once more, as it was agreed to, and then without it.
    {
        let mut next = lawful.next();
        (next.good, next.wants, next.scopes) = ("t2".to_owned(), None, Some(vec!["read"]));
        next.answers.push_back(error(400, "invalid_grant"));
    }
    let (session, witness) = lawful.client(&home, |_| ());
    session.open().await.unwrap();
    assert_eq!(witness.sent(Step::Authorization, "scope"), ["old read", "read"]);
}

#[tokio::test]
async fn another_client_asks_for_nothing_of_the_firsts_and_leaves_it_alone() {
    let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
    lawful.next().wants = Some("write");
    lawful.client(&home, |_| ()).0.open().await.unwrap_err();
    lawful.next().wants = None;
    let (session, witness) = lawful.client(&home, |settings| settings.client.given = Some(("given".into(), None)));
    session.open().await.unwrap();
    assert_eq!(witness.sent(Step::Authorization, "scope"), ["read"]);
    let origin = lawful.next().origin.clone();
    let (session, witness) = lawful.client(&home, |settings| own_name(settings, "given", "s3cret", &origin));
    session.open().await.unwrap();
    assert_eq!(witness.sent(Step::ClientCredentials, "scope"), ["read"]);
    // Each has its own still.
    for given in [None, Some(("given".to_owned(), None))] {
        let (session, witness) = lawful.client(&home, |settings| settings.client.given = given);
        session.open().await.unwrap();
        assert_eq!(witness.exchanges.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn of_several_authorization_servers_the_one_that_knows_the_client_is_asked() {
    let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
    lawful.client(&home, |_| ()).0.open().await.unwrap();
    let origin = {
        let mut next = lawful.next();
        next.good = "t2".to_owned();
        // Nobody is there.
        next.others.push("http://localhost:1".to_owned());
        next.origin.clone()
    };
    let (session, witness) = lawful.client(&home, |_| ());
    session.open().await.unwrap();
    assert_eq!((witness.count(Step::Refresh), witness.count(Step::Authorization)), (1, 0));
    // And the one that was named.
    let empty = tempfile::tempdir().unwrap();
    let (session, _) = lawful.client(&empty, |settings| own_name(settings, "me", "s3cret", &origin));
    session.open().await.unwrap();
    // Otherwise the first.
    let (session, _) = lawful.client(&empty, |_| ());
    assert!(matches!(session.open().await.unwrap_err().fault, Fault::Unreachable(_)));
}

#[tokio::test]
async fn a_step_up_asks_for_what_was_granted_by_default_too() {
    let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
    {
        let mut next = lawful.next();
        (next.default, next.wants) = ("default read", Some("write"));
    }
    let (session, witness) = lawful.client(&home, |_| ());
    session.open().await.unwrap_err();
    assert_eq!(witness.sent(Step::Authorization, "scope"), ["read", "default read write"]);
}

#[tokio::test]
async fn a_token_that_another_process_has_renewed_is_not_renewed_again() {
    let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
    lawful.client(&home, |_| ()).0.open().await.unwrap();
    let ((one, _), (other, witness)) = (lawful.client(&home, |_| ()), lawful.client(&home, |_| ()));
    lawful.next().good = "t2".to_owned();
    one.open().await.unwrap();
    // A refresh token is good once: the other's would be refused now, and all tokens with it (RFC 9700 §4.14.2).
    lawful.next().answers.push_back(error(400, "invalid_grant"));
    other.open().await.unwrap();
    assert_eq!((witness.count(Step::Refresh), witness.count(Step::Authorization)), (0, 0));
}

#[tokio::test]
async fn a_port_that_is_named_is_the_one() {
    let (lawful, home) = (Lawful::start().await, tempfile::tempdir().unwrap());
    lawful.client(&home, |_| ()).0.open().await.unwrap();
    // Another login, since there is nothing to refresh with.
    lawful.next().good = "t2".to_owned();
    lawful.next().answers.push_back(error(400, "invalid_grant"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (session, witness) = lawful.client(&home, |settings| settings.callback_port = port);
    session.open().await.unwrap();
    assert_eq!(witness.sent(Step::Authorization, "redirect_uri"), [format!("http://127.0.0.1:{port}/callback")]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_was_there_stays_as_it_is() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (world, home) = (World::start().await, tempfile::tempdir().unwrap());
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (session, _) = client(&world.url, |settings| settings.cache = Some(Cache::at(home.path())));
    connect(&session).await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(home.path()), 0o755);
    assert_eq!(mode(&Cache::at(home.path()).file(&world.url, None)), 0o600);
}
