//! What the server says of itself (RFC 8414), and the keys that it publishes.

use serde_json::Value;
use url::Url;

use super::{
    found::{Finding, Found, Stop, good},
    rows::{Area, Needs, Probe, Rows},
    server::{Document, Server, get_json},
};
use crate::{run::shown, target::is_loopback, wire::RawRequest};

/// A host that no request and no metadata is about (RFC 6761 §6.5).
pub(super) const STRANGER: &str = "stranger.example";

const ISSUER: &str = "RFC 8414 §3.3; MCP authorization: clients compare the issuer";
const HOST: &str = "RFC 8414 §3.3; CWE-348";
const KEYS: &str = "RFC 8414 §2, RFC 7517 §9.2";
const CORS: &str = "RFC 9700 §2.6: endpoints that scripts ask";

pub(super) fn rows() -> Vec<Probe> {
    let no = Needs::Nothing;
    Rows::of(Area::Metadata)
        .breach(("meta-issuer", "the issuer is another than the one that was asked for", ISSUER), no, |s| {
            Box::pin(async { Ok(every(s, |document| issuer(s, document))) })
        })
        .breach(("meta-host", "a strange Host gets into the metadata", HOST), no, |s| {
            Box::pin(host(s, |request| request.without("Host").header("Host", STRANGER)))
        })
        .breach(("meta-forwarded-host", "so does a strange X-Forwarded-Host, or Forwarded", HOST), no, |s| {
            Box::pin(host(s, |request| {
                let forwarded = format!("host={STRANGER};proto=https");
                request.header("X-Forwarded-Host", STRANGER).header("Forwarded", forwarded)
            }))
        })
        .breach(
            ("meta-endpoint-http", "an endpoint is reached over plain http", "RFC 6749 §3.1, §3.2; RFC 8414 §2"),
            no,
            |s| Box::pin(async { Ok(every(s, |document| over_http(&document.metadata))) }),
        )
        .lax(("meta-places-differ", "the metadata differs from place to place", "RFC 8414 §3, §5"), no, |s| {
            Box::pin(async { places(s) })
        })
        .lax(("meta-type", "it is not sent as application/json", "RFC 8414 §3.2"), no, |s| {
            Box::pin(async {
                Ok(every(s, |document| {
                    let kind = document.answer.media_type();
                    (kind != "application/json").then(|| format!("it is {:?}", shown(&kind)))
                }))
            })
        })
        .lax(("meta-cors", "a page of another origin cannot read it", CORS), no, |s| Box::pin(cors(s)))
        .lax(("meta-no-s256", "it does not name S256 for PKCE", "RFC 9700 §2.1.1; MCP authorization"), no, |s| {
            Box::pin(async { Ok(lacks(s, "code_challenge_methods_supported", "S256")) })
        })
        .lax(("meta-plain", "it names `plain` for PKCE", "RFC 9700 §2.1.1; RFC 7636 §7.2"), no, |s| {
            Box::pin(async { Ok(names(s, "code_challenge_methods_supported", |method| method == "plain")) })
        })
        .lax(
            ("meta-token-response", "it names response types that put tokens into URLs", "RFC 9700 §2.1.2"),
            no,
            |s| {
                Box::pin(async {
                    let in_front = |kind: &str| kind.split(' ').any(|part| part == "token" || part == "id_token");
                    Ok(names(s, "response_types_supported", in_front))
                })
            },
        )
        .lax(
            ("meta-implicit", "it names the implicit grant, or says nothing", "RFC 9700 §2.1.2; RFC 8414 §2"),
            no,
            |s| {
                Box::pin(async {
                    // Without the member, the two of RFC 8414 §2 are meant.
                    match s.list("grant_types_supported") {
                        None => Ok(Found::let_in("grant_types_supported is missing, which means implicit")),
                        Some(_) => Ok(names(s, "grant_types_supported", |grant| grant == "implicit")),
                    }
                })
            },
        )
        .lax(("meta-password", "it names the password grant", "RFC 9700 §2.4"), no, |s| {
            Box::pin(async { Ok(names(s, "grant_types_supported", |grant| grant == "password")) })
        })
        .lax(("meta-no-iss", "it does not promise `iss` in its answers", "RFC 9207 §3; RFC 9700 §4.4"), no, |s| {
            Box::pin(async {
                let promised = s.is_set("authorization_response_iss_parameter_supported");
                Ok(Found::let_in_if(!promised, if promised { "promised" } else { "not promised" }))
            })
        })
        .breach(
            ("iss-missing-in-errors", "an answer lacks the promised `iss`, or has another", "RFC 9207 §2, §2.4"),
            Needs::NativeClient,
            |s| Box::pin(iss_in_errors(s)),
        )
        .breach(("jwks-private", "a published key has private members", KEYS), no, |s| {
            Box::pin(keys(s, |key| {
                let private = ["d", "p", "q", "dp", "dq", "qi", "oth"].into_iter().find(|name| key.get(name).is_some());
                private.map(|name| format!("a key with {name}"))
            }))
        })
        .breach(("jwks-symmetric", "a published key is a shared secret", KEYS), no, |s| {
            Box::pin(keys(s, |key| {
                let hmac = key["alg"].as_str().is_some_and(|alg| alg.starts_with("HS"));
                let symmetric = hmac || key["kty"] == "oct" || key.get("k").is_some();
                symmetric.then(|| "a key that signs as it verifies".to_owned())
            }))
        })
        .lax(("jwks-no-alg", "a published key does not say its algorithm", "RFC 8725 §3.1; RFC 7517 §4.4"), no, |s| {
            Box::pin(keys(s, |key| {
                let said = key["alg"].as_str().is_some_and(|alg| !alg.eq_ignore_ascii_case("none"));
                (!said).then(|| "a key without alg".to_owned())
            }))
        })
        .done()
}

