//! The official Rust client against step 4, as it is built: each lifecycle, by both names of this machine.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{process::Stdio, sync::Arc, sync::Mutex};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{CallToolRequestParams, GetPromptRequestParams, ProgressNotificationParam, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RunningService},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Step 4 on a free port, killed when dropped.
struct Step4 {
    _process: Child,
    port: u16,
}

impl Step4 {
    async fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_step4"))
            .args(["--port", "0"])
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
        panic!("step4 did not start");
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

async fn everything(client: Connection, seen: Client, revision: ProtocolVersion) {
    assert_eq!(client.peer_info().unwrap().protocol_version, revision);
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, ["echo", "get_time", "add", "multiply"]);
    let prompts = client.list_all_prompts().await.unwrap();
    let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["greeting", "help"]);

    assert_eq!(
        call(&client, "echo", json!({ "message": "hi", "repeat_count": 3 })).await,
        (json!("hi\nhi\nhi"), false)
    );
    // rmcp asks for progress with every call.
    assert_eq!(*seen.0.lock().unwrap(), [(1.0, Some(3.0)), (2.0, Some(3.0)), (3.0, Some(3.0))]);
    assert_eq!(call(&client, "add", json!({ "a": 2, "b": 40 })).await, (json!({ "result": 42 }), false));
    assert_eq!(call(&client, "multiply", json!({ "x": 6, "y": 7 })).await, (json!({ "result": 42 }), false));
    let (time, _) = call(&client, "get_time", json!({ "timezone": "Asia/Tokyo" })).await;
    assert!(time.as_str().unwrap().ends_with("+09:00[Asia/Tokyo]"), "{time}");
    let (refusal, failed) = call(&client, "echo", json!({ "message": "hi", "repeat_count": 11 })).await;
    assert!(failed && refusal.as_str().unwrap().contains("maximum of 10"), "{refusal}");

    let Value::Object(arguments) = json!({ "name": "Bob" }) else { panic!() };
    let greeting = client.get_prompt(GetPromptRequestParams::new("greeting").with_arguments(arguments)).await.unwrap();
    assert!(serde_json::to_string(&greeting.messages).unwrap().contains("Bob"));
    let help = client.get_prompt(GetPromptRequestParams::new("help")).await.unwrap();
    assert_eq!(help.messages.len(), 1);
    client.cancel().await.unwrap();
}

fn transport(url: String) -> StreamableHttpClientTransport<reqwest::Client> {
    StreamableHttpClientTransport::from_config(StreamableHttpClientTransportConfig::with_uri(url))
}

#[tokio::test]
async fn rmcp_lists_calls_and_sees_progress() {
    let server = Step4::start().await;
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let url = format!("http://{host}:{}/mcp", server.port);

        // The default lifecycle: a handshake that names 2026-07-28 and has to be talked down.
        let seen = Client::default();
        let client = seen.clone().serve(transport(url.clone())).await.unwrap();
        everything(client, seen, ProtocolVersion::V_2025_11_25).await;

        let modern = vec![ProtocolVersion::V_2026_07_28];
        for lifecycle in [
            ClientLifecycleMode::Auto { preferred_versions: modern.clone(), legacy_version: None },
            ClientLifecycleMode::Discover { preferred_versions: modern.clone() },
        ] {
            let seen = Client::default();
            let client = seen.clone().serve_with_lifecycle(transport(url.clone()), lifecycle).await.unwrap();
            everything(client, seen, ProtocolVersion::V_2026_07_28).await;
        }
    }
}
