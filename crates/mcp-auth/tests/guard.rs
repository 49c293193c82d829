//! The guard around a real router on a real socket: who gets in, what the others are told, and what the audit says.
#![cfg(feature = "signing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    http::{HeaderMap, Method, StatusCode},
    routing::post,
};
use mcp_auth::{
    Challenge, Guard, JwtVerifier, Principal, ProtectedResource, VerifiedTokens, cors,
    keys::{Algorithm, KeyDirectory, SigningKey, make_pair},
};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tracing::subscriber::DefaultGuard;

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

static KEY: LazyLock<SigningKey> = LazyLock::new(key);

fn key() -> SigningKey {
    SigningKey::from_pem(&make_pair(Algorithm::EdDSA).unwrap().0, Algorithm::EdDSA).unwrap()
}

fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 600, "client_id": "agent",
        "preferred_username": "Alice", "scope": "mcp:read", "roles": ["user"],
    })
}

fn token() -> String {
    KEY.sign(&claims()).unwrap()
}

fn verifier() -> JwtVerifier {
    JwtVerifier::with_keys(vec![KEY.public().clone()], ISSUER, AUDIENCE)
}

/// Someone who is interested in everything, always: tracing remembers for each place in the code whether anybody is, and
/// tests that begin and end beside each other would make it forget.
static INTERESTED: LazyLock<()> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(tracing_subscriber::fmt().with_writer(io::sink).finish()).unwrap();
});

/// A server with one guarded route that tells who called it and which headers it saw, and a log of its own.
struct Server {
    url: String,
    ran: Arc<AtomicU64>,
    log: Log,
    _logging: DefaultGuard,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Server {
    async fn start<V: mcp_auth::TokenVerifier>(guard: Guard<V>) -> Self {
        LazyLock::force(&INTERESTED);
        let log = Log::default();
        let writer = log.clone();
        // For this thread, and a test's runtime has no other.
        let logging = tracing::subscriber::set_default(
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish(),
        );
        let ran = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&ran);
        let tool = async move |Extension(who): Extension<Principal>, headers: HeaderMap| {
            counter.fetch_add(1, Ordering::Relaxed);
            let credentials = ["authorization", "agent-session"].map(|name| headers.contains_key(name));
            axum::Json(json!({
                "subject": who.subject, "username": who.username, "client": who.client_id, "issuer": who.issuer,
                "scopes": who.scopes, "roles": who.roles, "name": who.claims["preferred_username"],
                "credentials": credentials,
            }))
        };
        let app = Router::new().route("/mcp", post(tool).layer(guard)).layer(cors());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, ran, log, _logging: logging }
    }

    fn request(&self, method: Method) -> RequestBuilder {
        Client::new().request(method, &self.url)
    }

    fn post(&self) -> RequestBuilder {
        self.request(Method::POST)
    }

    /// Sends, and tells what came back together with the audit events it caused.
    async fn send(&self, request: RequestBuilder) -> (Response, Vec<Value>) {
        self.log.0.lock().unwrap().clear();
        let response = request.send().await.unwrap();
        let log = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
        let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        (response, events.filter(|event| event["target"] == "mcp_auth::audit").collect())
    }

    fn ran(&self) -> u64 {
        self.ran.load(Ordering::Relaxed)
    }
}

fn challenge(response: &Response) -> &str {
    response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_good_token_gets_in_and_is_known() {
    let server = Server::start(Guard::new(VerifiedTokens::new(verifier(), 100))).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let (response, audit) =
            server.send(server.post().header("authorization", format!("{scheme} {}", token()))).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({
                "subject": "alice", "username": "Alice", "client": "agent", "issuer": ISSUER, "scopes": ["mcp:read"],
                "roles": ["user"], "name": "Alice", "credentials": [false, false],
            })
        );
        assert_eq!(audit, [] as [Value; 0], "accepted requests are audited on demand alone");
    }
    assert_eq!(server.ran(), 3);
}

