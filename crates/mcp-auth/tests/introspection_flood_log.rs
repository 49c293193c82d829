//! What is logged while there is no room for tokens. Alone in its process, as `outage_log` is.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kept_log;
mod key_server;

use mcp_auth::{ClientCredentials, Introspection, TokenError, TokenVerifier};
use serde_json::json;

use self::{
    kept_log::Log,
    key_server::{AUDIENCE, KeyServer, PATIENCE, Reply},
};

#[tokio::test]
async fn a_flood_is_told_once() {
    let (log, _guard) = Log::listening();
    let (reply, gate) = Reply::json(&json!({ "active": false })).held();
    let server = KeyServer::up(reply).await;
    let client = ClientCredentials::new("echo-mcp-server", "SECRET");
    let introspection = Introspection::builder(&server.at(""), AUDIENCE, client).unwrap().timeout(PATIENCE);
    let introspection = introspection.endpoint(&server.at("/introspect")).unwrap().start();
    let told =
        || log.text().lines().filter(|line| line.contains("WARN") && line.contains("than there is room")).count();
    for expected in [0, 1, 1] {
        assert_eq!(told(), expected, "{}", log.text());
        let flood: Vec<_> = (0..300)
            .map(|n| {
                let introspection = introspection.clone();
                tokio::spawn(async move { introspection.verify(&format!("made-up-{n}")).await })
            })
            .collect();
        key_server::until("they have come", || flood.iter().any(|one| one.is_finished())).await;
        gate.add_permits(300);
        let mut turned_away = 0;
        for request in flood {
            turned_away += usize::from(request.await.unwrap() == Err(TokenError::Unavailable));
        }
        assert_eq!(turned_away, 300 - 192);
    }
    assert_eq!(told(), 1, "{}", log.text());
    assert!(!log.text().lines().any(|line| line.contains("mcp_auth") && line.contains("made-up")), "{}", log.text());
}
