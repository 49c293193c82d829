//! Both eras as their clients see them: the decision table of the two handshakes, and the shape of every result.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Post, endpoint, send, spawn};
use serde_json::{Value, json};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

#[tokio::test]
async fn initialize_negotiates_and_never_answers_a_modern_revision() {
    let address = spawn(endpoint()).await;
    for (asked, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        // rmcp's default handshake sends this.
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("nonsense", "2025-11-25"),
    ] {
        let answer = Post::legacy("initialize", json!({ "protocolVersion": asked })).send(address).await;
        assert_eq!(
            answer.json()["result"],
            json!({
                "protocolVersion": answered,
                "capabilities": { "tools": {}, "prompts": {} },
                "serverInfo": { "name": "test", "version": "1.2.3" },
            }),
            "{asked}"
        );
        assert_eq!(answer.header("mcp-session-id"), None);
    }
}

#[tokio::test]
async fn a_modern_header_alone_makes_a_request_modern() {
    let address = spawn(endpoint()).await;
    let answer = Post::legacy("initialize", json!({ "protocolVersion": "2026-07-28" }))
        .header("MCP-Protocol-Version", "2026-07-28")
        .send(address)
        .await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32602)));
}

#[tokio::test]
async fn discover() {
    let answer = Post::modern("server/discover", json!({})).send(spawn(endpoint()).await).await;
    assert_eq!(
        answer.json(),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": {}, "prompts": {} },
            "ttlMs": 60000,
            "cacheScope": "public",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "test", "version": "1.2.3" } },
        } })
    );
}

/// The same answer in both eras, but for what the modern one adds.
async fn both(method: &str, params: Value, cacheable: bool) -> Value {
    let address = spawn(endpoint()).await;
    let legacy = Post::legacy(method, params.clone()).send(address).await;
    let modern = Post::modern(method, params).send(address).await;
    assert_eq!((legacy.status, modern.status), (200, 200), "{legacy:?} {modern:?}");
    let (legacy, mut modern) = (legacy.json()["result"].clone(), modern.json()["result"].clone());
    let result = modern.as_object_mut().unwrap();
    assert_eq!(result.remove("resultType"), Some(json!("complete")));
    assert_eq!(
        result.remove("_meta"),
        Some(json!({ "io.modelcontextprotocol/serverInfo": { "name": "test", "version": "1.2.3" } }))
    );
    let hints = (result.remove("ttlMs"), result.remove("cacheScope"));
    assert_eq!(hints, if cacheable { (Some(json!(60000)), Some(json!("public"))) } else { (None, None) });
    assert_eq!(legacy, modern);
    legacy
}

#[tokio::test]
async fn lists() {
    let tools = both("tools/list", json!({}), true).await;
    let names: Vec<_> = tools["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["echo", "get_time", "add", "multiply"]);
    for tool in tools["tools"].as_array().unwrap() {
        for member in ["title", "description"] {
            assert!(tool[member].as_str().is_some_and(|text| !text.is_empty()), "{tool}");
        }
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
        assert_eq!(tool["annotations"]["readOnlyHint"], true);
    }
    assert_eq!(
        tools["tools"][2]["outputSchema"],
        json!({ "type": "object", "properties": { "result": { "type": "number", "description": "The result." } }, "required": ["result"] })
    );

    let prompts = both("prompts/list", json!({}), true).await;
    assert_eq!(
        prompts["prompts"],
        json!([
            { "name": "greeting", "title": "Greeting", "description": "Greets somebody by name.", "arguments": [
                { "name": "name", "description": "Whom to greet.", "required": true },
                { "name": "style", "description": "friendly (the default) or formal.", "required": false },
            ] },
            { "name": "help", "title": "Help", "description": "Explains what this server can do." },
        ])
    );
}

#[tokio::test]
async fn calls() {
    let text = |text: &str| json!({ "content": [{ "type": "text", "text": text }], "isError": false });
    let call = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let echo = both("tools/call", call("echo", json!({ "message": "hé\n", "repeat_count": 2 })), false).await;
    assert_eq!(echo, text("hé\n\nhé\n"));

    for (name, arguments, result) in [
        ("add", json!({ "a": 2, "b": 40 }), json!(42)),
        ("add", json!({ "a": 9_007_199_254_740_993_u64, "b": 1 }), json!(9_007_199_254_740_994_u64)),
        ("add", json!({ "a": 0.5, "b": 2.0 }), json!(2.5)),
        ("multiply", json!({ "x": -6, "y": 7.0 }), json!(-42)),
    ] {
        let sum = both("tools/call", call(name, arguments), false).await;
        let structured = json!({ "result": result });
        assert_eq!(sum["structuredContent"], structured);
        assert_eq!(sum["content"], json!([{ "type": "text", "text": structured.to_string() }]));
    }

    let time = both("tools/call", call("get_time", json!({ "timezone": "Asia/Tokyo" })), false).await;
    assert!(time["content"][0]["text"].as_str().unwrap().ends_with("+09:00[Asia/Tokyo]"), "{time}");

    let greeting = both("prompts/get", call("greeting", json!({ "name": "Bob", "style": "formal" })), false).await;
    assert_eq!(
        greeting,
        json!({
            "description": "Greets somebody by name.",
            "messages": [{ "role": "user", "content": { "type": "text", "text": "Write a formal greeting for Bob." } }],
        })
    );
    let help = both("prompts/get", json!({ "name": "help" }), false).await;
    assert_eq!(help["messages"][0]["role"], "user");
}

#[tokio::test]
async fn structured_results_match_their_schema() {
    let tools = both("tools/list", json!({}), true).await;
    for (index, arguments) in [(2, json!({ "a": 1, "b": 2 })), (3, json!({ "x": 1.5, "y": 3 }))] {
        let tool = &tools["tools"][index];
        let result = both("tools/call", json!({ "name": tool["name"], "arguments": arguments }), false).await;
        jsonschema::validate(&tool["outputSchema"], &result["structuredContent"]).unwrap();
    }
}

#[tokio::test]
async fn notifications_are_accepted_with_nothing() {
    let address = spawn(endpoint()).await;
    let initialized = || Post::new(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    for post in [
        initialized(),
        initialized().header("MCP-Protocol-Version", "2025-06-18"),
        initialized().header("MCP-Protocol-Version", "2026-07-28"),
        Post::new(r#"{"jsonrpc":"2.0","method":"notifications/never/heard/of","params":{"a":1}}"#),
    ] {
        let answer = post.send(address).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("content-type")), (202, "", None));
    }
    let meta = |version: &str| {
        let params = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": version } });
        Post::new(json!({ "jsonrpc": "2.0", "method": "notifications/x", "params": params }).to_string())
    };
    assert_eq!(meta("2026-07-28").send(address).await.status, 202);
    for (post, code) in [
        (meta("v999"), -32022),
        (meta("v999").header("MCP-Protocol-Version", "2025-11-25"), -32020),
        (meta("2026-07-28").header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", "tools/call"), -32020),
    ] {
        let answer = post.send(address).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(code)));
    }
    for version in ["2030-01-01", "1999-01-01"] {
        let answer = initialized().header("MCP-Protocol-Version", version).send(address).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32022)), "{version}");
    }
}

