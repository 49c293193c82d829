//! What is logged while tokens cannot be introspected. Alone in its process, as `outage_log` is.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kept_log;
mod key_server;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use mcp_auth::{ClientCredentials, Introspection, TokenError, TokenVerifier};
use serde_json::json;

use self::{
    kept_log::Log,
    key_server::{AUDIENCE, KeyServer, Reply, claims},
};

#[tokio::test]
async fn our_own_mistake_is_told_loudly_and_once() {
    let (log, _guard) = Log::listening();
    let server = KeyServer::up(Reply::status(500)).await;
    let client = ClientCredentials::new("echo-mcp-server", "SECRET");
    let introspection = Introspection::builder(&server.at(""), AUDIENCE, client).unwrap();
    let introspection = introspection.endpoint(&server.at("/introspect")).unwrap().remember_for(Duration::ZERO).start();
    let count = |level: &str, what: &str| {
        let ours = log.text();
        ours.lines().filter(|line| line.contains("mcp_auth") && line.contains(level) && line.contains(what)).count()
    };
    let down = async |times: usize| {
        for _ in 0..times {
            assert_eq!(introspection.verify("TOKEN").await, Err(TokenError::Unavailable));
        }
    };
    down(3).await;
    assert_eq!((count("WARN", "500"), count("ERROR", "")), (1, 0), "{}", log.text());
    server.set(Reply::status(401));
    down(3).await;
    assert_eq!((count("WARN", ""), count("ERROR", "client secret of \"echo-mcp-server\"")), (1, 1), "{}", log.text());
    let mut answer = claims();
    answer["active"] = json!(true);
    answer["iss"] = json!(server.at(""));
    server.set(Reply::json(&answer));
    introspection.verify("TOKEN").await.unwrap();
    assert_eq!(count("INFO", "answers about tokens again"), 1, "{}", log.text());
    server.set(Reply::status(401));
    down(1).await;
    assert_eq!(count("ERROR", ""), 2, "another time is another mistake");
    let text = log.text();
    assert!(!text.contains("SECRET") && !text.contains("TOKEN") && !text.contains("alice"), "{text}");
    assert!(!text.contains(&BASE64_STANDARD.encode("echo-mcp-server:SECRET")[..20]), "nor in Base64: {text}");
}
