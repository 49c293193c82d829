//! Introspection (RFC 7662) and revocation (RFC 7009), for nobody in particular.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    found::{Finding, Found, Stop, good, judged, said},
    rows::{Area, Needs, Probe, Rows},
    server::Server,
};
use crate::wire::RawRequest;

const ASK: &str = "RFC 7662 §2.1: the endpoint must require authorization";
const REVOKE: &str = "RFC 7009 §2.1";
const MADE_UP: &str = "mcp-attack-made-up-0123456789abcdef";

pub(super) fn rows() -> Vec<Probe> {
    let (ask, revoke) = (Needs::Introspection, Needs::Revocation);
    Rows::of(Area::Introspection)
        .breach(("introspect-anonymous", "nobody asks what a token is worth", ASK), ask, |s| {
            Box::pin(refused(s, "introspection_endpoint", &[("token", MADE_UP)]))
        })
        .breach(("introspect-unknown-client", "a client that there is not asks", ASK), ask, |s| {
            Box::pin(refused(s, "introspection_endpoint", &[("token", MADE_UP), ("client_id", MADE_UP)]))
        })
        .breach(("introspect-public", "a client without a secret asks", ASK), ask, |s| {
            Box::pin(async {
                let client = s.native()?;
                if client.secret.is_some() {
                    return Err(Stop::not_run("the server has given the client a secret"));
                }
                refused(s, "introspection_endpoint", &[("token", MADE_UP), ("client_id", &client.id)]).await
            })
        })
        .breach(("introspect-guess", "a client with a guessed secret asks", ASK), ask, |s| Box::pin(guessed(s)))
        .breach(("introspect-bearer", "a made-up token asks", ASK), ask, |s| {
            Box::pin(async {
                let url = s.endpoint("introspection_endpoint")?;
                let request = RawRequest::form(&url, &[("token", MADE_UP)]).bearer(MADE_UP);
                let answer = judged(s.send(&url, &request).await?)?;
                Ok(Found::let_in_if(good(answer.status), said(&answer)).with(answer))
            })
        })
        .lax(("introspect-no-401", "without a client it is refused, but not with 401", "RFC 7662 §2.3"), ask, |s| {
            Box::pin(async {
                let answer = judged(s.post("introspection_endpoint", &[("token", MADE_UP)]).await?)?;
                Ok(Found::let_in_if(answer.status != 401, said(&answer)).with(answer))
            })
        })
        .lax(("introspect-get", "a token in the URL", "RFC 7662 §2.1, §4: POST"), ask, |s| {
            Box::pin(async {
                let mut url = s.endpoint("introspection_endpoint")?;
                url.query_pairs_mut().append_pair("token", MADE_UP);
                let answer = judged(s.get(&url).await?)?;
                // A server that looks for who asks has taken GET.
                let taken = good(answer.status) || answer.status == 401;
                Ok(Found::let_in_if(taken, said(&answer)).with(answer))
            })
        })
        .lax(("revoke-anonymous", "nobody revokes a token", REVOKE), revoke, |s| {
            Box::pin(refused(s, "revocation_endpoint", &[("token", MADE_UP)]))
        })
        .lax(("revoke-unknown-client", "a client that there is not revokes a token", REVOKE), revoke, |s| {
            Box::pin(refused(s, "revocation_endpoint", &[("token", MADE_UP), ("client_id", MADE_UP)]))
        })
        .lax(("revoke-tells", "the answer tells whether there is such a token", "RFC 7009 §2.2"), revoke, |s| {
            Box::pin(async {
                let fields = [&s.native()?.fields()[..], &[("token", MADE_UP)]].concat();
                let answer = judged(s.post("revocation_endpoint", &fields).await?)?;
                Ok(Found::let_in_if(answer.status != 200, said(&answer)).with(answer))
            })
        })
        .done()
}

async fn refused(server: &Server, endpoint: &str, fields: &[(&str, &str)]) -> Finding {
    let answer = judged(server.post(endpoint, fields).await?)?;
    Ok(Found::let_in_if(good(answer.status), said(&answer)).with(answer))
}

async fn guessed(server: &Server) -> Finding {
    let url = server.endpoint("introspection_endpoint")?;
    let name = server.native().map_or(MADE_UP, |client| client.id.as_str());
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{MADE_UP}")));
    let request = RawRequest::form(&url, &[("token", MADE_UP)]).header("Authorization", basic);
    let answer = judged(server.send(&url, &request).await?)?;
    Ok(Found::let_in_if(good(answer.status), said(&answer)).with(answer))
}
