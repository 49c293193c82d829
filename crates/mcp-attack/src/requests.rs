//! Bent requests: where the token is put, and ways round the guard. Except where a row says so, the token in them is
//! good: what is wrong is how it comes.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::{Forge, Forged, with},
    wire::RawRequest,
};

const HEADER: &str = "RFC 6750 §2.1";
const ONE: &str = "RFC 9110 §5.3, §11.6.2";
const PLACE: &str = "OAuth 2.1 §5.1; MCP authorization: token in the Authorization header, never in the query";
const EVERY: &str = "MCP authorization: authorization on every request";
const PROXY: &str = "CWE-290, CWE-302";
const ROUTE: &str = "CWE-288; CVE-2022-1388 class";
const SESSION: &str = "MCP security best practices: sessions are no authentication";

pub(crate) fn rows() -> Vec<Attack> {
    [no_credential(), forged_credential(), odd_credential(), odd_place(), round_the_guard(), sessions(), too_large()]
        .concat()
}

fn no_credential() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Credential)
        .breach_request(("no-credential", "no Authorization header at all", EVERY), no, |f| Ok(f.probe()))
        .breach_request(("authorization-empty", "an empty Authorization header", HEADER), no, |f| authorization(f, ""))
        .breach_request(("bearer-empty", "Bearer without a token", HEADER), no, |f| authorization(f, "Bearer "))
        .breach_request(("bearer-null", "Bearer null", HEADER), no, |f| authorization(f, "Bearer null"))
        .breach_request(("bearer-undefined", "Bearer undefined", HEADER), no, |f| authorization(f, "Bearer undefined"))
        .breach_request(("basic", "Basic credentials: alice and a password", HEADER), no, |f| {
            authorization(f, &format!("Basic {}", BASE64_STANDARD.encode("alice:password")))
        })
        .breach_request(("negotiate", "another scheme", HEADER), no, |f| authorization(f, "Negotiate YII="))
        .breach_request(("identity-headers", "what a proxy would say of somebody signed in", PROXY), no, |f| {
            let names = ["X-Forwarded-User", "X-Auth-Request-User", "X-Remote-User", "X-User", "X-Authenticated-User"];
            Ok(names.into_iter().fold(f.probe(), |request, name| request.header(name, "admin")))
        })
        .breach_request(("from-localhost", "headers that say it comes from this machine", PROXY), no, |f| {
            let probe = f.probe().header("X-Forwarded-For", "127.0.0.1").header("X-Real-IP", "127.0.0.1");
            Ok(probe.header("Forwarded", "for=127.0.0.1;proto=https;by=127.0.0.1"))
        })
        .breach_request(("agent-session-name", "agent-session with a name in it", EVERY), no, |f| {
            Ok(f.probe().header("agent-session", "alice"))
        })
        .done()
}

/// A forged token, in ways that a check might look past.
fn forged_credential() -> Vec<Attack> {
    let (no, token) = (Needs::Nothing, Needs::Token);
    Rows::of(Group::Credential)
        .breach_request(("forged-lowercase-scheme", "an unsigned token behind `bearer`", "RFC 9110 §11.1"), no, |f| {
            authorization(f, &format!("bearer {}", forged(f)?))
        })
        .breach_request(("forged-two-spaces", "an unsigned token behind two spaces", HEADER), no, |f| {
            authorization(f, &format!("Bearer  {}", forged(f)?))
        })
        .breach_request(("forged-tab", "an unsigned token behind a tab", HEADER), no, |f| {
            authorization(f, &format!("Bearer\t{}", forged(f)?))
        })
        .breach_request(("forged-agent-session", "an unsigned token in agent-session", EVERY), no, |f| {
            Ok(f.probe().header("agent-session", forged(f)?))
        })
        .lax_request(
            ("forged-then-agent-session", "an unsigned token, and a good one in agent-session", EVERY),
            token,
            |f| Ok(f.probe().bearer(&forged(f)?).header("agent-session", f.good()?)),
        )
        .lax_request(
            ("empty-then-agent-session", "an empty Bearer, and a good token in agent-session", EVERY),
            token,
            |f| Ok(f.probe().header("Authorization", "Bearer ").header("agent-session", f.good()?)),
        )
        .lax_request(("agent-session-twice", "agent-session twice: good, then unsigned", ONE), token, |f| {
            Ok(f.probe().header("agent-session", f.good()?).header("agent-session", forged(f)?))
        })
        .lax_request(("two-headers-good-first", "two Authorization headers: good, then unsigned", ONE), token, |f| {
            Ok(f.probe().bearer(&f.good()?).bearer(&forged(f)?))
        })
        .lax_request(("two-headers-good-last", "two Authorization headers: unsigned, then good", ONE), token, |f| {
            Ok(f.probe().bearer(&forged(f)?).bearer(&f.good()?))
        })
        .lax_request(("two-headers-basic", "two Authorization headers: Basic, then a good token", ONE), token, |f| {
            Ok(f.probe().header("Authorization", "Basic YTpi").bearer(&f.good()?))
        })
        .lax_request(("comma-good-first", "two tokens in one header: good, then unsigned", ONE), token, |f| {
            authorization(f, &format!("Bearer {}, Bearer {}", f.good()?, forged(f)?))
        })
        .lax_request(("comma-good-last", "two tokens in one header: unsigned, then good", ONE), token, |f| {
            authorization(f, &format!("Bearer {}, Bearer {}", forged(f)?, f.good()?))
        })
        .done()
}

