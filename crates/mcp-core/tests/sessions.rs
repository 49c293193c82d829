//! `Mcp-Session-Id` for legacy clients, when the server wants it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Request, middleware::Next};
use common::{Answer, Post, endpoint, spawn, spawn_router};
use mcp_core::Caller;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

async fn open(address: SocketAddr) -> String {
    let answer = Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" })).send(address).await;
    answer.header("mcp-session-id").expect("initialize gives a session").to_owned()
}

fn ping(session: &str) -> Post {
    Post::legacy("ping", json!({})).header("Mcp-Session-Id", session)
}

fn delete(session: &str) -> Post {
    Post::new("").line("DELETE /mcp HTTP/1.1").header("Mcp-Session-Id", session)
}

fn assert_refused(answer: &Answer, status: u16, id: Value) {
    let body = answer.json();
    assert_eq!((answer.status, &body["error"]["code"], &body["id"]), (status, &json!(-32600), &id), "{body}");
}

#[tokio::test]
async fn a_session_lives_from_initialize_to_delete() {
    let address = spawn(endpoint().legacy_sessions()).await;
    let session = open(address).await;
    assert!(session.bytes().all(|b| b.is_ascii_graphic()));
    assert_ne!(session, open(address).await);

    assert_eq!(ping(&session).send(address).await.status, 200);
    let initialized = Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(initialized.clone().header("Mcp-Session-Id", &session).send(address).await.status, 202);
    assert_refused(&initialized.send(address).await, 400, Value::Null);
    assert_refused(&Post::legacy("ping", json!({})).send(address).await, 400, json!(1));
    assert_refused(&ping("made-up").send(address).await, 404, json!(1));

    assert_eq!(delete(&session).send(address).await.status, 204);
    assert_refused(&ping(&session).send(address).await, 404, json!(1));
    assert_refused(&delete(&session).send(address).await, 404, Value::Null);
    assert_refused(&Post::new("").line("DELETE /mcp HTTP/1.1").send(address).await, 400, Value::Null);
    let get = Post::new("").line("GET /mcp HTTP/1.1").send(address).await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST, DELETE")));
}

#[tokio::test]
async fn a_failed_initialize_opens_nothing() {
    let address = spawn(endpoint().legacy_sessions()).await;
    let answer = Post::legacy("initialize", json!({})).send(address).await;
    assert_eq!((answer.header("mcp-session-id"), &answer.json()["error"]["code"]), (None, &json!(-32602)));
}

#[tokio::test]
async fn modern_requests_have_no_session() {
    let address = spawn(endpoint().legacy_sessions()).await;
    let answer = Post::modern("tools/list", json!({})).send(address).await;
    assert_eq!((answer.status, answer.header("mcp-session-id")), (200, None));
}

/// The header `x-caller` stands in for a guard that has verified somebody.
async fn identify(mut request: Request, next: Next) -> axum::response::Response {
    if let Some(subject) = request.headers().get("x-caller").and_then(|value| value.to_str().ok()) {
        let name = request.headers().get("x-name").map(|name| name.to_str().unwrap().to_owned());
        let caller = Caller { issuer: "test".into(), subject: subject.into(), name: name.map(Into::into) };
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

#[tokio::test]
async fn a_stolen_session_is_worth_nothing() {
    let route = endpoint().legacy_sessions().into_route();
    let address = spawn_router(Router::new().route("/mcp", route).layer(axum::middleware::from_fn(identify))).await;
    let opened = Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" })).header("x-caller", "alice");
    let session = opened.send(address).await.header("mcp-session-id").unwrap().to_owned();

    assert_eq!(ping(&session).header("x-caller", "alice").send(address).await.status, 200);
    assert_refused(&ping(&session).header("x-caller", "mallory").send(address).await, 404, json!(1));
    assert_refused(&ping(&session).send(address).await, 404, json!(1));
    assert_refused(&delete(&session).header("x-caller", "mallory").send(address).await, 404, Value::Null);
    let renamed = ping(&session).header("x-caller", "alice").header("x-name", "Alice, renamed");
    assert_eq!(renamed.send(address).await.status, 200, "still open, whatever she calls herself");
}

#[tokio::test]
async fn a_session_has_one_spelling() {
    let address = spawn(endpoint().legacy_sessions()).await;
    let session = open(address).await;
    for alias in
        [session.to_uppercase(), format!("urn:uuid:{session}"), format!("{{{session}}}"), session.replace('-', "")]
    {
        assert_refused(&ping(&alias).send(address).await, 404, json!(1));
    }
    let other_version = delete(&session).header("MCP-Protocol-Version", "1999-01-01").send(address).await;
    assert_eq!((other_version.status, &other_version.json()["error"]["code"]), (400, &json!(-32022)));
    assert_eq!(ping(&session).send(address).await.status, 200);
}

#[tokio::test]
async fn a_client_that_takes_only_a_stream_gets_its_session_too() {
    let address = spawn(endpoint().legacy_sessions()).await;
    let initialize = Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" }));
    let answer = initialize.header("Accept", "text/event-stream").send(address).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(ping(answer.header("mcp-session-id").unwrap()).send(address).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sessions_do_not_lock_out_the_next() {
    let address = spawn(endpoint().legacy_sessions()).await;
    let flood = (0..20).map(|_| {
        tokio::spawn(async move {
            let mut connection = TcpStream::connect(address).await.unwrap();
            let initialize = Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" }));
            let bytes = initialize.header("Connection", "keep-alive").bytes();
            let mut buffer = [0; 4096];
            for _ in 0..510 {
                connection.write_all(&bytes).await.unwrap();
                // One small response at a time: it comes whole.
                assert!(connection.read(&mut buffer).await.unwrap() > 0);
            }
        })
    });
    for task in flood.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let session = open(address).await;
    for _ in 0..3 {
        assert_eq!(ping(&session).send(address).await.status, 200);
        sleep(Duration::from_millis(200)).await;
    }
}
