//! Who may register as a client (RFC 7591), and what a stranger gets by it.

use serde_json::{Value, json};

use super::{
    client::{Client, VERIFIER, WEB, native_metadata, web_metadata},
    found::{Finding, Found, Stop, good, judged, said},
    rows::{Area, Needs, Probe, Rows},
    server::Server,
    trap::Trap,
};
use crate::wire::RawRequest;

const ANYWHERE: &str = "RFC 9700 §4.1; MCP authorization: redirect URIs are localhost or https";
const SCRIPT: &str = "RFC 7591 §5; CWE-79";
const LOOPBACK: &str = "RFC 8252 §7.3; CWE-1023";
const GRANTS: &str = "RFC 7591 §2, §5; RFC 9700 §2.4";
const SIZE: &str = "CWE-400, CWE-674";

pub(super) fn rows() -> Vec<Probe> {
    let own = Needs::Registration;
    Rows::of(Area::Registration)
        .breach(("register-javascript", "an answer to javascript:", SCRIPT), own, |s| {
            Box::pin(address(s, "javascript:alert(document.domain)//"))
        })
        .breach(("register-data", "an answer to data:", SCRIPT), own, |s| {
            Box::pin(address(s, "data:text/html,<script>alert(1)</script>"))
        })
        .breach(("register-http", "an answer over plain http to another machine", ANYWHERE), own, |s| {
            Box::pin(address(s, "http://mcp-attack.example/callback"))
        })
        .breach(("register-localhost-suffix", "localhost as the beginning of another name", LOOPBACK), own, |s| {
            Box::pin(address(s, "http://localhost.mcp-attack.example/callback"))
        })
        .breach(("register-loopback-suffix", "127.0.0.1 as the beginning of a name", LOOPBACK), own, |s| {
            Box::pin(address(s, "http://127.0.0.1.mcp-attack.example/callback"))
        })
        .breach(("register-loopback-userinfo", "localhost as the user of another host", LOOPBACK), own, |s| {
            Box::pin(address(s, "http://localhost@mcp-attack.example/callback"))
        })
        .lax(("register-loopback-decimal", "127.0.0.1 as one number", LOOPBACK), own, |s| {
            Box::pin(address(s, "http://2130706433/callback"))
        })
        .breach(
            ("register-backslash", "a backslash that browsers read as a slash", "RFC 9700 §4.1; CWE-601"),
            own,
            |s| Box::pin(address(s, "https://stranger.example\\@mcp-attack.example/callback")),
        )
        .breach(("register-crlf", "a line break in the address", "RFC 7591 §5; CWE-113"), own, |s| {
            Box::pin(address(s, "https://mcp-attack.example/callback\r\nX-Mcp-Attack: 1"))
        })
        .lax(("register-fragment", "an address with a fragment", "RFC 6749 §3.1.2"), own, |s| {
            Box::pin(address(s, "https://mcp-attack.example/callback#fragment"))
        })
        .lax(("register-private-scheme", "a scheme that any program may claim", ANYWHERE), own, |s| {
            Box::pin(address(s, "mcp-attack://callback"))
        })
        .breach(("register-wildcard-path", "a * for any path", "RFC 9700 §4.1.1"), own, |s| {
            Box::pin(wildcard(s, "https://mcp-attack.example/*", "https://mcp-attack.example/elsewhere"))
        })
        .breach(("register-wildcard-host", "a * for any host", "RFC 9700 §4.1.1"), own, |s| {
            Box::pin(wildcard(s, "https://*.mcp-attack.example/cb", "https://stranger.mcp-attack.example/cb"))
        })
        .breach(("register-client-credentials", "a token for a client that nobody knows", GRANTS), own, |s| {
            Box::pin(client_credentials(s))
        })
        .breach(("register-password", "a client that nobody knows, to try passwords with", GRANTS), own, |s| {
            Box::pin(password(s))
        })
        .breach(
            ("register-implicit", "a client that nobody knows, with tokens in its URL", "RFC 9700 §2.1.2"),
            own,
            |s| Box::pin(implicit(s)),
        )
        .breach(
            ("register-fetches", "URLs that the server fetches from inside", "OpenID Registration §5; CWE-918"),
            own,
            |s| Box::pin(fetches(s)),
        )
        .lax(("register-huge", "a body of four megabytes", SIZE), own, |s| {
            Box::pin(odd_body(s, || {
                native_metadata().to_string().replacen("mcp-attack", &"x".repeat(4 * 1024 * 1024), 1)
            }))
        })
        .lax(("register-deep", "100 000 brackets", SIZE), own, |s| {
            Box::pin(odd_body(s, || format!("{{\"redirect_uris\":{}", "[".repeat(100_000))))
        })
        .done()
}

/// Whether this may be registered as where answers go.
async fn address(server: &Server, uri: &str) -> Finding {
    let answer = judged(server.register(&web_metadata(uri)).await?)?;
    let registered = answer.json();
    // A server may leave out what it does not take (RFC 7591 §3.2.1).
    let kept = registered["redirect_uris"].as_array().is_none_or(|uris| uris.iter().any(|kept| kept == uri));
    Ok(match good(answer.status) {
        true if kept => Found::let_in(format!("{}, registered", answer.status)),
        true => Found::refused(format!("{}, registered without it", answer.status)),
        false => Found::refused(said(&answer)),
    }
    .with(answer))
}