/// A good token that is not presented as one.
fn odd_credential() -> Vec<Attack> {
    let token = Needs::Token;
    Rows::of(Group::Credential)
        .lax_request(("two-headers-same", "the same Authorization header twice", ONE), token, |f| {
            Ok(f.probe().bearer(&f.good()?).bearer(&f.good()?))
        })
        .lax_request(("comma-same", "the same token twice in one header", ONE), token, |f| {
            let good = f.good()?;
            authorization(f, &format!("Bearer {good},{good}"))
        })
        .lax_request(("bearer-twice", "Bearer Bearer", HEADER), token, |f| {
            authorization(f, &format!("Bearer Bearer {}", f.good()?))
        })
        .lax_request(("scheme-missing", "the token alone", HEADER), token, |f| authorization(f, &f.good()?))
        .lax_request(("scheme-token", "the scheme Token", HEADER), token, |f| {
            authorization(f, &format!("Token {}", f.good()?))
        })
        .lax_request(("scheme-jwt", "the scheme JWT", HEADER), token, |f| {
            authorization(f, &format!("JWT {}", f.good()?))
        })
        .lax_request(("scheme-dpop", "the scheme DPoP, without a proof", "RFC 9449 §7.1"), token, |f| {
            authorization(f, &format!("DPoP {}", f.good()?))
        })
        .lax_request(("scheme-glued", "no space behind Bearer", HEADER), token, |f| {
            authorization(f, &format!("Bearer{}", f.good()?))
        })
        .lax_request(("scheme-colon", "a colon behind Bearer", HEADER), token, |f| {
            authorization(f, &format!("Bearer: {}", f.good()?))
        })
        .lax_request(("scheme-basic", "Basic with the token for a password", HEADER), token, |f| {
            authorization(f, &format!("Basic {}", BASE64_STANDARD.encode(format!("alice:{}", f.good()?))))
        })
        .lax_request(("bearer-parameter", "Bearer token=\"…\"", HEADER), token, |f| {
            authorization(f, &format!("Bearer token=\"{}\"", f.good()?))
        })
        .lax_request(("bearer-trailing-word", "the token and another word", HEADER), token, |f| {
            authorization(f, &format!("Bearer {} x", f.good()?))
        })
        .done()
}

