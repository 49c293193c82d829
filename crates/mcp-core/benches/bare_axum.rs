//! The yardstick of `scripts/bench.sh`: a bare axum handler that parses the same request into types, and answers the
//! same JSON as step 4's `echo`. It checks nothing: no Origin, no Host, no version, no schema, no limits of its own.
//!
//! Run by the script as `cargo run --release --example bare_axum -- PORT`.

use axum::{Json, Router, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Request {
    id: Value,
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    arguments: Arguments,
}

#[derive(Deserialize)]
struct Arguments {
    message: String,
}

#[derive(Serialize)]
struct Response {
    jsonrpc: &'static str,
    id: Value,
    result: CallResult,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult {
    content: [Text; 1],
    is_error: bool,
}

#[derive(Serialize)]
struct Text {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

async fn echo(Json(request): Json<Request>) -> Json<Response> {
    let content = [Text { kind: "text", text: request.params.arguments.message }];
    Json(Response { jsonrpc: "2.0", id: request.id, result: CallResult { content, is_error: false } })
}

#[tokio::main]
async fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: bare_axum PORT");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    axum::serve(listener, Router::new().route("/mcp", post(echo))).await.expect("axum::serve never ends");
}