/// The first complaint about a place of the metadata.
fn every(server: &Server, complaint: impl Fn(&Document) -> Option<String>) -> Found {
    let about = |document: &Document| Some(format!("{}: {}", document.url.path(), complaint(document)?));
    let found = Found::complaint(server.documents.iter().find_map(about), count(&server.documents));
    found.with(server.documents[0].answer.clone())
}

fn count(documents: &[Document]) -> String {
    format!("in order at {} of its places", documents.len())
}

fn issuer(server: &Server, document: &Document) -> Option<String> {
    let said = document.metadata["issuer"].as_str();
    (said != Some(&server.issuer.text)).then(|| format!("the issuer is {:?}", shown(said.unwrap_or_default())))
}

/// The URL of the first endpoint that anybody on the way can listen to.
fn over_http(metadata: &Value) -> Option<String> {
    let members = metadata.as_object()?.iter();
    let mut endpoints = members.filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    endpoints.find_map(|(name, value)| {
        let url = value.as_str()?;
        let safe =
            Url::parse(url).is_ok_and(|url| url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url));
        (!safe).then(|| format!("{name} is {}", shown(url)))
    })
}

fn places(server: &Server) -> Finding {
    let [first, others @ ..] = server.documents.as_slice() else { return Err(Stop::not_run("there is no metadata")) };
    if others.is_empty() {
        return Err(Stop::not_run("it is in one place alone"));
    }
    // OpenID Connect's may say more.
    let differs = |other: &Document| {
        let mut members = first.metadata.as_object()?.iter();
        let what = |name: &str| name == "issuer" || name == "jwks_uri" || name.ends_with("_endpoint");
        let there = |name: &str| other.metadata.get(name);
        let (name, _) = members.find(|(name, value)| what(name) && there(name).is_some_and(|there| there != *value))?;
        Some(format!("{name} is another at {}", other.url.path()))
    };
    Ok(Found::complaint(others.iter().find_map(differs), count(&server.documents)))
}

async fn host(server: &Server, bend: fn(RawRequest) -> RawRequest) -> Finding {
    for document in &server.documents {
        let answer = server.send(&document.url, &bend(get_json(&document.url))).await?;
        if answer.status >= 500 {
            return Err(Stop::Failed(answer.status.to_string()));
        }
        if answer.body.contains(STRANGER) {
            return Ok(Found::let_in(format!("{} names {STRANGER}", document.url.path())).with(answer));
        }
    }
    Ok(Found::refused("it is the same, or none"))
}

async fn cors(server: &Server) -> Finding {
    let origin = format!("https://{STRANGER}");
    let url = &server.documents[0].url;
    let answer = server.send(url, &get_json(url).header("Origin", origin.as_str())).await?;
    let allowed = answer.header("access-control-allow-origin").unwrap_or_default();
    let readable = good(answer.status) && (allowed == "*" || allowed == origin);
    let did = format!("Access-Control-Allow-Origin: {}", if allowed.is_empty() { "none" } else { allowed });
    Ok(Found::let_in_if(!readable, shown(&did)).with(answer))
}

/// Let in if the member does not have it.
fn lacks(server: &Server, member: &str, wanted: &str) -> Found {
    let there = server.list(member).is_some_and(|list| list.contains(&wanted));
    Found::let_in_if(!there, format!("{member} {} {wanted}", if there { "has" } else { "lacks" }))
}

/// Let in if one of the member's values is such.
fn names(server: &Server, member: &str, unwanted: impl Fn(&str) -> bool) -> Found {
    let found = server.list(member).unwrap_or_default().into_iter().find(|value| unwanted(value));
    Found::complaint(found.map(|value| format!("{member} has {:?}", shown(value))), "not named")
}

/// Which server an answer is from is what mix-up attacks are about; errors say it too.
async fn iss_in_errors(server: &Server) -> Finding {
    if !server.is_set("authorization_response_iss_parameter_supported") {
        return Err(Stop::not_run("the metadata does not promise it"));
    }
    let client = server.native()?;
    let visit = server.ask(&server.query(client).with("response_type", "mcp-attack")).await?;
    if !server.is_told(client, &visit) {
        return Err(Stop::not_run(format!("no error is sent to the client: {}", visit.said())));
    }
    let all = visit.parameters();
    let iss: Vec<&str> = all.iter().filter(|(name, _)| name == "iss").map(|(_, value)| value.as_str()).collect();
    let did = format!("{}, iss={}", visit.said(), shown(&iss.join(" and ")));
    Ok(Found::let_in_if(iss != [server.issuer.text.as_str()], did).with(visit.last().clone()))
}

/// The first complaint about a published key.
async fn keys(server: &Server, complaint: impl Fn(&Value) -> Option<String>) -> Finding {
    let url = server.endpoint("jwks_uri")?;
    let answer = server.get(&url).await?;
    let set = answer.json();
    let keys = set["keys"].as_array().filter(|_| good(answer.status));
    let keys = keys.ok_or_else(|| Stop::Failed(format!("{} and no JWK Set", answer.status)))?;
    Ok(Found::complaint(keys.iter().find_map(complaint), format!("{} keys", keys.len())).with(answer))
}
