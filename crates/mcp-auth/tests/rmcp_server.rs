//! `examples/rmcp_server.rs`, as rmcp's own client sees it, and as an attacker does: with the strict layer and without.
#![cfg(feature = "signing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    sync::{Arc, LazyLock, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::Router;
use mcp_auth::{
    Guard, JwtVerifier,
    keys::{Algorithm, SigningKey, make_pair},
    strict::StrictJsonRpcLayer,
};
use reqwest::{Client, StatusCode};
use rmcp::{
    ErrorData, Peer, RoleClient, RoleServer, ServerHandler, ServiceExt,
    model::{CallToolRequestParams, PingRequest, ProtocolVersion, ServerRequest},
    service::{ClientLifecycleMode, ClientServiceExt, RunningService},
    tool, tool_handler, tool_router,
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use serde_json::{Value, json};

#[allow(dead_code, reason = "its main is for cargo run")]
#[path = "../examples/rmcp_server.rs"]
mod rmcp_server;

use rmcp_server::{Tools, mcp, protect};

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_pem(&make_pair(Algorithm::EdDSA).unwrap().0, Algorithm::EdDSA).unwrap());

fn verifier() -> JwtVerifier {
    JwtVerifier::with_keys(vec![KEY.public().clone()], ISSUER, AUDIENCE)
}

fn token(name: &str) -> String {
    token_for(name, "mcp:tools")
}

fn token_for(name: &str, scope: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    KEY.sign(&json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": name, "exp": now + 600, "preferred_username": name, "scope": scope,
        "tools": ["echo", "whoami"],
    }))
    .unwrap()
}

/// A server on a free port, and how many calls its tools have answered.
struct Server {
    url: String,
    tools: Tools,
}

impl Server {
    async fn start(app: impl FnOnce(Tools) -> Router) -> Self {
        let tools = Tools::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/mcp", listener.local_addr().unwrap().port());
        tokio::spawn(axum::serve(listener, app(tools.clone())).into_future());
        Self { url, tools }
    }

    /// The example as it is.
    async fn protected() -> Self {
        Self::start(|tools| protect(mcp(tools), verifier())).await
    }

    /// The guard, and rmcp right behind it.
    async fn only_guarded() -> Self {
        Self::start(|tools| Router::new().route_service("/mcp", mcp(tools)).layer(Guard::new(verifier()))).await
    }

    fn calls(&self) -> u64 {
        self.tools.calls.load(Ordering::Relaxed)
    }