#[tokio::test]
async fn a_stranger_is_told_what_is_needed_and_nothing_else() {
    let server = Server::start(Guard::new(verifier())).await;
    // A method that the route does not have, too: 401 comes before 405.
    for method in [Method::POST, Method::GET, Method::DELETE, Method::PUT] {
        let (response, audit) = server.send(server.request(method.clone())).await;
        assert_eq!((response.status(), challenge(&response)), (StatusCode::UNAUTHORIZED, "Bearer"), "{method}");
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["jsonrpc"], &body["error"]["code"]), (&json!("2.0"), &json!(401)), "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("access token"));
        let [event] = audit.as_slice() else { panic!("{audit:?}") };
        assert_eq!(event["outcome"], "refused");
        assert_eq!(event["reason"], "no token");
        assert_eq!((&event["method"], &event["path"]), (&json!(method.as_str()), &json!("/mcp")));
        assert!(event["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{event}");
    }
    let (response, _) = server.send(server.post().header("authorization", "Basic YTpi")).await;
    assert_eq!((response.status(), challenge(&response)), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert_eq!(server.ran(), 0);
}

#[tokio::test]
async fn a_bad_token_is_told_why() {
    let server = Server::start(Guard::new(VerifiedTokens::new(verifier(), 100))).await;
    let expired = {
        let mut claims = claims();
        claims["exp"] = json!(1);
        KEY.sign(&claims).unwrap()
    };
    for (bad, why, reason) in [
        (expired, "the token has expired", "expired"),
        (key().sign(&claims()).unwrap(), "the token is signed with an unknown key", "unknown key"),
        (
            "x".to_owned(),
            "the token is not a signed JWT of three parts",
            "malformed: the token is not a signed JWT of three parts",
        ),
    ] {
        let (response, audit) = server.send(server.post().bearer_auth(&bad)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let expected = format!("Bearer error=\"invalid_token\", error_description=\"{why}\"");
        assert_eq!(challenge(&response), expected);
        let body = response.text().await.unwrap();
        assert!(body.contains(why), "{body}");
        let [event] = audit.as_slice() else { panic!("{audit:?}") };
        assert_eq!(event["reason"], reason);
        // Nothing of the token, and nothing that an unproven token says.
        let (event, signature) = (event.to_string(), bad.rsplit('.').next().unwrap());
        assert!(!event.contains("alice") && (signature == "x" || !event.contains(signature)), "{event}");
    }
    assert_eq!(server.ran(), 0);
}

#[tokio::test]
async fn challenges_say_where_a_token_is_to_be_had() {
    let metadata = "http://localhost:9000/.well-known/oauth-protected-resource/mcp";
    let where_from = Challenge::new().resource_metadata(metadata).unwrap().scope("mcp:read").unwrap();
    let server = Server::start(Guard::new(verifier()).challenge(where_from)).await;
    let (response, _) = server.send(server.post()).await;
    assert_eq!(challenge(&response), format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp:read\""));
    let (response, _) = server.send(server.post().bearer_auth("x.y.z")).await;
    assert!(
        challenge(&response)
            .starts_with(&format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp:read\", error="))
    );
}

#[tokio::test]
async fn the_metadata_is_where_the_client_can_find_it() {
    let described = ProtectedResource::new(&AUDIENCE.parse().unwrap(), [ISSUER], ["mcp:read"]).unwrap();
    let guard = Guard::new(verifier()).protects(described.clone());
    let server = Server::start(guard).await;
    for (host, expected) in [
        ("localhost:9000", "http://localhost:9000"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("evil.example", "http://localhost:9000"),
    ] {
        for request in
            [server.post(), server.post().bearer_auth("x.y.z"), server.post().query(&[("access_token", "x")])]
        {
            let (response, _) = server.send(request.header("host", host)).await;
            let url = format!("resource_metadata=\"{expected}/.well-known/oauth-protected-resource/mcp\"");
            assert!(challenge(&response).contains(&url), "{host}: {response:?}");
        }
    }

    // The document itself, at both of its URLs and in the same spelling.
    let app = Router::new().merge(described.into_router()).layer(cors());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let request = Client::new().get(format!("{origin}{path}")).header("host", "127.0.0.1:9000");
        let response = request.header("origin", "http://localhost:6274").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("max-age"));
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({
                "resource": "http://127.0.0.1:9000/mcp", "authorization_servers": [ISSUER],
                "bearer_methods_supported": ["header"], "scopes_supported": ["mcp:read"],
            })
        );
    }
    let other = Client::new().get(format!("{origin}/.well-known/oauth-protected-resource/other")).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

