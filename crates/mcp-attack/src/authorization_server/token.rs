//! The token endpoint, without anything to get a token with (RFC 6749 §5.2).

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64URL},
};
use jsonwebtoken::Algorithm as Jwa;
use serde_json::json;
use url::form_urlencoded;

use super::{
    client::{Client, VERIFIER},
    found::{Finding, Found, Stop, good, judged, said},
    rows::{Area, Needs, Probe, Rows},
    server::Server,
};
use crate::wire::{Answer, RawRequest};

const GRANT: &str = "RFC 6749 §5.2, §4.1.3";
const BODY: &str = "RFC 6749 §3.2, §2.3.1: POST, and in the body";
const OTHER: &str = "RFC 9700 §2.1.2, §2.4; RFC 6749 §5.2: unsupported_grant_type";
const SHAPE: &str = "RFC 6749 §5.2";
/// A code, a token, a name: never anybody's.
const MADE_UP: &str = "mcp-attack-made-up-0123456789abcdef";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(super) fn rows() -> Vec<Probe> {
    let client = Needs::NativeClient;
    Rows::of(Area::Token)
        .breach(("token-code", "a made-up code", GRANT), client, |s| {
            Box::pin(async { no_token(s, &code(s.native()?)).await })
        })
        .breach(("token-code-no-verifier", "a made-up code without code_verifier", GRANT), client, |s| {
            Box::pin(async { no_token(s, &without(code(s.native()?), "code_verifier")).await })
        })
        .breach(("token-refresh", "a made-up refresh token", GRANT), client, |s| {
            Box::pin(async { no_token(s, &grant(s, "refresh_token", &[("refresh_token", MADE_UP)])?).await })
        })
        .breach(("token-client-credentials", "a token for a client without a secret", "RFC 6749 §4.4"), client, |s| {
            Box::pin(async {
                let client = Client { secret: None, ..s.native()?.clone() };
                let fields = [client.fields(), vec![("grant_type", "client_credentials")]].concat();
                no_token(s, &fields).await
            })
        })
        .breach(("token-implicit", "grant_type=implicit", OTHER), client, |s| {
            Box::pin(async { no_token(s, &grant(s, "implicit", &[("response_type", "token")])?).await })
        })
        .breach(("token-device", "a made-up device code", "RFC 8628 §3.5"), client, |s| {
            Box::pin(async { no_token(s, &grant(s, DEVICE, &[("device_code", MADE_UP)])?).await })
        })
        .breach(("token-jwt-bearer", "an assertion that nobody signed", "RFC 7523 §3"), client, |s| {
            Box::pin(async {
                let unsigned = assertion(s, None)?;
                no_token(s, &grant(s, JWT_BEARER, &[("assertion", &unsigned)])?).await
            })
        })
        .breach(("token-jwt-bearer-stranger", "an assertion that a stranger signed", "RFC 7523 §3"), client, |s| {
            Box::pin(async {
                let signed = assertion(s, Some(()))?;
                no_token(s, &grant(s, JWT_BEARER, &[("assertion", &signed)])?).await
            })
        })
        .breach(
            ("token-exchange", "somebody's token, that nobody signed, for another", "RFC 8693 §2.1"),
            client,
            |s| {
                Box::pin(async {
                    let unsigned = assertion(s, None)?;
                    let fields = [
                        ("subject_token", unsigned.as_str()),
                        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
                    ];
                    no_token(s, &grant(s, EXCHANGE, &fields)?).await
                })
            },
        )
        .breach(
            ("token-client-assertion", "a client that proves itself with an unsigned JWT", "RFC 7523 §3"),
            client,
            |s| {
                Box::pin(async {
                    let unsigned = assertion(s, None)?;
                    let fields = [
                        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                        ("client_assertion", unsigned.as_str()),
                    ];
                    no_token(s, &grant(s, "client_credentials", &fields)?).await
                })
            },
        )
        .lax(("token-no-grant", "no grant_type", SHAPE), client, |s| {
            Box::pin(async { not_looked_at(s, form(s, &without(code(s.native()?), "grant_type"))?).await })
        })
        .lax(("token-unknown-client", "a made-up code of a client that there is not", SHAPE), client, |s| {
            Box::pin(async {
                let fields = [&without(code(s.native()?), "client_id")[..], &[("client_id", MADE_UP)]].concat();
                not_looked_at(s, form(s, &fields)?).await
            })
        })
        .lax(("token-public-secret", "a secret from a client that has none", "RFC 6749 §2.3.1"), client, |s| {
            Box::pin(async {
                let client = s.native()?;
                if client.secret.is_some() {
                    return Err(Stop::not_run("the server has given the client a secret"));
                }
                let fields = [&code(client)[..], &[("client_secret", MADE_UP)]].concat();
                not_looked_at(s, form(s, &fields)?).await
            })
        })
        .lax(("token-get", "GET", BODY), client, |s| Box::pin(async { not_looked_at(s, in_query("GET", s)?).await }))
        .lax(("token-query", "POST with the parameters in the URL", BODY), client, |s| {
            Box::pin(async {
                let request = in_query("POST", s)?.header("Content-Type", "application/x-www-form-urlencoded");
                not_looked_at(s, request).await
            })
        })
        .lax(("token-json", "the parameters in JSON", BODY), client, |s| Box::pin(async { json_body(s).await }))
        .lax(("token-twice-grant", "two grant_types", "RFC 6749 §3.2: no parameter more than once"), client, |s| {
            Box::pin(async {
                let fields = [&code(s.native()?)[..], &[("grant_type", "refresh_token")]].concat();
                not_looked_at(s, form(s, &fields)?).await
            })
        })
        .lax(("token-twice-code", "two codes", "RFC 6749 §3.2: no parameter more than once"), client, |s| {
            Box::pin(async {
                let fields = [&code(s.native()?)[..], &[("code", "mcp-attack-another")]].concat();
                not_looked_at(s, form(s, &fields)?).await
            })
        })
        .lax(
            (
                "token-error-form",
                "an error that is not OAuth's: status, JSON, `error`",
                "RFC 6749 §5.2; RFC 9110 §15.5.2",
            ),
            client,
            |s| Box::pin(errors(s, misshapen)),
        )
        .lax(("token-error-kept", "an error that may be kept", "RFC 6749 §5.1; RFC 9700 §4.2"), client, |s| {
            Box::pin(errors(s, |answer| {
                let no_store = answer.all("cache-control").any(|value| value.to_ascii_lowercase().contains("no-store"));
                (!no_store).then(|| "no Cache-Control: no-store".to_owned())
            }))
        })
        .lax(("token-error-scheme", "a refused Basic without 401 and a challenge", SHAPE), client, |s| {
            Box::pin(basic(s))
        })
        .done()
}