fn odd_place() -> Vec<Attack> {
    let token = Needs::Token;
    Rows::of(Group::Credential)
        .lax_request(("query-access-token", "the token in the query, as access_token", PLACE), token, |f| {
            in_query(f, "access_token")
        })
        .lax_request(("query-access-token-encoded", "the same, the name percent-encoded", PLACE), token, |f| {
            in_query(f, "access%5Ftoken")
        })
        .lax_request(("query-token", "the token in the query, as token", PLACE), token, |f| in_query(f, "token"))
        .lax_request(("query-authorization", "the token in the query, as Authorization", PLACE), token, |f| {
            let request = f.probe();
            let path = appended(&request.path, &format!("Authorization=Bearer%20{}", f.good()?));
            Ok(request.path(path))
        })
        .lax_request(("body-form", "the token in a form body", PLACE), token, |f| {
            let request = f.probe().without("Content-Type").header("Content-Type", "application/x-www-form-urlencoded");
            Ok(request.body(format!("access_token={}", f.good()?)))
        })
        .lax_request(("body-json", "the token in the JSON-RPC message", PLACE), token, |f| {
            let good = f.good()?;
            let message = with(
                f.target().message().clone(),
                json!({ "access_token": good, "authorization": format!("Bearer {good}") }),
            );
            Ok(f.probe().body(message.to_string()))
        })
        .lax_request(("body-meta", "the token in params._meta", PLACE), token, |f| {
            let mut message = f.target().message().clone();
            let meta = json!({ "authorization": format!("Bearer {}", f.good()?) });
            if let Some(Value::Object(params)) = message.get_mut("params") {
                params.insert("_meta".to_owned(), meta);
            }
            Ok(f.probe().body(message.to_string()))
        })
        .lax_request(("cookie", "the token in cookies", PLACE), token, |f| {
            let good = f.good()?;
            Ok(f.probe().header("Cookie", format!("access_token={good}; token={good}; session={good}")))
        })
        .lax_request(("other-headers", "the token in headers that are not Authorization", PLACE), token, |f| {
            let good = f.good()?;
            let names =
                ["X-Authorization", "X-Forwarded-Authorization", "Proxy-Authorization", "X-Original-Authorization"];
            let request =
                names.into_iter().fold(f.probe(), |request, name| request.header(name, format!("Bearer {good}")));
            let names = ["X-Access-Token", "X-Auth-Token", "X-Api-Key", "X-Forwarded-Access-Token", "Access-Token"];
            Ok(names.into_iter().fold(request, |request, name| request.header(name, good.as_str())))
        })
        .lax_request(("subprotocol", "the token as a WebSocket protocol", PLACE), token, |f| {
            Ok(f.probe().header("Sec-WebSocket-Protocol", format!("bearer, {}", f.good()?)))
        })
        .done()
}

/// No token, but another method or another spelling of the path.
fn round_the_guard() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Request)
        .breach_request(("method-get", "GET without a token: the event stream", EVERY), no, |f| {
            Ok(f.probe().method("GET").without("Accept").header("Accept", "text/event-stream"))
        })
        .breach_request(("method-head", "HEAD without a token", EVERY), no, |f| Ok(f.probe().method("HEAD")))
        .breach_request(("method-delete", "DELETE without a token", EVERY), no, |f| Ok(f.probe().method("DELETE")))
        .breach_request(("method-put", "PUT without a token", EVERY), no, |f| {
            Ok(RawRequest { method: "PUT", ..f.probe() })
        })
        .breach_request(("method-lowercase", "`post` without a token", "RFC 9110 §9.1"), no, |f| {
            Ok(RawRequest { method: "post", ..f.probe() })
        })
        .breach_request(("method-override", "POST that says it is OPTIONS", ROUTE), no, |f| {
            let probe = f.probe().header("X-HTTP-Method-Override", "OPTIONS").header("X-HTTP-Method", "OPTIONS");
            Ok(probe.header("X-Method-Override", "OPTIONS"))
        })
        .breach_request(("preflight-post", "POST with the headers of a preflight", ROUTE), no, |f| {
            let probe = f.probe().header("Access-Control-Request-Method", "POST");
            Ok(probe.header("Access-Control-Request-Headers", "authorization"))
        })
        .breach_request(("path-slash", "a slash behind the path, no token", ROUTE), no, |f| {
            path(f, |path| format!("{path}/"))
        })
        .breach_request(("path-two-slashes", "two slashes before the path, no token", ROUTE), no, |f| {
            path(f, |path| format!("/{path}"))
        })
        .breach_request(("path-dot", "/. before the path, no token", ROUTE), no, |f| {
            path(f, |path| format!("/.{path}"))
        })
        .breach_request(("path-dot-dot", "in and out of /.well-known, no token", ROUTE), no, |f| {
            path(f, |path| format!("/.well-known/..{path}"))
        })
        .breach_request(("path-dot-dot-encoded", "the same, percent-encoded", ROUTE), no, |f| {
            path(f, |path| format!("/.well-known/%2e%2e{path}"))
        })
        .breach_request(("path-encoded", "the path's last letter percent-encoded, no token", ROUTE), no, |f| {
            path(f, |path| {
                let last = path.pop().unwrap_or('/');
                format!("{path}%{:02X}", u32::from(last))
            })
        })
        .breach_request(("path-case", "the path in capitals, no token", ROUTE), no, |f| {
            path(f, |path| path.to_uppercase())
        })
        .breach_request(("path-parameter", "a parameter behind the path, no token", ROUTE), no, |f| {
            path(f, |path| format!("{path};x=.well-known"))
        })
        .breach_request(("path-nul", "a percent-encoded NUL behind the path, no token", ROUTE), no, |f| {
            path(f, |path| format!("{path}%00"))
        })
        .breach_request(("path-health", "a public path in the query, no token", ROUTE), no, |f| {
            path(f, |path| format!("{path}?/health"))
        })
        .breach_request(("path-rewritten", "headers that name a public path, no token", ROUTE), no, |f| {
            Ok(f.probe().header("X-Original-URL", "/health").header("X-Rewrite-URL", "/health"))
        })
        .breach_request(("path-absolute", "the whole URL in the first line, no token", "RFC 9112 §3.2.2"), no, |f| {
            let request = f.probe();
            let path = format!("{}{}", f.target().url().origin().ascii_serialization(), request.path);
            Ok(request.path(path))
        })
        .breach_request(("connection-authorization", "Connection: Authorization, no token", "CVE-2022-1388"), no, |f| {
            Ok(f.probe().header("Connection", "Authorization").header("Authorization", "Basic YWRtaW46"))
        })
        .done()
}