#[tokio::test]
async fn ids_come_back_as_they_came() {
    let address = spawn(endpoint()).await;
    for id in [r#""""#, r#""ünï""#, "0", "-1", "18446744073709551615"] {
        let answer = Post::new(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).send(address).await;
        assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
}

#[tokio::test]
async fn progress_comes_as_a_stream_to_those_who_asked_and_accept_it() {
    let address = spawn(endpoint()).await;
    let params = |token: Value| json!({ "name": "echo", "arguments": { "message": "x", "repeat_count": 3 }, "_meta": { "progressToken": token } });
    for post in [Post::legacy("tools/call", params(json!("t"))), Post::modern("tools/call", params(json!("t")))] {
        let answer = post.header("Accept", "application/json, text/event-stream").send(address).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        let events = answer.events();
        assert_eq!(events.len(), 4, "{events:?}");
        for (n, event) in events[..3].iter().enumerate() {
            let params = json!({ "progressToken": "t", "progress": n + 1, "total": 3 });
            assert_eq!(event, &json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }));
        }
        assert_eq!(events[3]["result"]["content"][0]["text"], "x\nx\nx");
    }

    let plain = Post::legacy("tools/call", params(json!(7))).header("Accept", "application/json").send(address).await;
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(plain.json()["result"]["content"][0]["text"], "x\nx\nx");
}

#[tokio::test]
async fn a_client_that_takes_only_a_stream_gets_one() {
    let address = spawn(endpoint()).await;
    let answer = Post::legacy("tools/list", json!({})).header("Accept", "text/event-stream").send(address).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.events()[0]["result"]["tools"][0]["name"], "echo");
    assert_eq!(answer.events().len(), 1);
}

#[tokio::test]
async fn list_only_lists_and_runs_nothing() {
    let server = common::builder().list_only().build().unwrap();
    let address = spawn(mcp_core::http::Endpoint::new(server)).await;
    assert_eq!(Post::legacy("tools/list", json!({})).send(address).await.status, 200);
    for (method, name) in [("tools/call", "echo"), ("prompts/get", "help")] {
        let params = json!({ "name": name, "arguments": {} });
        let legacy = Post::legacy(method, params.clone()).send(address).await;
        let modern = Post::modern(method, params).send(address).await;
        assert_eq!((legacy.status, modern.status), (200, 404));
        for answer in [legacy, modern] {
            assert_eq!(answer.json()["error"]["code"], -32601);
        }
    }
}

#[tokio::test]
async fn a_server_without_tools_has_no_tools_capability() {
    let server = mcp_core::McpServer::builder("bare", "0").build().unwrap();
    let address = spawn(mcp_core::http::Endpoint::new(server)).await;
    let answer = Post::legacy("initialize", json!({ "protocolVersion": "2025-11-25" })).send(address).await;
    assert_eq!(answer.json()["result"]["capabilities"], json!({}));
    let answer = Post::modern("tools/list", json!({})).send(address).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!(-32601)));
}

#[tokio::test]
async fn a_session_header_without_sessions_is_ignored() {
    let address = spawn(endpoint()).await;
    let answer = Post::legacy("ping", json!({})).header("Mcp-Session-Id", "made-up").send(address).await;
    assert_eq!((answer.status, answer.header("mcp-session-id")), (200, None));
}

#[tokio::test]
async fn both_eras_share_one_connection() {
    let address = spawn(endpoint()).await;
    let body = format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{{{META}}}}}"#);
    let modern = Post::new(body).header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", "tools/list");
    let first = Post::legacy("ping", json!({})).header("Connection", "keep-alive").bytes();
    let answers = send(address, &[first, modern.bytes()].concat()).await;
    // Both responses of the connection, one after the other.
    assert!(answers.body.contains(r#""id":1,"result":{}"#) && answers.body.contains(r#""resultType":"complete""#));
}
