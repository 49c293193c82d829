//! The tool `server_stats`: what is counted, and that a second server counts for itself.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Post, builder, spawn};
use http::StatusCode;
use mcp_core::{
    BuildError, Tool,
    authorize::{Operation, Refusal},
    http::Endpoint,
    jsonrpc::ErrorObject,
    tools::ServerStats,
};
use serde_json::{Value, json};

fn stats() -> Post {
    Post::modern("tools/call", json!({ "name": "server_stats" }))
}

#[tokio::test]
async fn what_is_counted() {
    let denied = || Refusal::new(StatusCode::FORBIDDEN, ErrorObject::new(403, "Forbidden"));
    let server = builder()
        .server_stats()
        .authorize(move |_, operation| match operation {
            Operation::CallTool { name: "add" } | Operation::ShowTool { name: "add" } | Operation::Notify { .. } => {
                Err(denied())
            }
            _ => Ok(()),
        })
        .build()
        .unwrap();
    let address = spawn(Endpoint::new(server)).await;
    let counted = async |address| {
        let told = &stats().send(address).await.json()["result"]["structuredContent"];
        assert_eq!(told["version"], "1.2.3");
        assert!(told["uptime_seconds"].as_u64().unwrap() < 600);
        ["requests", "tool_calls", "refusals"].map(|name| told[name].as_u64().unwrap())
    };
    assert_eq!(counted(address).await, [1, 1, 0]);
    for post in [
        // A request, and a call.
        Post::legacy("tools/call", json!({ "name": "echo", "arguments": { "message": "x" } })),
        // A call of no tool, or with wrong arguments, reaches none.
        Post::legacy("tools/call", json!({ "name": "nope" })),
        Post::legacy("tools/call", json!({ "name": "echo" })),
        // A refusal; what a list leaves out is none.
        Post::legacy("tools/call", json!({ "name": "add", "arguments": { "a": 1, "b": 2 } })),
        Post::legacy("tools/list", json!({})),
        // No request, but a refusal.
        Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        // Not even that.
        Post::new("{"),
    ] {
        post.send(address).await;
    }
    assert_eq!(counted(address).await, [7, 3, 2]);

    let other = spawn(Endpoint::new(builder().server_stats().build().unwrap())).await;
    assert_eq!(counted(other).await, [1, 1, 0]);
}

#[tokio::test]
async fn listed_with_its_schemas() {
    let address = spawn(Endpoint::new(builder().server_stats().build().unwrap())).await;
    let list = Post::legacy("tools/list", json!({})).send(address).await.json();
    let entries = list["result"]["tools"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["name"] == ServerStats::NAME).unwrap();
    assert_eq!(entry["inputSchema"], json!({ "type": "object", "additionalProperties": false }));
    let answer = stats().send(address).await.json();
    let told = answer["result"]["structuredContent"].as_object().unwrap();
    let schema = &entry["outputSchema"];
    let mut required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    required.sort_unstable();
    let mut members: Vec<&str> = told.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(required, members);
    for member in members {
        assert!(schema["properties"][member]["description"].is_string(), "{schema}");
    }
    let refused = Post::legacy("tools/call", json!({ "name": "server_stats", "arguments": { "x": 1 } }));
    assert_eq!(refused.send(address).await.json()["result"]["isError"], true);

    let twice = builder().server_stats().server_stats().build().unwrap_err();
    assert_eq!(twice, BuildError::Duplicate("server_stats".to_owned(), "tool"));
}

/// What a hook is asked, in the words of the protocol.
#[test]
fn operations_by_method_and_name() {
    for (operation, method, name) in [
        (Operation::Initialize, "initialize", None),
        (Operation::Ping, "ping", None),
        (Operation::Discover, "server/discover", None),
        (Operation::Notify { method: "notifications/x" }, "notifications/x", None),
        (Operation::ListTools, "tools/list", None),
        (Operation::ShowTool { name: "a" }, "tools/list", Some("a")),
        (Operation::CallTool { name: "a" }, "tools/call", Some("a")),
        (Operation::ListPrompts, "prompts/list", None),
        (Operation::ShowPrompt { name: "a" }, "prompts/list", Some("a")),
        (Operation::GetPrompt { name: "a" }, "prompts/get", Some("a")),
    ] {
        assert_eq!((operation.method(), operation.name()), (method, name));
    }
}