    fn transport(&self, token: Option<&str>) -> StreamableHttpClientTransport<Client> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str());
        StreamableHttpClientTransport::from_config(match token {
            Some(token) => config.auth_header(token),
            None => config,
        })
    }

    /// One raw request with a good token: the status, and what came back.
    async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, String) {
        let mut request = Client::new()
            .post(&self.url)
            .bearer_auth(token("mallory"))
            .header("accept", "application/json, text/event-stream");
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

fn lifecycles() -> Vec<(Option<ClientLifecycleMode>, ProtocolVersion)> {
    let modern = vec![ProtocolVersion::V_2026_07_28];
    vec![
        (None, ProtocolVersion::V_2025_11_25),
        (
            Some(ClientLifecycleMode::Auto { preferred_versions: modern.clone(), legacy_version: None }),
            ProtocolVersion::V_2026_07_28,
        ),
        (Some(ClientLifecycleMode::Discover { preferred_versions: modern }), ProtocolVersion::V_2026_07_28),
    ]
}

async fn text(client: &RunningService<RoleClient, ()>, tool: &'static str, arguments: Value) -> String {
    let Value::Object(arguments) = arguments else { panic!() };
    let result = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
    serde_json::to_value(result).unwrap()["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rmcp_clients_of_every_lifecycle_are_let_in_and_known() {
    let server = Server::protected().await;
    for (lifecycle, revision) in lifecycles() {
        for name in ["alice", "bob"] {
            let transport = server.transport(Some(&token(name)));
            let client = match &lifecycle {
                None => ().serve(transport).await.unwrap(),
                Some(lifecycle) => ().serve_with_lifecycle(transport, lifecycle.clone()).await.unwrap(),
            };
            assert_eq!(client.peer_info().unwrap().protocol_version, revision);
            let tools = client.list_all_tools().await.unwrap();
            assert_eq!(tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(), ["echo", "whoami"]);
            let message = "grüße \u{1f44b} \\ \" \n 9007199254740993";
            assert_eq!(text(&client, "echo", json!({ "message": message })).await, message);
            assert_eq!(text(&client, "whoami", json!({})).await, format!("{name} of {ISSUER}"));
            client.cancel().await.unwrap();
        }
    }
    assert_eq!(server.calls(), 12);
}

#[tokio::test]
async fn without_a_good_token_no_client_gets_in() {
    let server = Server::protected().await;
    let forged = token("alice").replace('.', ".A");
    for token in [None, Some(forged.as_str())] {
        for (lifecycle, _) in lifecycles() {
            let transport = server.transport(token);
            let error = match lifecycle {
                None => ().serve(transport).await.unwrap_err(),
                Some(lifecycle) => ().serve_with_lifecycle(transport, lifecycle).await.unwrap_err(),
            };
            let error = format!("{error:?}");
            assert!(error.contains("AuthRequired("), "{error}");
        }
    }
    let bare = Client::new().post(&server.url).body("{}").send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    assert!(bare.headers().contains_key("www-authenticate"));
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn without_the_scope_no_client_calls_and_each_is_told_what_it_needs() {
    let server = Server::protected().await;
    for (lifecycle, _) in lifecycles() {
        let transport = server.transport(Some(&token_for("alice", "mcp:read")));
        let client = match lifecycle {
            None => ().serve(transport).await.unwrap(),
            Some(lifecycle) => ().serve_with_lifecycle(transport, lifecycle).await.unwrap(),
        };
        // rmcp writes the list, and the layer does not look into answers.
        assert_eq!(client.list_all_tools().await.unwrap().len(), 2);
        for (tool, needed) in [("echo", Some("mcp:read mcp:tools")), ("wipe", None)] {
            let error = format!("{:?}", client.call_tool(CallToolRequestParams::new(tool)).await.unwrap_err());
            match needed {
                Some(scope) => assert!(error.contains(&format!("required_scope: Some({scope:?})")), "{error}"),
                // Outside the token's claim `tools`: nothing to step up to.
                None => assert!(!error.contains("InsufficientScope") && error.contains("403"), "{error}"),
            }
        }
        client.cancel().await.unwrap();
    }
    assert_eq!(server.calls(), 0);
}

/// What bare rmcp 3.9 makes of an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bare {
    /// It gets through: the tool answers with this.
    Runs(&'static str),
    /// It does not, for a reason of rmcp's own.
    Refuses(u16),
}

use Bare::{Refuses, Runs};

/// One header and its value.
type Header = (&'static str, &'static str);

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#;
const MODERN: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const VERSION: Header = ("mcp-protocol-version", "2026-07-28");
const METHOD: Header = ("mcp-method", "tools/call");
const NAME: Header = ("mcp-name", "echo");

/// An attack, what the strict layer answers (status and code), and what bare rmcp does.
type Attack = (&'static str, Vec<Header>, Vec<u8>, (u16, i64), Bare);

fn attacks() -> Vec<Attack> {
    let with = |old: &str, new: &str| CALL.replace(old, new).into_bytes();
    let modern = || vec![VERSION, METHOD, NAME];
    let id = r#""id":7"#;
    let message = r#"{"message":"hi"}"#;
    vec![
        // Twice. rmcp's typed members may not repeat; its free ones may, and the last wins.
        ("an argument", vec![], with(message, r#"{"message":"ho","message":"hi"}"#), (400, -32600), Runs("hi")),
        (
            "the version in _meta",
            modern(),
            MODERN
                .replace(r#""_meta":{"#, r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","#)
                .into(),
            (400, -32600),
            Runs("hi"),
        ),
        // Not refused as such: the params do not fit `tools/call`, so it is a custom request that nobody serves.
        ("name", vec![], with(r#""name":"echo""#, r#""name":"whoami","name":"echo""#), (400, -32600), Refuses(200)),
        (
            "arguments",
            vec![],
            with(message, r#"{"message":"ho"},"arguments":{"message":"hi"}"#),
            (400, -32600),
            Refuses(200),
        ),
        ("params", vec![], with(r#""params""#, r#""params":{"name":"whoami"},"params""#), (400, -32600), Refuses(415)),
        ("method", vec![], with(id, r#""id":7,"method":"tools/list""#), (400, -32600), Refuses(415)),
        ("id", vec![], with(id, r#""id":6,"id":7"#), (400, -32600), Refuses(415)),
        // A batch.
        ("a batch", vec![], format!("[{CALL},{CALL}]").into(), (400, -32600), Refuses(415)),
        // Media. rmcp does not look at Content-Encoding, and at the first Content-Type without its parameters.
        ("said to be gzip", vec![("content-encoding", "gzip")], CALL.into(), (415, -32600), Runs("hi")),
        (
            "two media types",
            vec![("content-type", "application/json"), ("content-type", "text/plain")],
            CALL.into(),
            (415, -32600),
            Runs("hi"),
        ),
        (
            "said to be UTF-16",
            vec![("content-type", "application/json; charset=utf-16")],
            CALL.into(),
            (415, -32600),
            Runs("hi"),
        ),
        // Headers and body. Before 2026-07-28 rmcp does not compare them.
        ("another name, legacy", vec![("mcp-name", "whoami")], CALL.into(), (400, -32020), Runs("hi")),
        (
            "another name, 2025-11-25",
            vec![("mcp-name", "whoami"), ("mcp-protocol-version", "2025-11-25")],
            CALL.into(),
            (400, -32020),
            Runs("hi"),
        ),
        ("another method, legacy", vec![("mcp-method", "tools/list")], CALL.into(), (400, -32020), Runs("hi")),
        ("two names, legacy", vec![NAME, ("mcp-name", "whoami")], CALL.into(), (400, -32020), Runs("hi")),
        (
            "two versions",
            vec![VERSION, ("mcp-protocol-version", "2025-11-25"), METHOD, NAME],
            MODERN.into(),
            (400, -32020),
            Runs("hi"),
        ),
        (
            "another name, modern",
            vec![VERSION, METHOD, ("mcp-name", "whoami")],
            MODERN.into(),
            (400, -32020),
            Refuses(400),
        ),
        ("two names, modern", vec![VERSION, METHOD, NAME, NAME], MODERN.into(), (400, -32020), Refuses(400)),
        ("another version", vec![("mcp-protocol-version", "2025-11-25")], MODERN.into(), (400, -32020), Refuses(400)),
        // Members that rmcp does not read, and another parser might.
        ("a foreign member", vec![], with(id, r#""id":7,"x":1"#), (400, -32600), Runs("hi")),
        ("Method", vec![], with(id, r#""id":7,"Method":"tools/list""#), (400, -32600), Runs("hi")),
        ("Name", vec![], with(r#""name""#, r#""Name":"whoami","name""#), (400, -32600), Runs("hi")),
        // To everybody but serde_json's own `Value` this argument is an object.
        (
            "JSON in a string",
            vec![],
            with(r#""hi""#, r#"{"$serde_json::private::RawValue":"\"unwrapped\""}"#),
            (400, -32600),
            Runs("unwrapped"),
        ),
        // A call without an id is accepted as a notification of which nothing comes.
        ("no id", vec![], with(r#""id":7,"#, ""), (400, -32600), Refuses(202)),
    ]
}

#[tokio::test]
async fn what_bare_rmcp_lets_through_the_layer_stops() {
    let bare = Server::only_guarded().await;
    let protected = Server::protected().await;
    for (headers, body) in [(vec![], CALL), (vec![VERSION, METHOD, NAME], MODERN)] {
        for server in [&bare, &protected] {
            let (status, text) = server.post(&headers, body.into()).await;
            assert!(status.is_success() && text.contains(r#""text":"hi""#), "{status} {text}");
            assert_eq!(server.tools.calls.swap(0, Ordering::Relaxed), 1);
        }
    }
    for (what, headers, body, (refusal, code), expected) in attacks() {
        let (status, text) = bare.post(&headers, body.clone()).await;
        let ran = bare.tools.calls.swap(0, Ordering::Relaxed);
        match expected {
            Runs(said) => {
                assert_eq!((status.as_u16(), ran), (200, 1), "{what}: {text}");
                assert!(text.contains(&format!(r#""text":"{said}""#)), "{what}: {text}");
            }
            Refuses(with) => assert_eq!((status.as_u16(), ran), (with, 0), "{what}: {text}"),
        }

        let (status, text) = protected.post(&headers, body).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {status} {text}"));
        assert_eq!((status.as_u16(), answer["error"]["code"].as_i64()), (refusal, Some(code)), "{what}: {text}");
        assert_eq!(protected.calls(), 0, "{what}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_and_other_hosts_are_refused() {
    let server = Server::protected().await;
    for (header, status) in [
        (("origin", "https://evil.example"), 403),
        (("origin", "http://localhost.evil.example"), 403),
        (("host", "evil.example"), 403),
        (("origin", "http://localhost:6274"), 200),
    ] {
        assert_eq!(server.post(&[header], CALL.into()).await.0.as_u16(), status, "{header:?}");
    }
    assert_eq!(server.calls(), 1);
}

/// Asks its client back before it answers.
#[derive(Clone)]
struct AsksBack;

#[tool_router]
impl AsksBack {
    /// Answers once the client has.
    #[tool]
    async fn ask(&self, client: Peer<RoleServer>) -> Result<String, ErrorData> {
        let ping = ServerRequest::PingRequest(PingRequest::default());
        let answer = client.send_request(ping).await.map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
        Ok(serde_json::to_string(&answer).unwrap())
    }
}

#[tool_handler]
impl ServerHandler for AsksBack {}

/// Sessions need more than requests: a stream by GET, responses that are POSTed, an end by DELETE.
#[tokio::test]
async fn legacy_sessions_work_through_the_layer() {
    let sessions = Arc::new(LocalSessionManager::default());
    let manager = Arc::clone(&sessions);
    let server = Server::start(|_| {
        let mcp = StreamableHttpService::new(|| Ok(AsksBack), manager, StreamableHttpServerConfig::default());
        Router::new().route_service("/mcp", mcp).layer(StrictJsonRpcLayer::new()).layer(Guard::new(verifier()))
    })
    .await;
    let client = ().serve(server.transport(Some(&token("alice")))).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(30), text(&client, "ask", json!({}))).await;
    assert_eq!(answer.unwrap(), "{}");
    assert_eq!(sessions.sessions.read().await.len(), 1);
    client.cancel().await.unwrap();
    assert_eq!(sessions.sessions.read().await.len(), 0);
}
