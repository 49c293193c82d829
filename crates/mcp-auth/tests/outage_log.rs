//! What an outage of the identity provider leaves in the log. Alone in its process: what another test does first decides
//! which events `tracing` makes at all.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kept_log;
mod key_server;

use mcp_auth::TokenError;

use self::{
    kept_log::Log,
    key_server::{Content, KeyServer, Reply, Signer, refused, until_accepted},
};

#[tokio::test]
async fn the_log_tells_of_an_outage_once() {
    let (log, _guard) = Log::listening();
    let key = Signer::new();
    let mut wrong = Reply::keys(&[&key]);
    let Content::Whole(body) = &wrong.body else { unreachable!() };
    wrong.body = Content::Whole([&body[..body.len() - 1], b"SECRET".as_slice()].concat().into());
    let server = KeyServer::up(wrong).await;
    let verifier = server.verifier();
    server.until_hits(3).await;
    refused(&verifier, &key.token(), TokenError::NoKeys).await;
    server.set(Reply::keys(&[&key]));
    until_accepted(&verifier, &key.token()).await;
    let text = log.text();
    let lines = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    let told = ("cannot be fetched; the keys", "still cannot be fetched", "can be fetched again", "public keys");
    assert_eq!((lines(told.0), lines(told.2), lines(told.3)), (1, 1, 1), "{text}");
    assert!(lines("WARN") == 1 && lines(told.1) >= 1 && lines("DEBUG") >= lines(told.1), "{text}");
    let kid = format!("{:?}", [key.kid()]);
    assert!(text.contains(&kid) && text.contains(&server.url()), "{text}");
    assert!(!text.contains("SECRET") && !text.contains(key.jwk()["x"].as_str().unwrap()), "never the body: {text}");
}