/// To keep a star is harmless, as long as it stands for itself.
async fn wildcard(server: &Server, registered: &str, asked: &str) -> Finding {
    let client = match server.new_client(&web_metadata(registered)).await {
        Ok(client) => client,
        Err(Stop::NotRun(why)) => return Ok(Found::refused(why)),
        Err(stop) => return Err(stop),
    };
    let visit = server.ask(&server.query(&client).with("redirect_uri", asked)).await?;
    if visit.location().is_some_and(|location| location.starts_with(asked)) {
        return Ok(Found::let_in(format!("registered, and sent to {asked}")).with(visit.last().clone()));
    }
    server.not_on(&visit)
}

/// A client that may do more than ask people; none if it cannot register.
async fn with_grant(server: &Server, grant: &str, change: Value) -> Result<Result<Client, Found>, Stop> {
    let mut metadata = web_metadata(WEB);
    metadata["grant_types"] = json!(["authorization_code", grant]);
    if let (Some(metadata), Value::Object(change)) = (metadata.as_object_mut(), change) {
        metadata.extend(change);
    }
    match server.new_client(&metadata).await {
        Ok(client) => Ok(Ok(client)),
        Err(Stop::NotRun(why)) => Ok(Err(Found::refused(why))),
        Err(stop) => Err(stop),
    }
}

async fn client_credentials(server: &Server) -> Finding {
    let secret = json!({ "token_endpoint_auth_method": "client_secret_post" });
    let client = match with_grant(server, "client_credentials", secret).await? {
        Ok(client) => client,
        Err(refused) => return Ok(refused),
    };
    let fields = [client.fields(), vec![("grant_type", "client_credentials")]].concat();
    let answer = judged(server.post("token_endpoint", &fields).await?)?;
    let did = format!("registered; its token is answered {}", said(&answer));
    Ok(Found::let_in_if(answer.json()["access_token"].is_string(), did).with(answer))
}

async fn password(server: &Server) -> Finding {
    let client = match with_grant(server, "password", json!({})).await? {
        Ok(client) => client,
        Err(refused) => return Ok(refused),
    };
    let guess = [("grant_type", "password"), ("username", "mcp-attack"), ("password", "mcp-attack")];
    let answer = judged(server.post("token_endpoint", &[client.fields(), guess.to_vec()].concat()).await?)?;
    // `invalid_grant` is what a looked-at, wrong password is answered (RFC 6749 §5.2).
    let looked_at = good(answer.status) || answer.error().as_deref() == Some("invalid_grant");
    let did = format!("registered; a guess is answered {}", said(&answer));
    Ok(Found::let_in_if(looked_at, did).with(answer))
}

async fn implicit(server: &Server) -> Finding {
    let client = match with_grant(server, "implicit", json!({ "response_types": ["code", "token"] })).await? {
        Ok(client) => client,
        Err(refused) => return Ok(refused),
    };
    let visit = server.ask(&server.query(&client).with("response_type", "token")).await?;
    server.not_on(&visit)
}

/// Whatever a registration names, nobody has agreed that it is fetched, and from where.
async fn fetches(server: &Server) -> Finding {
    let trap = Trap::set().await?;
    let url = |name: &str| format!("http://127.0.0.1:{}/{name}", trap.port);
    let mut metadata = web_metadata(WEB);
    for name in ["jwks_uri", "logo_uri", "sector_identifier_uri", "initiate_login_uri"] {
        metadata[name] = json!(url(name));
    }
    metadata["request_uris"] = json!([url("request")]);
    let answer = server.register(&metadata).await?;
    let mut did = said(&answer);
    if let Some(id) = answer.json()["client_id"].as_str() {
        // Keys may be fetched when they are first needed.
        let assertion = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA";
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", id),
            ("code", "mcp-attack"),
            ("code_verifier", VERIFIER),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        did = format!("{did}, then {}", said(&server.post("token_endpoint", &fields).await?));
    }
    if trap.was_called().await {
        return Ok(Found::let_in(format!("{did}; asked the attacker's server")).with(answer));
    }
    judged(answer).map(|answer| Found::refused(did).with(answer))
}

/// Whatever is wrong with it, the answer is no, and the server is there afterwards.
async fn odd_body(server: &Server, body: fn() -> String) -> Finding {
    let url = server.endpoint("registration_endpoint")?;
    let request = RawRequest::to("POST", &url).header("Content-Type", "application/json").body(body());
    let found = match server.send(&url, &request).await {
        Ok(answer) => {
            let answer = judged(answer)?;
            server.remember(&answer.json());
            Found::let_in_if(good(answer.status), said(&answer)).with(answer)
        }
        // To stop reading is an answer too, and a client that still writes may not get to see another.
        Err(Stop::HungUp) => Found::refused("closed the connection"),
        Err(stop) => return Err(stop),
    };
    server.get(&server.documents[0].url).await.map_err(|_| Stop::Failed("the server is gone".to_owned()))?;
    Ok(found)
}
