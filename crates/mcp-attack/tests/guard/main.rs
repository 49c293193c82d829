//! Every row against our own server, in process: the exact status, challenge and audit reason, and that the tool did not
//! run. The server is a step's: mcp-auth's guard around mcp-core's endpoint, here with sessions, so that their rows run.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod expected;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, routing::get};
use mcp_attack::{Key, RawRequest, SendError, Target, rows, send};
use mcp_auth::{
    Guard, JwtVerifier, VerifiedTokens,
    keys::{Algorithm, make_pair},
};
use mcp_core::{CallContext, McpServer, Tool, ToolAnnotations, ToolError, http::Endpoint};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Counts its calls.
struct Counter(Arc<AtomicU64>);

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl Tool for Counter {
    const NAME: &'static str = "count";
    const TITLE: &'static str = "Count";
    const DESCRIPTION: &'static str = "Counts its calls.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::UNKNOWN;
    type Input = Nothing;
    type Output = String;

    async fn call(&self, _: &CallContext, _: Nothing) -> Result<String, ToolError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The reasons of the audit events since the last look.
    fn reasons(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let audit = events.filter(|event| event["target"] == "mcp_auth::audit");
        audit.map(|event| event["reason"].as_str().unwrap_or("accepted").to_owned()).collect()
    }
}

/// What a row came to: status, challenge, and what the audit says.
type Seen = (u16, String, String);

#[tokio::test]
async fn every_row_is_refused_for_its_reason() {
    let log = Log::default();
    let writer = log.clone();
    let _logging = tracing::subscriber::set_default(
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish(),
    );
    // One key for each algorithm, two for RS256, the last of which signs.
    let mut keys: Vec<Key> = Vec::new();
    for algorithm in [Algorithm::RS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (private, public) = make_pair(algorithm).unwrap();
        keys.push(Key::new(&private, public).unwrap());
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let url = format!("{issuer}/mcp");
    let public = keys.iter().map(|key| key.public().clone()).collect();
    let verifier = VerifiedTokens::new(JwtVerifier::with_keys(public, &issuer, &url), 100);
    let calls = Arc::new(AtomicU64::new(0));
    let mcp = McpServer::builder("attacked", "1.0.0").tool(Counter(Arc::clone(&calls))).build().unwrap();
    let app = Router::new()
        .route("/health", get(async || "healthy"))
        .route(
            "/mcp",
            Endpoint::new(mcp).legacy_sessions().into_route().layer(Guard::new(verifier).audit_accepted(true)),
        )
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());

    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "count", "arguments": {} } });
    let target = Target::new(url.parse().unwrap()).await.unwrap().leeway(std::time::Duration::from_secs(30)).keys(keys);
    let good = good_token(&target);

    // The good token opens a session and calls the tool in it: what is refused below is refused for what was bent.
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    }});
    let opened = RawRequest::probe(&target).bearer(&good).body(initialize.to_string());
    let opened = send(target.url(), &opened).await.unwrap();
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let target = target.body(call).session(&session);
    let control = RawRequest::probe(&target).bearer(&good).header("Mcp-Session-Id", session);
    assert_eq!(send(target.url(), &control).await.unwrap().status, 200);
    assert_eq!((calls.load(Ordering::Relaxed), log.reasons()), (1, vec!["accepted".to_owned(), "accepted".to_owned()]));

    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for row in rows() {
        let request = row.request(&target).unwrap_or_else(|error| panic!("{}: {error}", row.id));
        let answer = send(target.url(), &request).await;
        let reasons = log.reasons().join(", ");
        let outcome = match answer {
            Ok(answer) => {
                let challenge = answer.header("www-authenticate").unwrap_or("").to_owned();
                (answer.status, challenge, reasons)
            }
            // It hangs up while it is still being written to, and the answer before that may be lost.
            Err(SendError::Closed) if request.may_close => (431, String::new(), reasons),
            Err(error) => panic!("{}: {error}", row.id),
        };
        seen.insert(row.id, outcome);
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{}: the tool ran", row.id);
    }
    assert_eq!(target.attacker().asked(), [] as [String; 0], "nobody asks the attacker's server");

    let mut wrong = Vec::new();
    let mut known = expected::expected();
    for (id, seen) in &seen {
        match known.remove(id) {
            Some(expected) if expected == *seen => {}
            Some(expected) => wrong.push(format!("{id}: {seen:?}, not {expected:?}")),
            None => wrong.push(format!("{id}: {seen:?}, not known")),
        }
    }
    wrong.extend(known.keys().map(|id| format!("{id} is expected and not tried")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn good_token(target: &Target) -> String {
    let row = rows().into_iter().find(|row| row.id == "scheme-missing").unwrap();
    String::from_utf8(row.request(target).unwrap().values("authorization")[0].to_vec()).unwrap()
}