fn sessions() -> Vec<Attack> {
    let session = Needs::Session;
    Rows::of(Group::Request)
        .breach_request(("session-made-up", "a session id that nobody gave, no token", SESSION), Needs::Nothing, |f| {
            Ok(in_session(f, "00000000-0000-0000-0000-000000000000"))
        })
        .breach_request(("session-alone", "somebody's session id, no token", SESSION), session, |f| {
            Ok(in_session(f, f.session()?))
        })
        .breach_request(
            ("session-stream", "somebody's session id, GET of its event stream, no token", SESSION),
            session,
            |f| Ok(in_session(f, f.session()?).method("GET").without("Accept").header("Accept", "text/event-stream")),
        )
        .breach_request(("session-end", "somebody's session id, DELETE, no token", SESSION), session, |f| {
            Ok(in_session(f, f.session()?).method("DELETE"))
        })
        .breach_request(("session-forged", "somebody's session id and an unsigned token", SESSION), session, |f| {
            Ok(in_session(f, f.session()?).bearer(&forged(f)?))
        })
        .done()
}

fn too_large() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Request)
        .breach_request(("header-1m", "a token of 1 MB", "RFC 6585 §5; RFC 9110 §5.4"), no, |f| {
            Ok(f.probe().bearer(&"A".repeat(1 << 20)).may_close())
        })
        .breach_request(("header-64k-dots", "a token of 64,000 dots", "CVE-2025-30204 class"), no, |f| {
            Ok(f.probe().bearer(&".".repeat(64_000)).may_close())
        })
        .breach_request(("headers-10k", "ten thousand headers", "RFC 6585 §5"), no, |f| {
            let many = (0..10_000).fold(f.probe(), |request, n| request.header(&format!("X-{n}"), "x"));
            Ok(many.may_close())
        })
        .breach_request(("headers-1k-authorization", "a thousand Authorization headers", ONE), no, |f| {
            let forged = authorization(f, "Bearer x")?;
            Ok((1..1000).fold(forged, |request, _| request.header("Authorization", "Bearer x")).may_close())
        })
        .done()
}

fn forged(f: &Forge<'_>) -> Forged {
    f.unsigned(json!({ "alg": "none" }))
}

fn authorization(f: &Forge<'_>, value: &str) -> Forged<RawRequest> {
    Ok(f.probe().header("Authorization", value))
}

fn in_query(f: &Forge<'_>, name: &str) -> Forged<RawRequest> {
    let request = f.probe();
    let path = appended(&request.path, &format!("{name}={}", f.good()?));
    Ok(request.path(path))
}

fn appended(path: &str, query: &str) -> String {
    format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' })
}

fn path(f: &Forge<'_>, change: fn(&mut String) -> String) -> Forged<RawRequest> {
    let request = f.probe();
    let mut path = f.target().url().path().to_owned();
    let changed = change(&mut path);
    Ok(request.path(changed))
}

/// A request that only an open session can be asked.
fn in_session(f: &Forge<'_>, id: &str) -> RawRequest {
    crate::run::list_tools(f.probe()).header("Mcp-Session-Id", id)
}
