//! The log: one event per request, accepted at `debug`, refused at `info`, and never what was in it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
};

use common::{Post, endpoint, spawn};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

// The subscriber is this thread's, so everything has to run on it.
#[tokio::test(flavor = "current_thread")]
async fn one_event_per_request() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(lines.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let address = spawn(endpoint()).await;

    let secret = "s3cret";
    let echo = json!({ "name": "echo", "arguments": { "message": secret }, "_meta": { "progressToken": secret } });
    let long = "x".repeat(10_000);
    for (post, level, expected) in [
        (
            Post::legacy("tools/call", echo.clone()),
            "DEBUG",
            json!({ "method": "tools/call", "tool": "echo", "status": 200, "id": "1" }),
        ),
        (
            Post::legacy("prompts/get", json!({ "name": "help" })),
            "DEBUG",
            json!({ "method": "prompts/get", "prompt": "help", "status": 200, "id": "1" }),
        ),
        (
            Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            "DEBUG",
            json!({ "method": "notifications/initialized", "status": 202 }),
        ),
        (
            Post::modern("tools/call", json!({ "name": "nope\n", "arguments": { "a": secret } }))
                .header("Mcp-Name", "=?base64?bm9wZQo=?="),
            "INFO",
            json!({ "method": "tools/call", "tool": "nope\n", "status": 200, "code": -32602, "id": "1" }),
        ),
        (
            Post::legacy(&long, json!({})),
            "INFO",
            json!({ "method": "x".repeat(64), "status": 200, "code": -32601, "id": "1" }),
        ),
        (Post::new(secret), "INFO", json!({ "status": 400, "code": -32700 })),
        (Post::new("").line("GET /mcp HTTP/1.1"), "INFO", json!({ "status": 405, "code": -32600 })),
        (
            Post::legacy("ping", json!({})).header("Host", "evil.example"),
            "INFO",
            json!({ "status": 421, "path": "/mcp", "host": "evil.example" }),
        ),
    ] {
        post.send(address).await;
        let events = lines.take();
        let ours: Vec<_> = events.iter().filter(|event| event["target"] == "mcp_core::request").collect();
        assert_eq!(ours.len(), 1, "{events:?}");
        let event = ours[0];
        assert_eq!(event["level"], level, "{event}");
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&event[member], value, "{member} of {event}");
        }
        for member in ["tool", "prompt", "code"] {
            assert_eq!(event.get(member), expected.get(member), "{member} of {event}");
        }
        assert!((event["ms"].is_number() && event["request"].is_u64()) || event.get("host").is_some(), "{event}");
        let told = serde_json::to_string(&events).unwrap();
        assert!(!told.contains(secret), "{told}");
    }
}

/// In the text format whatever a client sends stays on its line, short, and without control characters.
#[tokio::test(flavor = "current_thread")]
async fn no_line_is_forged() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(lines.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let address = spawn(endpoint()).await;

    let forged = "1\n2026-11-21T00:00:00Z INFO mcp_core::request: answered \u{1b}[31m\u{7}";
    let long = "y".repeat(100_000);
    for hostile in [forged, &long] {
        for post in [
            Post::new(json!({ "jsonrpc": "2.0", "id": hostile, "method": "ping" }).to_string()),
            Post::legacy(hostile, json!({})),
            Post::legacy("tools/call", json!({ "name": hostile })),
            Post::legacy("ping", json!({})).header("Host", &hostile.replace(['\n', '\u{1b}', '\u{7}'], "")),
        ] {
            post.send(address).await;
            let bytes = std::mem::take(&mut *lines.0.lock().unwrap());
            let text = String::from_utf8(bytes).unwrap();
            let ours: Vec<_> =
                text.lines().filter(|line| line.contains("mcp_core") || line.contains("answered")).collect();
            assert_eq!(ours.len(), 1, "{text}");
            assert!(ours[0].len() < 600 && !ours[0].contains(['\u{1b}', '\u{7}']), "{text}");
        }
    }
}