/// As the official tutorial sets it up: the resource is the origin, and the endpoint stands at its root.
#[tokio::test]
async fn a_resource_that_is_a_bare_origin() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let resource = format!("http://localhost:{port}");
    let described = ProtectedResource::new(&resource.parse().unwrap(), [ISSUER], ["mcp:tools"]).unwrap();
    let verifier = JwtVerifier::with_keys(vec![KEY.public().clone()], ISSUER, &resource);
    let guard = Guard::new(verifier).protects(described.clone());
    let app = Router::new().route("/", post(async || "in").layer(guard)).merge(described.into_router());
    tokio::spawn(axum::serve(listener, app).into_future());

    let metadata = format!("{resource}/.well-known/oauth-protected-resource");
    let response = Client::new().post(&resource).send().await.unwrap();
    assert_eq!(challenge(&response), format!("Bearer resource_metadata=\"{metadata}\""));
    let document: Value = Client::new().get(&metadata).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["resource"], resource, "without a slash");
    let deeper = Client::new().get(format!("{metadata}/mcp")).send().await.unwrap();
    assert_eq!(deeper.status(), StatusCode::NOT_FOUND);

    for (audience, expected) in [
        (resource.clone(), StatusCode::OK),
        (format!("{resource}/"), StatusCode::OK),
        (format!("http://127.0.0.1:{port}/"), StatusCode::OK),
        (format!("{resource}//"), StatusCode::UNAUTHORIZED),
        (format!("{resource}/mcp"), StatusCode::UNAUTHORIZED),
        (format!("http://localhost:{}", port ^ 1), StatusCode::UNAUTHORIZED),
        ("http://localhost".to_owned(), StatusCode::UNAUTHORIZED),
    ] {
        let mut claims = claims();
        claims["aud"] = json!(audience);
        let response = Client::new().post(&resource).bearer_auth(KEY.sign(&claims).unwrap()).send().await.unwrap();
        assert_eq!(response.status(), expected, "{audience}");
    }
}

#[tokio::test]
async fn two_credentials_or_one_in_the_url_are_no_request() {
    let server = Server::start(Guard::new(verifier()).agent_session(true)).await;
    let good = format!("Bearer {}", token());
    for (request, why) in [
        (server.post().query(&[("access_token", token())]), "URL"),
        (server.post().query(&[("access_token", token())]).header("authorization", &good), "URL"),
        (server.post().header("authorization", &good).header("authorization", &good), "one Authorization"),
        (server.post().header("authorization", &good).header("authorization", "Bearer x"), "one Authorization"),
        (server.post().header("agent-session", token()).header("agent-session", "x"), "one agent-session"),
    ] {
        let (response, audit) = server.send(request).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(challenge(&response).starts_with("Bearer error=\"invalid_request\""), "{response:?}");
        assert!(response.text().await.unwrap().contains(why));
        assert_eq!(audit[0]["outcome"], "refused");
    }
    // In a form body it is no credential at all.
    let form = server.post().header("content-type", "application/x-www-form-urlencoded");
    let (response, _) = server.send(form.body(format!("access_token={}", token()))).await;
    assert_eq!((response.status(), challenge(&response)), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert_eq!(server.ran(), 0);
}

#[tokio::test]
async fn agent_session_where_it_is_allowed() {
    let server = Server::start(Guard::new(verifier()).agent_session(true)).await;
    let (response, _) = server.send(server.post().header("agent-session", token())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.json::<Value>().await.unwrap()["credentials"], json!([false, false]));
    // A bad Bearer is not excused by a good session.
    let (response, _) = server.send(server.post().bearer_auth("x").header("agent-session", token())).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let (response, _) = server.send(server.post().bearer_auth(token()).header("agent-session", "x")).await;
    assert_eq!(response.status(), StatusCode::OK);

    let server = Server::start(Guard::new(verifier())).await;
    let (response, _) = server.send(server.post().header("agent-session", token())).await;
    assert_eq!((response.status(), challenge(&response)), (StatusCode::UNAUTHORIZED, "Bearer"));
}

#[tokio::test]
async fn without_keys_a_token_may_be_good_and_must_wait() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Arc::new(KeyDirectory::open(directory.path()));
    let verifier = JwtVerifier::with_directory(Arc::clone(&keys), ISSUER, AUDIENCE);
    let server = Server::start(Guard::new(VerifiedTokens::new(verifier, 100))).await;
    let (response, audit) = server.send(server.post().bearer_auth(token())).await;
    assert_eq!((response.status(), challenge(&response)), (StatusCode::SERVICE_UNAVAILABLE, ""));
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(audit[0]["reason"], "no keys");
    let (response, _) = server.send(server.post()).await;
    assert_eq!((response.status(), challenge(&response)), (StatusCode::UNAUTHORIZED, "Bearer"));

    let file = directory.path().join("a.jwk.json");
    std::fs::write(&file, KEY.public().jwk().to_string()).unwrap();
    keys.refresh();
    let (response, _) = server.send(server.post().bearer_auth(token())).await;
    assert_eq!(response.status(), StatusCode::OK);
    // And a key that is gone takes the remembered tokens along.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(directory.path().join("b.jwk.json"), key().public().jwk().to_string()).unwrap();
    keys.refresh();
    let (response, audit) = server.send(server.post().bearer_auth(token())).await;
    assert_eq!((response.status(), &audit[0]["reason"]), (StatusCode::UNAUTHORIZED, &json!("unknown key")));
}

