//! The tool as people run it: it finds what an unprotected server lets through, and it fails when its word would mean
//! nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::Path, process::Output, sync::LazyLock};

use axum::{
    Json, Router,
    extract::RawQuery,
    http::{HeaderMap, StatusCode},
    response::Html,
    routing::{any, get, post},
};
use mcp_attack::authorization_server::Needs;
use mcp_auth::keys::{Algorithm, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command};

static KEYS: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    SigningKey::create(directory.path(), Algorithm::ES256).unwrap();
    directory
});

async fn spawn(app: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://localhost:{}/mcp", listener.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn attack(url: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-attack"));
    command.env_remove("MCP_TOKEN").args(["--url", url]).args(args).output().await.unwrap()
}

fn key_dir() -> [&'static str; 2] {
    let path: &Path = KEYS.path();
    ["--key-dir", path.to_str().unwrap()]
}

fn row<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_unprotected_server_lets_everything_through() {
    let url = spawn(Router::new().route("/mcp", any(async || "{}"))).await;
    let output = attack(&url, &[&key_dir()[..], &["--format", "json"]].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for id in ["no-credential", "alg-none", "jku", "exp-missing", "aud-missing", "two-headers-good-first", "method-get"]
    {
        assert_eq!(row(&report, id)["verdict"], "let-through", "{id}");
        assert_eq!(row(&report, id)["status"], 200, "{id}");
    }
    // What is not HTTP, and what is another path, even this one refuses.
    for (id, status) in [("nul-behind", json!(400)), ("path-case", json!(404))] {
        assert_eq!((&row(&report, id)["verdict"], &row(&report, id)["status"]), (&json!("refused"), &status), "{id}");
    }
    assert_eq!(row(&report, "rs256-by-ps256-key")["verdict"], "not-run");
    assert_eq!(row(&report, "rs256-by-ps256-key")["did"], "needs a signing key for PS256");
    let counts = report["counts"].as_object().unwrap().values();
    let total: u64 = counts.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(total, report["rows"].as_array().unwrap().len() as u64);

    let table = text(&attack(&url, &key_dir()).await.stdout);
    assert!(table.contains("\n! alg-none "), "{table}");
    let last = table.lines().last().unwrap();
    let number = |name: &str| report["counts"][name].as_u64().unwrap();
    let expected = format!(
        "{} refused, {} let through, 0 errors, {} not run",
        number("refused"),
        number("let_through"),
        number("not_run")
    );
    assert_eq!(last, expected);
}

#[tokio::test]
async fn a_token_alone_runs_what_it_can() {
    const TOKEN: &str = "the-only-good-token";
    let guarded = async |headers: HeaderMap| {
        let mut values = headers.get_all("authorization").iter();
        let good = values.next().is_some_and(|value| value == &format!("Bearer {TOKEN}")) && values.next().is_none();
        if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let url = spawn(Router::new().route("/mcp", post(guarded))).await;
    let output = attack(&url, &["--token", TOKEN, "--format", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(row(&report, "exp-yesterday")["did"], "needs a signing key");
    assert_eq!(row(&report, "payload-changed")["did"], "needs a valid token that is a JWT");
    assert_eq!(row(&report, "hs256-public-pem")["did"], "needs the public key");
    assert!(report["counts"]["not_run"].as_u64().unwrap() > 100);
    assert!(report["counts"]["refused"].as_u64().unwrap() > 80);
}

#[tokio::test]
async fn a_server_that_falls_over_is_no_refusal() {
    // Good only for the control: whatever is longer is a failure of the server's.
    let fails = async |headers: HeaderMap| {
        let values: Vec<_> = headers.get_all("authorization").iter().collect();
        match values.as_slice() {
            [one] if *one == "Bearer t" => StatusCode::OK,
            [] => StatusCode::UNAUTHORIZED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    };
    let url = spawn(Router::new().route("/mcp", post(fails))).await;
    let output = attack(&url, &["--token", "t", "--format", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(report["counts"]["let_through"], 0);
    assert_eq!(
        (&row(&report, "garbage")["verdict"], &row(&report, "garbage")["status"]),
        (&json!("error"), &json!(500))
    );
}

#[tokio::test]
async fn who_follows_a_url_is_caught_whatever_it_answers() {
    // Asks the server that `jku` names, and refuses all the same.
    let led = async |headers: HeaderMap| {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let header = token.and_then(|token| jsonwebtoken::decode_header(token).ok());
        if let Some(url) = header.and_then(|header| header.jku) {
            let _ = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await;
        }
        let one = headers.get_all("authorization").iter().count() == 1;
        if one && token == Some("t") { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let url = spawn(Router::new().route("/mcp", post(led))).await;
    let output = attack(&url, &["--token", "t", "--format", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for id in ["jku", "jku-our-kid", "jku-userinfo", "jku-contains-issuer"] {
        assert_eq!(row(&report, id)["verdict"], "let-through", "{id}");
        assert_eq!(row(&report, id)["did"], "401; asked the attacker's server", "{id}");
    }
    assert_eq!(row(&report, "x5u")["verdict"], "refused");
    assert_eq!(report["counts"]["let_through"], 4);
    // Known and excused, one by one.
    let allow = ["jku", "jku-our-kid", "jku-userinfo", "jku-contains-issuer"].map(|id| ["--allow", id]).concat();
    let excused = attack(&url, &[&["--token", "t"][..], &allow].concat()).await;
    assert_eq!(excused.status.code(), Some(0), "{}", text(&excused.stdout));
}

#[tokio::test]
async fn a_server_that_accepts_nothing_says_nothing() {
    let url = spawn(Router::new().route("/mcp", any(async || StatusCode::UNAUTHORIZED))).await;
    let output = attack(&url, &key_dir()).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("the good token is refused (401)"), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn what_is_asked_for_wrongly() {
    for (args, said) in [
        (&["--url", "http://192.0.2.1:9000/mcp", "--token", "t"][..], "--i-own-this-server"),
        (&["--url", "http://localhost.evil.example/mcp", "--token", "t"], "--i-own-this-server"),
        (&["--url", "http://localhost:1/mcp", "--token", "t"], "cannot connect"),
        (&["--url", "http://localhost:1/mcp"], "there is no valid token"),
        (&["--url", "ftp://localhost/mcp", "--token", "t"], "no http or https URL"),
        (&["--url", "http://localhost:1/mcp", "--token", "t", "--allow", "nonsense"], "there is no such row"),
        (&["--url", "http://localhost:1/mcp", "--key-dir", "/nonexistent"], "/nonexistent"),
        (&["--token", "t"], "--url"),
        (&["--authorization-server", "https://idp.example"], "--i-own-this-server"),
        (
            &["--authorization-server", "http://localhost:1", "--resource", "https://mcp.example.com/mcp"],
            "--i-own-this-server",
        ),
        (&["--authorization-server", "http://localhost:1"], "there is no authorization server metadata"),
        (&["--authorization-server", "localhost:1"], "no http or https URL"),
        (&["--authorization-server", "http://localhost:1", "--allow", "alg-none"], "there is no such row"),
        (&["--authorization-server", "http://localhost:1", "--client-id", "x"], "--redirect-uri"),
        (&["--authorization-server", "http://localhost:1", "--key-dir", "t"], "cannot be used with"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-attack")).env_remove("MCP_TOKEN").args(args).output().await;
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(said), "{args:?}: {}", text(&output.stderr));
    }
}

async fn attack_issuer(issuer: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-attack"));
    command.args(["--authorization-server", issuer, "--format", "json"]).args(args).output().await.unwrap()
}

/// It has metadata, a page for everybody who knows the client, and nothing else.
#[tokio::test]
async fn an_authorization_server_with_little_to_try() {
    let page = async |RawQuery(query): RawQuery| {
        let known = query.unwrap_or_default().contains("client_id=known&");
        let page = "<form><input type=password name=p></form>";
        if known { (StatusCode::OK, Html(page)) } else { (StatusCode::BAD_REQUEST, Html("no")) }
    };
    let metadata = async |headers: HeaderMap| {
        let issuer = format!("http://{}", headers["host"].to_str().unwrap());
        Json(json!({ "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize") }))
    };
    let app = Router::new().route("/.well-known/openid-configuration", get(metadata)).route("/authorize", get(page));
    let issuer = spawn(app).await.replace("/mcp", "");

    // Nobody can register.
    let output = attack_issuer(&issuer, &[]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(row(&report, "meta-issuer")["verdict"], "refused");
    assert_eq!(row(&report, "meta-host")["verdict"], "let-through");
    for (id, why) in [
        ("pkce-missing", "there is no client: the metadata has no registration_endpoint"),
        ("page-framed", "there is no client: the metadata has no registration_endpoint"),
        ("register-http", "the metadata has no registration_endpoint"),
        ("introspect-anonymous", "the metadata has no introspection_endpoint"),
        ("document-http", "the server takes no client ID metadata documents"),
        ("resource-open", "no resource was named"),
    ] {
        assert_eq!((&row(&report, id)["verdict"], &row(&report, id)["did"]), (&json!("not-run"), &json!(why)), "{id}");
    }
    let rows = mcp_attack::authorization_server::rows();
    let nothing = rows.iter().filter(|row| row.needs == Needs::Nothing).count() as u64;
    let run = report["rows"].as_array().unwrap().iter().filter(|row| row["verdict"] != "not-run").count() as u64;
    assert!(run <= nothing, "{run} of {nothing}");

    // With a client that somebody has registered.
    let known = ["--client-id", "known", "--redirect-uri", "http://127.0.0.1:1/callback"];
    let output = attack_issuer(&issuer, &known).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for id in ["pkce-missing", "redirect-unregistered", "response-token", "page-framed", "page-referrer"] {
        assert_eq!(row(&report, id)["verdict"], "let-through", "{id}");
    }
    assert_eq!(row(&report, "authorize-unknown-client")["verdict"], "refused");
    assert_eq!(row(&report, "token-code")["did"], "the metadata has no token_endpoint");
    let found = report["rows"].as_array().unwrap().iter().filter(|row| row["verdict"] == "let-through");
    let allow: Vec<&str> = found.flat_map(|row| ["--allow", row["id"].as_str().unwrap()]).collect();
    let excused = attack_issuer(&issuer, &[&known[..], &allow].concat()).await;
    assert_eq!(excused.status.code(), Some(0), "{}", text(&excused.stdout));
}

/// An endpoint on another host is not ours to attack, whatever the metadata says.
#[tokio::test]
async fn what_is_on_another_host_is_left_alone() {
    let metadata = async |headers: HeaderMap| {
        let issuer = format!("http://{}", headers["host"].to_str().unwrap());
        let other = "https://idp.example";
        Json(json!({
            "issuer": issuer, "authorization_endpoint": format!("{other}/authorize"),
            "registration_endpoint": format!("{other}/register"), "jwks_uri": format!("{other}/jwks"),
        }))
    };
    let issuer = spawn(Router::new().route("/.well-known/oauth-authorization-server", get(metadata))).await;
    let output = attack_issuer(&issuer.replace("/mcp", ""), &[]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row(&report, "register-http")["did"], "registration_endpoint is on another host");
    assert_eq!(row(&report, "jwks-private")["did"], "jwks_uri is on another host");
}

#[tokio::test]
async fn the_list() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-attack")).arg("--list").output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let rows = mcp_attack::rows().len() + mcp_attack::authorization_server::rows().len();
    assert_eq!(text(&output.stdout).lines().count(), rows);
}