fn code(client: &Client) -> Vec<(&str, &str)> {
    let code = [
        ("grant_type", "authorization_code"),
        ("code", MADE_UP),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
    ];
    [client.fields(), code.to_vec()].concat()
}

fn without<'a>(mut fields: Vec<(&'a str, &'a str)>, name: &str) -> Vec<(&'a str, &'a str)> {
    fields.retain(|(other, _)| *other != name);
    fields
}

fn grant<'a>(
    server: &'a Server,
    grant: &'a str,
    fields: &[(&'a str, &'a str)],
) -> Result<Vec<(&'a str, &'a str)>, Stop> {
    Ok([&server.native()?.fields()[..], &[("grant_type", grant)], fields].concat())
}

fn form(server: &Server, fields: &[(&str, &str)]) -> Result<RawRequest, Stop> {
    Ok(RawRequest::form(&server.endpoint("token_endpoint")?, fields))
}

fn in_query(method: &'static str, server: &Server) -> Result<RawRequest, Stop> {
    let url = server.endpoint("token_endpoint")?;
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(code(server.native()?)).finish();
    let request = RawRequest::to(method, &url).header("Accept", "application/json");
    let path = format!("{}?{query}", url.path());
    Ok(request.path(path))
}

async fn json_body(server: &Server) -> Finding {
    let url = server.endpoint("token_endpoint")?;
    let fields: serde_json::Map<_, _> =
        code(server.native()?).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let request = RawRequest::to("POST", &url).header("Accept", "application/json");
    not_looked_at(server, request.header("Content-Type", "application/json").body(json!(fields).to_string())).await
}