#[tokio::test]
async fn accepted_requests_are_audited_on_demand() {
    let server = Server::start(Guard::new(verifier()).audit_accepted(true)).await;
    let token = token();
    let (response, audit) = server.send(server.post().bearer_auth(&token)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let [event] = audit.as_slice() else { panic!("{audit:?}") };
    for (field, expected) in [
        ("outcome", "accepted"),
        ("subject", "alice"),
        ("issuer", ISSUER),
        ("client", "agent"),
        ("kid", KEY.public().kid()),
        ("method", "POST"),
        ("path", "/mcp"),
    ] {
        assert_eq!(event[field], expected, "{event}");
    }
    assert!(!event.to_string().contains(token.rsplit('.').next().unwrap()));
}

#[tokio::test]
async fn a_page_may_ask_and_see_why_it_is_refused() {
    let server = Server::start(Guard::new(verifier())).await;
    let preflight = server
        .request(Method::OPTIONS)
        .header("origin", "http://localhost:6274")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name",
        );
    let (response, audit) = server.send(preflight).await;
    assert_eq!((response.status(), audit.len()), (StatusCode::OK, 0), "no guard asks a preflight for a token");
    let list = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    for header in ["authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"]
    {
        assert!(list("access-control-allow-headers").contains(header), "{header}");
    }
    let (response, _) = server.send(server.post().header("origin", "http://localhost:6274")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(response.headers()["access-control-expose-headers"].to_str().unwrap().contains("www-authenticate"));
}

/// What the guard is for: the same route without it lets everybody in.
#[tokio::test]
async fn without_the_guard_everybody_gets_in() {
    let app = Router::new().route("/mcp", post(async || "ran"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    assert_eq!(Client::new().post(url).send().await.unwrap().text().await.unwrap(), "ran");
}

/// Python's httpx sends head and body as two writes. A server that answers after the first closes the connection behind
/// its answer, now and then, and whatever the client sends next on it is lost.
#[tokio::test]
async fn a_refused_client_keeps_its_connection() {
    let server = Server::start(Guard::new(verifier())).await;
    let address = server.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let request = |body: &str, credential: &str| {
        format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\n{credential}content-length: {}\r\n\r\n", body.len())
    };
    let body = "x".repeat(300);
    for round in 0..100 {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        for (credential, status) in [("", "401"), ("authorization: Bearer bad\r\n", "401"), ("", "401")] {
            connection.write_all(request(&body, credential).as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            connection.write_all(body.as_bytes()).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
            let mut answer = vec![0; 4096];
            let read = connection.read(&mut answer).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
            let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "round {round}: {answer:?}");
        }
    }
    // Nobody waits for a body that does not come, or has no end.
    let mut connection = TcpStream::connect(&address).await.unwrap();
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-length: 10000000\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(10), connection.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 401 "));
}
