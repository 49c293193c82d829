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
            json!({ "status": 421, "host": "\"evil.example\"", "origin": "None" }),
        ),
    ] {
        post.send(address).await;
        let events = lines.take();
        let ours: Vec<_> = events.iter().filter(|event| event["target"] == "mcp_core::request").collect();
        assert_eq!(ours.len(), 1, "{events:?}");
        let event = ours[0];
        assert_eq!(event["level"], level, "{event}");
        for (member, value) in expected.as_object().unwrap() {
            if member == "host" || member == "origin" {
                assert!(event[member].as_str().unwrap().contains(value.as_str().unwrap()), "{member} of {event}");
            } else {
                assert_eq!(&event[member], value, "{member} of {event}");
            }
        }
        for member in ["tool", "prompt", "code"] {
            assert_eq!(event.get(member), expected.get(member), "{member} of {event}");
        }
        assert!(event["ms"].is_number() || event.get("host").is_some(), "{event}");
        let told = serde_json::to_string(&events).unwrap();
        assert!(!told.contains(secret), "{told}");
    }
}
