//! Clients whose id is a URL (draft-ietf-oauth-client-id-metadata-document): a request forgery by invitation. Each of
//! these URLs leads to where the server is, or to none, and must not be followed at all.

use super::{
    authorization::{SUSPICIOUS, timed},
    client::VERIFIER,
    found::{Finding, Found, said},
    rows::{Area, Needs, Probe, Rows},
    server::Server,
    trap::Trap,
};

const INSIDE: &str = "OAuth Client ID Metadata Document §8.6; CWE-918";
const FORM: &str = "OAuth Client ID Metadata Document §3";

pub(super) fn rows() -> Vec<Probe> {
    let documents = Needs::ClientDocuments;
    Rows::of(Area::ClientDocuments)
        .breach(("document-link-local", "at the cloud's metadata service", INSIDE), documents, |s| {
            Box::pin(link_local(s))
        })
        .breach(("document-loopback", "at 127.0.0.1", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://127.0.0.1:{port}/client.json")))
        })
        .breach(("document-localhost", "at localhost", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://localhost:{port}/client.json")))
        })
        .breach(("document-loopback-v6", "at [::1]", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://[::1]:{port}/client.json")))
        })
        .breach(("document-mapped", "at 127.0.0.1 as an IPv6 address", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://[::ffff:127.0.0.1]:{port}/client.json")))
        })
        .breach(("document-unspecified", "at 0.0.0.0", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://0.0.0.0:{port}/client.json")))
        })
        .breach(("document-decimal", "at 127.0.0.1 as one number", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://2130706433:{port}/client.json")))
        })
        .breach(("document-hexadecimal", "at 127.0.0.1 in hexadecimal", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://0x7f000001:{port}/client.json")))
        })
        .breach(("document-octal", "at 127.0.0.1 in octal", INSIDE), documents, |s| {
            Box::pin(asked(s, |port| format!("https://0177.0.0.1:{port}/client.json")))
        })
        .breach(("document-http", "over plain http", FORM), documents, |s| {
            Box::pin(asked(s, |port| format!("http://127.0.0.1:{port}/client.json")))
        })
        .breach(("document-userinfo", "with a user before the host", FORM), documents, |s| {
            Box::pin(asked(s, |port| format!("https://client.example@127.0.0.1:{port}/client.json")))
        })
        .breach(("document-fragment", "with a fragment", FORM), documents, |s| {
            Box::pin(asked(s, |port| format!("https://localhost:{port}/client.json#x")))
        })
        .breach(("document-dot-segments", "with a .. in its path", FORM), documents, |s| {
            Box::pin(asked(s, |port| format!("https://localhost:{port}/x/../client.json")))
        })
        .breach(("document-no-path", "without a path", FORM), documents, |s| {
            Box::pin(asked(s, |port| format!("https://localhost:{port}")))
        })
        .breach(("document-token-endpoint", "at 127.0.0.1, for the token endpoint", INSIDE), documents, |s| {
            Box::pin(redeemed(s))
        })
        .done()
}

async fn asked(server: &Server, id: fn(u16) -> String) -> Finding {
    let trap = Trap::set().await?;
    let id = id(trap.port);
    let client = server.native().or_else(|_| server.exact())?;
    let visit = server.ask(&server.query(client).with("client_id", &id)).await;
    if trap.was_called().await {
        return Ok(Found::let_in("asked the attacker's server"));
    }
    server.not_on(&visit?)
}

/// Nobody of ours is there to be called; but whoever calls has to wait.
async fn link_local(server: &Server) -> Finding {
    let client = server.native().or_else(|_| server.exact())?;
    let query = |id: &str| server.query(client).with("client_id", id);
    let (_, usual) = timed(server, &query("mcp-attack-nobody")).await;
    let (visit, took) = timed(server, &query("https://169.254.169.254/latest/meta-data")).await;
    if took > usual + SUSPICIOUS {
        return Ok(Found::let_in(format!("took {:.1} s, as somebody who waits for an answer", took.as_secs_f32())));
    }
    server.not_on(&visit?)
}

async fn redeemed(server: &Server) -> Finding {
    let trap = Trap::set().await?;
    let id = format!("https://127.0.0.1:{}/client.json", trap.port);
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", id.as_str()),
        ("code", "mcp-attack"),
        ("code_verifier", VERIFIER),
    ];
    let answer = server.post("token_endpoint", &fields).await;
    if trap.was_called().await {
        return Ok(Found::let_in("asked the attacker's server"));
    }
    let answer = super::found::judged(answer?)?;
    Ok(Found::let_in_if(super::found::good(answer.status), said(&answer)).with(answer))
}
