//! The official Rust client against steps 4 and 6, as they are built: each lifecycle, by each name of this machine.
//! [`oauth`]: the same client without a token, against those that give it one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

// The person is a shell script.
#[cfg(unix)]
mod oauth;

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use mcp_auth::keys::{Algorithm, SigningKey};
use rmcp::{
    ClientHandler, RoleClient,
    model::{CallToolRequestParams, GetPromptRequestParams, ProgressNotificationParam, ProtocolVersion},
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext, RunningService},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A step on a free port, killed when dropped.
struct Server {
    _process: Child,
    port: u16,
}

impl Server {
    async fn start(program: &str, args: &[&str]) -> Self {
        let mut process = Command::new(program)
            .args(["--port", "0"])
            .args(args)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        while let Some(line) = log.next_line().await.unwrap() {
            if let Some((_, port)) = line.rsplit_once("listening on http://localhost:") {
                let port = port.trim().parse().unwrap();
                // Somebody has to read the rest, or the server would wait at a full pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                return Self { _process: process, port };
            }
        }
        panic!("{program} did not start");
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/mcp", self.port)
    }
}

/// How much is done, of how much.
type Progress = (f64, Option<f64>);

/// Keeps the progress it is told of.
#[derive(Clone, Default)]
struct Client(Arc<Mutex<Vec<Progress>>>);

impl ClientHandler for Client {
    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.lock().unwrap().push((params.progress, params.total));
    }
}

type Connection = RunningService<RoleClient, Client>;

async fn call(client: &Connection, name: &'static str, arguments: Value) -> (Value, bool) {
    let Value::Object(arguments) = arguments else { panic!() };
    let result =
        client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await.unwrap_or_else(|error| {
            panic!("{name}: {error}");
        });
    let result = serde_json::to_value(result).unwrap();
    let failed = result["isError"].as_bool().unwrap_or_default();
    let value = if result["structuredContent"].is_null() {
        &result["content"][0]["text"]
    } else {
        &result["structuredContent"]
    };
    (value.clone(), failed)
}

/// Each lifecycle, and the revision that comes of it.
fn lifecycles() -> [(ClientLifecycleMode, ProtocolVersion); 3] {
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let auto = ClientLifecycleMode::Auto { preferred_versions: modern.clone(), legacy_version: None };
    let discover = ClientLifecycleMode::Discover { preferred_versions: modern };
    [
        // The default: a handshake that names 2026-07-28 and has to be talked down.
        (ClientLifecycleMode::Initialize, ProtocolVersion::V_2025_11_25),
        (auto, ProtocolVersion::V_2026_07_28),
        (discover, ProtocolVersion::V_2026_07_28),
    ]
}

/// The progress that the connection is told of ends up in `seen`.
async fn connect(
    url: &str,
    token: Option<&str>,
    lifecycle: ClientLifecycleMode,
    seen: &Client,
) -> Result<Connection, ClientInitializeError> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    seen.clone().serve_with_lifecycle(StreamableHttpClientTransport::from_config(config), lifecycle).await
}

/// Everything, by each name and in each lifecycle.
async fn everywhere(server: &Server, token: Option<&str>, tools: &[&str]) {
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        for (lifecycle, revision) in lifecycles() {
            let seen = Client::default();
            let client = connect(&server.url(host), token, lifecycle, &seen).await.unwrap();
            assert_eq!(client.peer_info().unwrap().protocol_version, revision);
            everything(&client, &seen, tools).await;
            client.cancel().await.unwrap();
        }
    }
}

async fn everything(client: &Connection, seen: &Client, tools: &[&str]) {
    let listed = client.list_all_tools().await.unwrap();
    let names: Vec<_> = listed.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, tools);
    let prompts = client.list_all_prompts().await.unwrap();
    let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["greeting", "help"]);

    assert_eq!(call(client, "echo", json!({ "message": "hi", "repeat_count": 3 })).await, (json!("hi\nhi\nhi"), false));
    // rmcp asks for progress with every call.
    assert_eq!(*seen.0.lock().unwrap(), [(1.0, Some(3.0)), (2.0, Some(3.0)), (3.0, Some(3.0))]);
    assert_eq!(call(client, "add", json!({ "a": 2, "b": 40 })).await, (json!({ "result": 42 }), false));
    assert_eq!(call(client, "multiply", json!({ "x": 6, "y": 7 })).await, (json!({ "result": 42 }), false));
    let (time, _) = call(client, "get_time", json!({ "timezone": "Asia/Tokyo" })).await;
    assert!(time.as_str().unwrap().ends_with("+09:00[Asia/Tokyo]"), "{time}");
    let (refusal, failed) = call(client, "echo", json!({ "message": "hi", "repeat_count": 11 })).await;
    assert!(failed && refusal.as_str().unwrap().contains("maximum of 10"), "{refusal}");

    let Value::Object(arguments) = json!({ "name": "Bob" }) else { panic!() };
    let greeting = client.get_prompt(GetPromptRequestParams::new("greeting").with_arguments(arguments)).await.unwrap();
    assert!(serde_json::to_string(&greeting.messages).unwrap().contains("Bob"));
    let help = client.get_prompt(GetPromptRequestParams::new("help")).await.unwrap();
    assert_eq!(help.messages.len(), 1);
}

#[tokio::test]
async fn rmcp_lists_calls_and_sees_progress() {
    let server = Server::start(env!("CARGO_BIN_EXE_step4"), &[]).await;
    everywhere(&server, None, &["echo", "get_time", "add", "multiply"]).await;
}

#[tokio::test]
async fn with_a_token_rmcp_does_the_same_and_is_known_and_without_one_it_is_unauthorized() {
    let keys = tempfile::tempdir().unwrap();
    let key = SigningKey::create(keys.path(), Algorithm::ES256).unwrap();
    let server = Server::start(env!("CARGO_BIN_EXE_step6"), &["--key-dir", keys.path().to_str().unwrap()]).await;
    let issuer = format!("http://localhost:{}", server.port);
    let claims = json!({ "iss": issuer, "aud": format!("{issuer}/mcp"), "sub": "alice", "exp": 4_000_000_000_u64 });
    let token = key.sign(&claims).unwrap();
    everywhere(&server, Some(&token), &["echo", "get_time", "add", "multiply", "whoami"]).await;

    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = SigningKey::create(elsewhere.path(), Algorithm::ES256).unwrap().sign(&claims).unwrap();
    let unknown = r#"Bearer error="invalid_token", error_description="the token is signed with an unknown key""#;
    let url = server.url("localhost");
    for (lifecycle, _) in lifecycles() {
        let client = connect(&url, Some(&token), lifecycle.clone(), &Client::default()).await.unwrap();
        let known = json!({ "subject": "alice", "issuer": issuer });
        assert_eq!(call(&client, "whoami", json!({})).await, (known, false));
        client.cancel().await.unwrap();

        for (token, challenge) in [(None, "Bearer"), (Some(stranger.as_str()), unknown)] {
            let error = connect(&url, token, lifecycle.clone(), &Client::default()).await.err().unwrap();
            assert!(error.is_authorization_required(), "{error:?}");
            assert_eq!(error.auth_challenge(), Some(challenge));
        }
    }
}