/// Who is who, said by a JWT that nobody, or a stranger, has signed.
fn assertion(server: &Server, stranger: Option<()>) -> Result<String, Stop> {
    let client = server.native()?;
    let header = if stranger.is_some() { json!({ "alg": "RS256" }) } else { json!({ "alg": "none" }) };
    let claims = json!({
        "iss": client.id, "sub": client.id, "aud": [server.issuer.text], "exp": 4_102_444_800_u64, "jti": MADE_UP,
    });
    let message = format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()));
    let signature = match stranger {
        Some(()) => {
            server.attacker.rsa().sign(&message, Jwa::RS256).map_err(|error| Stop::not_run(error.to_string()))?
        }
        None => String::new(),
    };
    Ok(format!("{message}.{signature}"))
}

async fn no_token(server: &Server, fields: &[(&str, &str)]) -> Finding {
    let answer = judged(server.post("token_endpoint", fields).await?)?;
    Ok(Found::let_in_if(good(answer.status), said(&answer)).with(answer))
}

/// A request that is wrong before its code is. What the code is answered in a good one must not be the answer: then it
/// was looked up.
async fn not_looked_at(server: &Server, request: RawRequest) -> Finding {
    let usual = server.post("token_endpoint", &code(server.native()?)).await?;
    let answer = judged(server.send(&server.endpoint("token_endpoint")?, &request).await?)?;
    let same = answer.error().is_some()
        && answer.error() == usual.error()
        && usual.error().as_deref() == Some("invalid_grant");
    let did = if same { format!("{}: the code was looked at", said(&answer)) } else { said(&answer) };
    Ok(Found::let_in_if(same || good(answer.status), did).with(answer))
}

/// Every kind of error, until one is wrong.
async fn errors(server: &Server, complaint: fn(&Answer) -> Option<String>) -> Finding {
    let client = server.native()?;
    let unknown_client = [&without(code(client), "client_id")[..], &[("client_id", MADE_UP)]].concat();
    let kinds = [
        ("a made-up code", code(client)),
        ("no grant_type", without(code(client), "grant_type")),
        ("a client that there is not", unknown_client),
        ("a grant that there is not", grant(server, "mcp-attack", &[])?),
        ("a made-up refresh token", grant(server, "refresh_token", &[("refresh_token", MADE_UP)])?),
        ("two grant_types", [&code(client)[..], &[("grant_type", "refresh_token")]].concat()),
    ];
    for (kind, fields) in kinds {
        let answer = judged(server.post("token_endpoint", &fields).await?)?;
        if let Some(complaint) = complaint(&answer) {
            return Ok(Found::let_in(format!("{kind}: {complaint}")).with(answer));
        }
    }
    Ok(Found::refused("every error is OAuth's"))
}

fn misshapen(answer: &Answer) -> Option<String> {
    let error = answer.json()["error"].as_str().map(str::to_owned);
    match answer.status {
        400 | 401 if answer.media_type() != "application/json" => Some(format!("{} and no JSON", answer.status)),
        400 | 401 if error.is_none() => Some(format!("{} and no `error`", answer.status)),
        401 if answer.header("www-authenticate").is_none() => Some("401 without WWW-Authenticate".to_owned()),
        400 | 401 => None,
        other => Some(other.to_string()),
    }
}

async fn basic(server: &Server) -> Finding {
    let credentials = BASE64_STANDARD.encode(format!("{MADE_UP}:{MADE_UP}"));
    let fields = without(code(server.native()?), "client_id");
    let request =
        form(server, &without(fields, "client_secret"))?.header("Authorization", format!("Basic {credentials}"));
    let answer = judged(server.send(&server.endpoint("token_endpoint")?, &request).await?)?;
    let challenge =
        answer.header("www-authenticate").is_some_and(|value| value.to_ascii_lowercase().starts_with("basic"));
    let did = format!("{}{}", said(&answer), if challenge { "" } else { ", no challenge for Basic" });
    Ok(Found::let_in_if(answer.status != 401 || !challenge, did).with(answer))
}
