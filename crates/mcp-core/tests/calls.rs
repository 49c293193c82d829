//! A call from inside: the authorize hook, the caller, cancellation, panics, what may be registered.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::Request, middleware::Next};
use common::{Post, builder, spawn, spawn_router};
use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use mcp_core::{
    BuildError, CallContext, Caller, McpServer, Prompt, PromptMessage, Tool, ToolError,
    authorize::{Operation, Refusal},
    http::Endpoint,
    jsonrpc::ErrorObject,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn refusal() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, ErrorObject::new(-1, "not for you"))
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

#[tokio::test]
async fn the_hook_is_asked_once_about_what_was_parsed() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let server = builder()
        .authorize(move |_, operation| {
            log.lock().unwrap().push(format!("{operation:?}"));
            Ok(())
        })
        .build()
        .unwrap();
    let address = spawn(Endpoint::new(server)).await;
    let unknown_name = json!({ "name": "nope" });
    for (post, operations) in [
        (Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" })), vec!["Initialize"]),
        (Post::legacy("ping", json!({})), vec!["Ping"]),
        (Post::modern("server/discover", json!({})), vec!["Discover"]),
        (
            Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            vec![r#"Notify { method: "notifications/initialized" }"#],
        ),
        (
            Post::legacy("tools/call", json!({ "name": "ech\u{6f}", "arguments": { "message": "x" } })),
            vec![r#"CallTool { name: "echo" }"#],
        ),
        // Asked before anyone learns whether it exists.
        (Post::legacy("tools/call", unknown_name.clone()), vec![r#"CallTool { name: "nope" }"#]),
        (Post::modern("prompts/get", unknown_name), vec![r#"GetPrompt { name: "nope" }"#]),
        (
            Post::legacy("prompts/list", json!({})),
            vec!["ListPrompts", r#"ShowPrompt { name: "greeting" }"#, r#"ShowPrompt { name: "help" }"#],
        ),
        // Refused before there is an operation.
        (Post::legacy("nope", json!({})), vec![]),
        (Post::legacy("tools/call", json!({})), vec![]),
        (Post::modern("tools/list", json!({})).header("Mcp-Method", "ping"), vec![]),
    ] {
        post.send(address).await;
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), operations);
    }
}

#[tokio::test]
async fn a_refusal_is_sent_as_the_hook_wrote_it_and_nothing_runs() {
    let server = builder().authorize(|_, _| Err(refusal())).build().unwrap();
    let address = spawn(Endpoint::new(server)).await;
    let call = json!({ "name": "echo", "arguments": { "message": "ran" }, "_meta": { "progressToken": 1 } });
    for post in [
        Post::legacy("tools/call", call.clone()),
        Post::modern("tools/call", call),
        Post::legacy("tools/list", json!({})),
        Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" })),
        Post::modern("server/discover", json!({})),
    ] {
        let answer = post.send(address).await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate"), answer.json()),
            (
                403,
                Some("Bearer"),
                json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -1, "message": "not for you" } })
            )
        );
    }
    let notification = Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send(address).await;
    assert_eq!((notification.status, notification.json().get("id")), (403, None));
}

#[tokio::test]
async fn the_hook_filters_lists_and_makes_them_private() {
    let server = builder()
        .authorize(|_, operation| match operation {
            Operation::ShowTool { name: "add" | "echo" } | Operation::ShowPrompt { name: "help" } => Err(refusal()),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    let address = spawn(Endpoint::new(server)).await;
    let tools = Post::modern("tools/list", json!({})).send(address).await.json();
    let names: Vec<_> = tools["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["get_time", "multiply"]);
    assert_eq!(tools["result"]["cacheScope"], "private");
    let prompts = Post::legacy("prompts/list", json!({})).send(address).await.json();
    assert_eq!(prompts["result"]["prompts"].as_array().unwrap().len(), 1);
    assert_eq!(
        Post::modern("server/discover", json!({})).send(address).await.json()["result"]["cacheScope"],
        "private"
    );
}

struct WhoAmI;

impl Tool for WhoAmI {
    const NAME: &'static str = "who";
    const TITLE: &'static str = "Who";
    const DESCRIPTION: &'static str = "Says who is calling.";
    type Input = Nothing;
    type Output = String;

    async fn call(&self, ctx: &CallContext, _: Nothing) -> Result<String, ToolError> {
        Ok(ctx.caller().map_or_else(|| "nobody".to_owned(), |caller| format!("{}@{}", caller.subject, caller.issuer)))
    }
}

#[tokio::test]
async fn the_caller_reaches_the_tool_and_the_hook() {
    let server = McpServer::builder("t", "0")
        .tool(WhoAmI)
        .authorize(|extensions, _| match extensions.get::<Caller>() {
            Some(caller) if &*caller.subject == "mallory" => Err(refusal()),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    let identify = async |mut request: Request, next: Next| {
        if let Some(subject) = request.headers().get("x-caller").map(|value| value.to_str().unwrap().to_owned()) {
            request.extensions_mut().insert(Caller { issuer: "test".into(), subject: subject.into(), name: None });
        }
        next.run(request).await
    };
    let app =
        Router::new().route("/mcp", Endpoint::new(server).into_route()).layer(axum::middleware::from_fn(identify));
    let address = spawn_router(app).await;
    let call = || Post::legacy("tools/call", json!({ "name": "who" }));
    let text = |answer: Value| answer["result"]["content"][0]["text"].clone();
    assert_eq!(text(call().send(address).await.json()), "nobody");
    assert_eq!(text(call().header("x-caller", "alice").send(address).await.json()), "alice@test");
    assert_eq!(call().header("x-caller", "mallory").send(address).await.status, 403);
}

/// Starts, says so, and never ends by itself; says how it ended.
struct Endless(mpsc::UnboundedSender<&'static str>);

struct OnDrop(mpsc::UnboundedSender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

impl Tool for Endless {
    const NAME: &'static str = "endless";
    const TITLE: &'static str = "Endless";
    const DESCRIPTION: &'static str = "Never ends.";
    type Input = Nothing;
    type Output = String;

    async fn call(&self, ctx: &CallContext, _: Nothing) -> Result<String, ToolError> {
        let _on_drop = OnDrop(self.0.clone());
        let (cancelled, told) = (ctx.cancellation().clone(), self.0.clone());
        // Work that dropping the future does not reach.
        tokio::spawn(async move {
            cancelled.cancelled().await;
            let _ = told.send("cancelled");
        });
        let _ = self.0.send("started");
        ctx.progress(1.0, None, Some("under way")).await;
        std::future::pending().await
    }
}

/// What must happen soon, or the test fails instead of waiting for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(5), what).await.expect("it happens soon")
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    for (streamed, params) in
        [(false, json!({ "name": "endless" })), (true, json!({ "name": "endless", "_meta": { "progressToken": 1 } }))]
    {
        let (tell, mut told) = mpsc::unbounded_channel();
        let server = McpServer::builder("t", "0").tool(Endless(tell)).build().unwrap();
        let address = spawn(Endpoint::new(server)).await;
        for post in [Post::legacy("tools/call", params.clone()), Post::modern("tools/call", params.clone())] {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(&post.bytes()).await.unwrap();
            assert_eq!(soon(told.recv()).await, Some("started"));
            if streamed {
                let mut start = [0; 15];
                connection.read_exact(&mut start).await.unwrap();
                assert_eq!(&start, b"HTTP/1.1 200 OK");
            }
            sleep(Duration::from_millis(100)).await;
            assert!(told.is_empty(), "nothing ends while the client waits");
            drop(connection);
            let mut ends = [soon(told.recv()).await.unwrap(), soon(told.recv()).await.unwrap()];
            ends.sort_unstable();
            assert_eq!(ends, ["cancelled", "dropped"], "streamed: {streamed}");
        }
    }
}

/// Reports more than fits the queue and the socket.
struct Chatty;

impl Tool for Chatty {
    const NAME: &'static str = "chatty";
    const TITLE: &'static str = "Chatty";
    const DESCRIPTION: &'static str = "Reports a thousand times.";
    type Input = Nothing;
    type Output = String;

    async fn call(&self, ctx: &CallContext, _: Nothing) -> Result<String, ToolError> {
        for n in 1..=1000 {
            ctx.progress(f64::from(n), Some(1000.0), Some("still going")).await;
        }
        Ok("done".to_owned())
    }
}

#[tokio::test]
async fn no_report_is_lost_and_none_comes_after_the_answer() {
    let server = McpServer::builder("t", "0").tool(Chatty).build().unwrap();
    let address = spawn(Endpoint::new(server)).await;
    let params = json!({ "name": "chatty", "_meta": { "progressToken": "p" } });
    let events = Post::modern("tools/call", params).send(address).await.events();
    assert_eq!(events.len(), 1001);
    for (n, event) in events[..1000].iter().enumerate() {
        assert_eq!(event["params"]["progress"], n + 1);
    }
    assert_eq!(events[1000]["result"]["content"][0]["text"], "done");
}

struct Panics;

impl Tool for Panics {
    const NAME: &'static str = "panics";
    const TITLE: &'static str = "Panics";
    const DESCRIPTION: &'static str = "Fails badly.";
    type Input = Nothing;
    type Output = String;

    async fn call(&self, _: &CallContext, _: Nothing) -> Result<String, ToolError> {
        panic!("secret detail at /etc/secret");
    }
}

/// A failure that says where its reason is, and nothing of it.
fn assert_internal(answer: &common::Answer) {
    let error = answer.json()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert_eq!((answer.status, &error["code"]), (200, &json!(-32603)));
    let request = message.strip_prefix("the server failed; its log has the reason under request ").unwrap();
    assert!(request.parse::<u64>().is_ok(), "{message}");
}

#[tokio::test]
async fn a_panicking_hook_fails_closed() {
    let server = builder().authorize(|_, _| panic!("secret detail")).build().unwrap();
    let address = spawn(Endpoint::new(server)).await;
    for post in [
        Post::legacy("ping", json!({})),
        Post::legacy("tools/list", json!({})),
        Post::legacy("tools/call", json!({ "name": "echo" })),
    ] {
        assert_internal(&post.send(address).await);
    }
    let answer = Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send(address).await;
    assert_internal(&answer);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_stopped() {
    for (streamed, params) in
        [(false, json!({ "name": "endless" })), (true, json!({ "name": "endless", "_meta": { "progressToken": 1 } }))]
    {
        let (tell, mut told) = mpsc::unbounded_channel();
        let server = McpServer::builder("t", "0").tool(Endless(tell)).build().unwrap();
        let address = spawn(Endpoint::new(server).call_timeout(Duration::from_millis(200))).await;
        let answer = Post::legacy("tools/call", params).send(address).await;
        let message = if streamed { answer.events().pop().unwrap() } else { answer.json() };
        assert_eq!(message["error"], json!({ "code": -32603, "message": "the call was stopped after 0.2 seconds" }));
        let mut ends = Vec::new();
        for _ in 0..3 {
            ends.push(soon(told.recv()).await.unwrap());
        }
        ends.sort_unstable();
        assert_eq!(ends, ["cancelled", "dropped", "started"]);
    }
}

#[tokio::test]
async fn a_panic_is_one_error_of_one_call_and_tells_nothing() {
    let server = McpServer::builder("t", "0").tool(Panics).tool(WhoAmI).build().unwrap();
    let address = spawn(Endpoint::new(server)).await;
    for params in [json!({ "name": "panics" }), json!({ "name": "panics", "_meta": { "progressToken": 1 } })] {
        let answer = Post::legacy("tools/call", params).send(address).await;
        assert_internal(&answer);
    }
    assert_eq!(Post::legacy("tools/call", json!({ "name": "who" })).send(address).await.status, 200);
}

macro_rules! named {
    ($type:ident, $name:expr) => {
        struct $type;
        impl Tool for $type {
            const NAME: &'static str = $name;
            const TITLE: &'static str = "T";
            const DESCRIPTION: &'static str = "D";
            type Input = Nothing;
            type Output = String;
            async fn call(&self, _: &CallContext, _: Nothing) -> Result<String, ToolError> {
                Ok(String::new())
            }
        }
    };
}

named!(Empty, "");
named!(Spaced, "two words");
named!(Slashed, "a/b");
named!(Unicode, "café");
named!(Good, "a.B-c_9");

/// Takes a number, which no prompt argument can be.
struct Counted;

#[derive(Deserialize, JsonSchema)]
struct Count {
    #[allow(dead_code)]
    count: u8,
}

impl Prompt for Counted {
    const NAME: &'static str = "counted";
    const TITLE: &'static str = "T";
    const DESCRIPTION: &'static str = "D";
    type Arguments = Count;

    async fn get(&self, _: &CallContext, _: Count) -> Vec<PromptMessage> {
        Vec::new()
    }
}

#[test]
fn registration_refuses_bad_names_duplicates_and_schemas() {
    let build = || McpServer::builder("t", "0").tool(Good);
    assert!(build().build().is_ok());
    for (outcome, name) in [
        (build().tool(Empty).build(), ""),
        (build().tool(Spaced).build(), "two words"),
        (build().tool(Slashed).build(), "a/b"),
        (build().tool(Unicode).build(), "café"),
    ] {
        assert_eq!(outcome.unwrap_err(), BuildError::Name(name.to_owned(), "tool"));
    }
    // The first mistake is the one that is told.
    let twice = build().tool(Good).tool(Empty).build().unwrap_err();
    assert_eq!(twice, BuildError::Duplicate("a.B-c_9".to_owned(), "tool"));
    let counted = McpServer::builder("t", "0").prompt(Counted).build().unwrap_err();
    assert!(counted.to_string().contains(r#"its argument "count" must be a string"#), "{counted}");
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_others() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = builder().tool(Endless(tell)).build().unwrap();
    let address = spawn(Endpoint::new(server)).await;
    let slow = Post::legacy("tools/call", json!({ "name": "endless" })).bytes();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&slow).await.unwrap();
    assert_eq!(told.recv().await, Some("started"));
    let ping = Post::legacy("ping", json!({}));
    assert_eq!(timeout(Duration::from_secs(5), ping.send(address)).await.unwrap().status, 200);
}
