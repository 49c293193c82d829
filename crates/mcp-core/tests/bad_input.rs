//! Every way we know to send nonsense, with the exact answer to each.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{Answer, Post, endpoint, send, spawn};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PARSE: i64 = -32700;
const INVALID: i64 = -32600;
const UNKNOWN: i64 = -32601;
const PARAMS: i64 = -32602;
const MISMATCH: i64 = -32020;
const VERSION: i64 = -32022;

/// A row: what it is, what is sent, and the status, code, id and message that come back.
type Row = (&'static str, Post, u16, i64, Value, String);

fn row(name: &'static str, post: Post, status: u16, code: i64, id: impl Into<Value>, message: &str) -> Row {
    (name, post, status, code, id.into(), message.to_owned())
}

async fn check(address: SocketAddr, rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (name, post, status, code, id, message) in rows {
        let answer = post.send(address).await;
        let mut error = json!({ "code": code, "message": message });
        let got = answer.json();
        // `data` is checked where it matters.
        if let Some(data) = got["error"].get("data") {
            error["data"] = data.clone();
        }
        let mut expected = json!({ "jsonrpc": "2.0", "error": error });
        if !id.is_null() {
            expected["id"] = id;
        }
        if (answer.status, &got) != (status, &expected) {
            wrong.push(format!("{name}\n  expected {status} {expected}\n  got      {} {got}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn body(text: &str) -> Post {
    Post::new(text)
}

fn ping(text: &str) -> Post {
    // Rows about one member: everything else is sound.
    Post::new(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping"{text}}}"#))
}

#[tokio::test]
async fn bodies_that_are_not_json() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    check(
        spawn(endpoint()).await,
        vec![
            row("empty", body(""), 400, PARSE, Value::Null, "the body is empty; send one JSON-RPC message"),
            row("blank", body(" \n"), 400, PARSE, Value::Null, "the body is empty; send one JSON-RPC message"),
            row(
                "not JSON",
                body("hello"),
                400,
                PARSE,
                Value::Null,
                "the body is not JSON: expected value at line 1 column 1",
            ),
            row(
                "cut off",
                body(r#"{"jsonrpc":"2.0","id":7,"method":"pi"#),
                400,
                PARSE,
                7,
                "the body is not JSON: EOF while parsing a string at line 1 column 36",
            ),
            row(
                "two messages",
                body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}"#),
                400,
                PARSE,
                1,
                "the body is not JSON: trailing characters at line 1 column 41",
            ),
            row(
                "byte order mark",
                Post::new("\u{feff}{}"),
                400,
                PARSE,
                Value::Null,
                "the body starts with a byte order mark; send plain UTF-8 (RFC 8259 §8.1)",
            ),
            row(
                "UTF-16",
                Post::new(b"{\0}\0\xff\xfe".as_slice()),
                400,
                PARSE,
                Value::Null,
                "the body is not UTF-8 from byte 4",
            ),
            row(
                "invalid UTF-8",
                Post::new(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}".as_slice()),
                400,
                PARSE,
                Value::Null,
                "the body is not UTF-8 from byte 34",
            ),
            row(
                "lone surrogate",
                ping(r#","params":{"x":"\ud800"}"#),
                400,
                PARSE,
                1,
                "the body is not JSON: unexpected end of hex escape at line 1 column 62",
            ),
            row(
                "a number beyond a double",
                ping(r#","params":{"x":1e400}"#),
                400,
                PARSE,
                1,
                "the body is not JSON: number out of range at line 1 column 59",
            ),
            row(
                "10,000 deep in params",
                ping(&format!(r#","params":{{"x":{deep}}}"#)),
                400,
                PARSE,
                1,
                "the body is not JSON: recursion limit exceeded at line 1 column 180",
            ),
            row(
                "10,000 deep at the top",
                body(&deep),
                400,
                INVALID,
                Value::Null,
                "batches are not part of MCP; send one message per request",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn json_that_is_no_message() {
    let id_rule = r#"the member "id" must be a string or an integer"#;
    let no_id = r#"this is a request and needs an "id"; only notifications/… go without one"#;
    check(
        spawn(endpoint()).await,
        vec![
            row(
                "a batch",
                body(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
                400,
                INVALID,
                Value::Null,
                "batches are not part of MCP; send one message per request",
            ),
            row("a string", body(r#""ping""#), 400, INVALID, Value::Null, "the body must be one JSON object"),
            row(
                "no jsonrpc",
                body(r#"{"id":1,"method":"ping"}"#),
                400,
                INVALID,
                1,
                r#"the member "jsonrpc" must be "2.0""#,
            ),
            row(
                "jsonrpc 1.0",
                body(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#),
                400,
                INVALID,
                1,
                r#"the member "jsonrpc" must be "2.0""#,
            ),
            row(
                "jsonrpc 2.0, a number",
                body(r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#),
                400,
                INVALID,
                1,
                r#"the member "jsonrpc" must be "2.0""#,
            ),
            row("id null", body(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#), 400, INVALID, Value::Null, id_rule),
            row("id object", body(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#), 400, INVALID, Value::Null, id_rule),
            row(
                "id fraction",
                body(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#),
                400,
                INVALID,
                Value::Null,
                id_rule,
            ),
            row("id true", body(r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#), 400, INVALID, Value::Null, id_rule),
            row("id missing", body(r#"{"jsonrpc":"2.0","method":"ping"}"#), 400, INVALID, Value::Null, no_id),
            row(
                "method missing",
                body(r#"{"jsonrpc":"2.0","id":"a"}"#),
                400,
                INVALID,
                "a",
                r#"the member "method" is missing"#,
            ),
            row(
                "method a number",
                body(r#"{"jsonrpc":"2.0","id":1,"method":1}"#),
                400,
                INVALID,
                1,
                r#"the member "method" must be a string"#,
            ),
            row(
                "method twice",
                ping(r#","method":"tools/list""#),
                400,
                INVALID,
                1,
                r#"the member "method" is given twice"#,
            ),
            row(
                "method twice, escaped once",
                ping(r#","\u006dethod":"tools/list""#),
                400,
                INVALID,
                1,
                r#"the member "method" is given twice"#,
            ),
            row("id twice", ping(r#","id":2"#), 400, INVALID, Value::Null, r#"the member "id" is given twice"#),
            row(
                "name twice in params",
                ping(r#","params":{"name":"a","name":"b"}"#),
                400,
                INVALID,
                1,
                r#"the member "name" is given twice"#,
            ),
            row(
                "params an array",
                ping(r#","params":[1]"#),
                400,
                INVALID,
                1,
                r#"the member "params" must be an object"#,
            ),
            row("params null", ping(r#","params":null"#), 400, INVALID, 1, r#"the member "params" must be an object"#),
            row(
                "a request and a response at once",
                ping(r#","result":{}"#),
                400,
                INVALID,
                1,
                "a message is a request or a response, not both",
            ),
            row("an unread member twice", ping(r#","x":1,"x":2"#), 400, INVALID, 1, r#"the member "x" is given twice"#),
            row(
                "an unread member of params twice",
                ping(r#","params":{"x":1,"x":1}"#),
                400,
                INVALID,
                1,
                r#"the member "x" is given twice"#,
            ),
            row(
                "a response",
                body(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
                400,
                INVALID,
                1,
                "this server sends no requests, so there is nothing to respond to",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn http_that_is_wrong_around_the_message() {
    let ok = || ping("");
    let media = "send one JSON-RPC message as Content-Type: application/json";
    let compressed = "the body must not be compressed; leave Content-Encoding out";
    let no_get = "send each message as an HTTP POST; there is no GET stream here";
    let foreign = "pages of this Origin may not call this server";
    let other = |host: &str| format!("this server does not answer for {host:?}; call it by a name it allows");
    let one_host = "send one Host header (RFC 9112 §3.2)";
    let none = Value::Null;
    check(
        spawn(endpoint()).await,
        vec![
            row("no Content-Type", ok().without("Content-Type"), 415, INVALID, none.clone(), media),
            row(
                "a form",
                ok().header("Content-Type", "application/x-www-form-urlencoded"),
                415,
                INVALID,
                none.clone(),
                media,
            ),
            row(
                "text/plain, which a page may post unasked",
                ok().header("Content-Type", "text/plain"),
                415,
                INVALID,
                none.clone(),
                media,
            ),
            row("two Content-Types", ok().also("Content-Type", "application/json"), 415, INVALID, none.clone(), media),
            row("gzip", ok().header("Content-Encoding", "gzip"), 415, INVALID, none.clone(), compressed),
            row(
                "accepts neither",
                ok().header("Accept", "text/html"),
                406,
                INVALID,
                none.clone(),
                "answers are application/json or text/event-stream; accept at least one of them",
            ),
            row("GET", Post::new("").line("GET /mcp HTTP/1.1"), 405, INVALID, none.clone(), no_get),
            row("DELETE", Post::new("").line("DELETE /mcp HTTP/1.1"), 405, INVALID, none.clone(), no_get),
            row("PUT", ok().line("PUT /mcp HTTP/1.1"), 405, INVALID, none.clone(), no_get),
            row("foreign Origin", ok().header("Origin", "https://evil.example"), 403, INVALID, none.clone(), foreign),
            row("Origin null", ok().header("Origin", "null"), 403, INVALID, none.clone(), foreign),
            row(
                "two Origins",
                ok().header("Origin", "http://localhost").also("Origin", "https://evil.example"),
                403,
                INVALID,
                none.clone(),
                foreign,
            ),
            row(
                "foreign Host",
                ok().header("Host", "evil.example:9000"),
                421,
                INVALID,
                none.clone(),
                &other("evil.example:9000"),
            ),
            row(
                "a Host that starts like ours",
                ok().header("Host", "localhost.evil.example"),
                421,
                INVALID,
                none.clone(),
                &other("localhost.evil.example"),
            ),
            row(
                "absolute target elsewhere",
                ok().line("POST http://evil.example/mcp HTTP/1.1"),
                421,
                INVALID,
                none.clone(),
                &other("evil.example"),
            ),
            row("no Host", ok().without("Host"), 400, INVALID, none.clone(), one_host),
            row("two Hosts", ok().also("Host", "evil.example"), 400, INVALID, none.clone(), one_host),
            row(
                "Host with a space",
                ok().header("Host", "local host"),
                400,
                INVALID,
                none,
                "the Host header is not a host with an optional port",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn refusals_carry_the_headers_that_explain_them() {
    let address = spawn(endpoint()).await;
    let get = Post::new("").line("GET /mcp HTTP/1.1").send(address).await;
    assert_eq!(get.header("allow"), Some("POST"));
    let gzip = ping("").header("Content-Encoding", "gzip").send(address).await;
    assert_eq!(gzip.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn what_looks_odd_and_is_right() {
    let address = spawn(endpoint()).await;
    for (name, post) in [
        ("an escaped method", body(r#"{"jsonrpc":"2.0","id":1,"method":"\u0070ing"}"#)),
        ("unknown members", ping(r#","extra":[{"a":1}]"#)),
        ("white space around", body(" \r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n")),
        ("no Accept", ping("").without("Accept")),
        ("a charset", ping("").header("Content-Type", "application/json; charset=utf-8")),
        ("identity encoding", ping("").header("Content-Encoding", "identity")),
        ("HTTP/1.0 without Host", ping("").line("POST /mcp HTTP/1.0").without("Host")),
        ("an Origin of ours", ping("").header("Origin", "http://localhost:6274")),
        ("IPv6 Host", ping("").header("Host", "[::1]:9000")),
    ] {
        let answer = post.send(address).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "jsonrpc": "2.0", "id": 1, "result": {} })), "{name}");
    }
}

#[tokio::test]
async fn methods_and_parameters() {
    let no_method = "this server has no such method";
    let echo = |arguments: Value| Post::legacy("tools/call", json!({ "name": "echo", "arguments": arguments }));
    let call = |params: Value| Post::legacy("tools/call", params);
    let address = spawn(endpoint()).await;
    check(
        address,
        vec![
            row("unknown method, legacy", Post::legacy("nope", json!({})), 200, UNKNOWN, 1, no_method),
            row("unknown method, modern", Post::modern("nope", json!({})), 404, UNKNOWN, 1, no_method),
            row("ping is unknown to modern", Post::modern("ping", json!({})), 404, UNKNOWN, 1, no_method),
            row(
                "initialize is unknown to modern",
                Post::modern("initialize", json!({ "protocolVersion": "2026-07-28" })),
                404,
                UNKNOWN,
                1,
                "initialize does not exist in 2026-07-28; send it without modern _meta to speak 2025-11-25 or older",
            ),
            row(
                "a notification with an id",
                Post::legacy("notifications/initialized", json!({})),
                200,
                UNKNOWN,
                1,
                no_method,
            ),
            row(
                "initialize without version",
                Post::legacy("initialize", json!({})),
                200,
                PARAMS,
                1,
                "params.protocolVersion is required and must be a string",
            ),
            row(
                "unknown tool",
                call(json!({ "name": "nope" })),
                200,
                PARAMS,
                1,
                r#"there is no tool named "nope"; tools/list has them all"#,
            ),
            row(
                "unknown tool, modern",
                Post::modern("tools/call", json!({ "name": "nope" })),
                200,
                PARAMS,
                1,
                r#"there is no tool named "nope"; tools/list has them all"#,
            ),
            row("no tool name", call(json!({})), 200, PARAMS, 1, "params.name is required and must be a string"),
            row(
                "no tool name, modern",
                Post::modern("tools/call", json!({})),
                200,
                PARAMS,
                1,
                "params.name is required and must be a string",
            ),
            row(
                "a tool name that is no string",
                call(json!({ "name": 1 })),
                200,
                PARAMS,
                1,
                "params.name is required and must be a string",
            ),
            row("arguments an array", echo(json!([])), 200, PARAMS, 1, "params.arguments must be an object"),
            row(
                "a bad progress token",
                call(json!({ "name": "echo", "_meta": { "progressToken": 1.5 } })),
                200,
                PARAMS,
                1,
                "params._meta.progressToken must be a string or an integer",
            ),
            row(
                "a cursor we never gave",
                Post::legacy("tools/list", json!({ "cursor": "x" })),
                200,
                PARAMS,
                1,
                "params.cursor was not given out by this server: it has one page",
            ),
            row(
                "unknown prompt",
                Post::legacy("prompts/get", json!({ "name": "nope" })),
                200,
                PARAMS,
                1,
                r#"there is no prompt named "nope"; prompts/list has them all"#,
            ),
            row(
                "a missing prompt argument",
                Post::legacy("prompts/get", json!({ "name": "greeting" })),
                200,
                PARAMS,
                1,
                r#"invalid arguments for greeting: /: "name" is a required property (required)"#,
            ),
            row(
                "an ill-typed prompt argument",
                Post::legacy("prompts/get", json!({ "name": "greeting", "arguments": { "name": 1 } })),
                200,
                PARAMS,
                1,
                r#"invalid arguments for greeting: /name: 1 is not of type "string" (type)"#,
            ),
        ],
    )
    .await;

    // What a model can mend is a result it gets to see.
    for (name, post, text) in [
        ("missing", echo(json!({})), r#"invalid arguments for echo: /: "message" is a required property (required)"#),
        (
            "extra",
            echo(json!({ "message": "x", "mesage": "y" })),
            "invalid arguments for echo: /: Additional properties are not allowed ('mesage' was unexpected) (additionalProperties)",
        ),
        (
            "ill-typed",
            echo(json!({ "message": 1 })),
            r#"invalid arguments for echo: /message: 1 is not of type "string" (type)"#,
        ),
        (
            "too many",
            echo(json!({ "message": "x", "repeat_count": 11 })),
            "invalid arguments for echo: /repeat_count: 11 is greater than the maximum of 10 (maximum)",
        ),
        (
            "beyond 64 bits",
            call(
                serde_json::from_str(
                    r#"{"name":"echo","arguments":{"message":"x","repeat_count":99999999999999999999}}"#,
                )
                .unwrap(),
            ),
            "invalid arguments for echo: /repeat_count: 1e+20 is greater than the maximum of 10 (maximum)",
        ),
        (
            "a sum beyond a double",
            call(json!({ "name": "add", "arguments": { "a": 1.7e308, "b": 1.7e308 } })),
            "the result is too large for a number",
        ),
        (
            "no such zone",
            call(json!({ "name": "get_time", "arguments": { "timezone": "../../etc/passwd" } })),
            r#""../../etc/passwd" is no IANA time zone; write it like Europe/Berlin, Asia/Tokyo or UTC"#,
        ),
    ] {
        let answer = post.send(address).await;
        let expected = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        assert_eq!((answer.status, &answer.json()["result"]), (200, &expected), "{name}");
    }
}

#[tokio::test]
async fn versions_and_mirrored_headers() {
    let echo = || Post::modern("tools/call", json!({ "name": "echo", "arguments": { "message": "x" } }));
    let meta = |meta: Value| {
        Post::legacy("tools/list", json!({ "_meta": meta }))
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("Mcp-Method", "tools/list")
    };
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let unsupported = |name: &str| {
        format!(
            "protocol version {name:?} is not supported; this server speaks 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25, 2026-07-28"
        )
    };
    let address = spawn(endpoint()).await;
    check(
        address,
        vec![
            row(
                "_meta missing",
                Post::legacy("tools/list", json!({})).header("MCP-Protocol-Version", "2026-07-28"),
                400,
                PARAMS,
                1,
                r#"params._meta["io.modelcontextprotocol/protocolVersion"] is required and must be a string"#,
            ),
            row(
                "capabilities missing",
                meta(json!({ version: "2026-07-28" })),
                400,
                PARAMS,
                1,
                r#"params._meta["io.modelcontextprotocol/clientCapabilities"] is required and must be an object"#,
            ),
            row(
                "discover without anything",
                Post::legacy("server/discover", json!({})),
                400,
                PARAMS,
                1,
                r#"params._meta["io.modelcontextprotocol/protocolVersion"] is required and must be a string"#,
            ),
            row(
                "no version header",
                echo().without("MCP-Protocol-Version"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-protocol-version is missing; it must say "2026-07-28""#,
            ),
            row(
                "version header says legacy",
                echo().header("MCP-Protocol-Version", "2025-11-25"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-protocol-version says "2025-11-25" and params._meta says "2026-07-28""#,
            ),
            row(
                "two version headers",
                echo().also("MCP-Protocol-Version", "2025-11-25"),
                400,
                MISMATCH,
                1,
                "the header mcp-protocol-version is given twice",
            ),
            row(
                "version header unknown, body known",
                echo().header("MCP-Protocol-Version", "v999"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-protocol-version says "v999" and params._meta says "2026-07-28""#,
            ),
            row(
                "version header known, body unknown",
                meta(json!({ version: "v999", capabilities: {} })),
                400,
                MISMATCH,
                1,
                r#"the header mcp-protocol-version says "2026-07-28" and params._meta says "v999""#,
            ),
            row(
                "both unknown",
                meta(json!({ version: "v999", capabilities: {} })).header("MCP-Protocol-Version", "v999"),
                400,
                VERSION,
                1,
                &unsupported("v999"),
            ),
            row(
                "a legacy version in _meta",
                meta(json!({ version: "2025-11-25", capabilities: {} })).header("MCP-Protocol-Version", "2025-11-25"),
                400,
                VERSION,
                1,
                &unsupported("2025-11-25"),
            ),
            row(
                "legacy header unknown",
                Post::legacy("ping", json!({})).header("MCP-Protocol-Version", "2024-10-07"),
                400,
                VERSION,
                1,
                &unsupported("2024-10-07"),
            ),
            row(
                "legacy header nonsense",
                Post::legacy("ping", json!({})).header("MCP-Protocol-Version", "v999"),
                400,
                VERSION,
                1,
                &unsupported("v999"),
            ),
            row(
                "no Mcp-Method",
                echo().without("Mcp-Method"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-method is missing; it must say "tools/call""#,
            ),
            row(
                "Mcp-Method says something harmless",
                echo().header("Mcp-Method", "tools/list"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-method says "tools/list" and the body says "tools/call""#,
            ),
            row(
                "Mcp-Method in another case",
                echo().header("Mcp-Method", "Tools/Call"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-method says "Tools/Call" and the body says "tools/call""#,
            ),
            row(
                "two Mcp-Methods",
                echo().also("Mcp-Method", "tools/list"),
                400,
                MISMATCH,
                1,
                "the header mcp-method is given twice",
            ),
            row(
                "no Mcp-Name",
                echo().without("Mcp-Name"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-name is missing; it must say "echo""#,
            ),
            row(
                "Mcp-Name says another tool",
                echo().header("Mcp-Name", "add"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-name says "add" and the body says "echo""#,
            ),
            row(
                "Mcp-Name, and no name in the body",
                Post::modern("tools/call", json!({})).header("Mcp-Name", "echo"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-name says "echo" and the body says """#,
            ),
            row(
                "Mcp-Name in broken base64",
                echo().header("Mcp-Name", "=?base64?ZWNobw?="),
                400,
                MISMATCH,
                1,
                r#"the header mcp-name is not base64 of UTF-8: "ZWNobw""#,
            ),
            row(
                "Mcp-Name with raw UTF-8",
                echo().header("Mcp-Name", "écho"),
                400,
                MISMATCH,
                1,
                "the header mcp-name has characters outside visible ASCII",
            ),
            row(
                "a legacy call whose Mcp-Method lies",
                Post::legacy("tools/call", json!({ "name": "echo" })).header("Mcp-Method", "ping"),
                400,
                MISMATCH,
                1,
                r#"the header mcp-method says "ping" and the body says "tools/call""#,
            ),
        ],
    )
    .await;

    for post in [echo().header("Mcp-Name", "=?base64?ZWNobw==?="), echo().header("mcp-NAME", "  echo\t ")] {
        let answer = post.send(address).await;
        assert_eq!(answer.json()["result"]["content"][0]["text"], "x", "{answer:?}");
    }
    let unsupported = meta(json!({ version: "v999", capabilities: {} })).header("MCP-Protocol-Version", "v999");
    let data = unsupported.send(address).await.json()["error"]["data"].clone();
    assert_eq!(data, json!({ "supported": ["2026-07-28"], "requested": "v999" }));
}

const LIMIT: usize = 1000;

fn limited() -> mcp_core::http::Endpoint {
    endpoint().body_limit(LIMIT).body_timeout(Duration::from_millis(300))
}

fn assert_refused(answer: &Answer, status: u16, message: &str) {
    let error = json!({ "jsonrpc": "2.0", "error": { "code": INVALID, "message": message } });
    assert_eq!((answer.status, answer.json()), (status, error));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let address = spawn(limited()).await;
    let too_large = "the body is larger than the 1000 bytes accepted here";

    // Declared: nothing of it is ever sent.
    let declared = Post::new("").header("Content-Length", "1001");
    assert_refused(&declared.send(address).await, 413, too_large);

    // Chunked: refused at the chunk that passes the limit, with the rest of it never sent.
    let head = Post::new("").without("Content-Length").header("Transfer-Encoding", "chunked").bytes();
    let chunk = [b"258\r\n".as_slice(), &[b' '; 600], b"\r\n"].concat();
    assert_refused(&send(address, &[head, chunk.clone(), chunk].concat()).await, 413, too_large);

    let fits = format!("{:<LIMIT$}", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert_eq!(Post::new(fits).send(address).await.status, 200);
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let address = spawn(limited()).await;
    let late = "the body did not arrive within 0.3 seconds";
    assert_refused(&Post::new("{").header("Content-Length", "10").send(address).await, 408, late);

    // A byte now and then does not start the clock again.
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&Post::new("").header("Content-Length", "500").bytes()).await.unwrap();
    let drip = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if connection.write_all(b" ").await.is_err() {
                break;
            }
            let mut answer = [0; 12];
            if let Ok(Ok(12)) = tokio::time::timeout(Duration::from_millis(5), connection.read_exact(&mut answer))
                .await
                .map(|r| r.map(|_| 12))
            {
                assert_eq!(&answer, b"HTTP/1.1 408");
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), drip).await.expect("given up within its time");
}

#[tokio::test]
async fn framing_tricks_do_not_smuggle_a_second_request() {
    let address = spawn(endpoint()).await;
    let inner = Post::legacy("tools/call", json!({ "name": "echo", "arguments": { "message": "smuggled" } })).bytes();
    let outer = || Post::new(inner.clone()).header("Connection", "keep-alive");
    // That the inner request would be answered if anything let it be one.
    let innocent = Post::new("").header("Connection", "keep-alive").bytes();
    assert!(send(address, &[innocent, inner.clone()].concat()).await.body.contains("smuggled"));
    for (name, post) in [
        ("both lengths", outer().header("Transfer-Encoding", "chunked").header("Content-Length", "4")),
        ("two lengths", outer().also("Content-Length", "0")),
        ("a negative length", outer().header("Content-Length", "-1")),
        ("an unknown coding", outer().header("Transfer-Encoding", "xchunked")),
    ] {
        // The server closes the connection, or this would wait for ever.
        let answer = timeout(Duration::from_secs(5), post.send(address)).await.expect(name);
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        assert!(!answer.body.contains("smuggled"), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn nothing_long_is_sent_back() {
    let address = spawn(endpoint()).await;
    let long = "\u{7f}".repeat(300_000);
    let version = json!({
        "io.modelcontextprotocol/protocolVersion": long,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (name, post) in [
        ("method", Post::legacy(&long, json!({}))),
        ("tool", Post::legacy("tools/call", json!({ "name": long }))),
        ("version", Post::legacy("ping", json!({ "_meta": version })).header("MCP-Protocol-Version", "2026-07-28")),
        (
            "argument",
            Post::legacy(
                "tools/call",
                json!({ "name": "echo", "arguments": { "message": "x", "repeat_count": long } }),
            ),
        ),
        (
            "unknown argument",
            Post::legacy("tools/call", json!({ "name": "echo", "arguments": { "message": "x", &long: 1 } })),
        ),
        (
            "a member twice",
            Post::new(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{0}":1,"{0}":2}}"#, "x".repeat(300_000))),
        ),
        ("Host", Post::legacy("ping", json!({})).header("Host", &"x".repeat(100_000))),
        ("Mcp-Method", Post::legacy("ping", json!({})).header("Mcp-Method", &"x".repeat(100_000))),
        (
            "zone",
            Post::legacy("tools/call", json!({ "name": "get_time", "arguments": { "timezone": "x".repeat(100_000) } })),
        ),
    ] {
        let answer = post.send(address).await;
        assert!(answer.body.len() < 1500, "{name}: {} bytes", answer.body.len());
    }
}
