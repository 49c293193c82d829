//! What becomes a token: a code, an older token, or a secret (RFC 6749 §4.1.3, §6, §4.4; RFC 8707 §2.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use oauth2::{
    AccessToken, PkceCodeVerifier, RefreshToken, TokenResponse,
    basic::{BasicTokenResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use crate::{
    Scopes,
    error::{Error, Fault},
    observer::Step,
    registration::{AuthMethod, Client},
    web::{Body, Request, Web},
};

/// A call takes its time, and clocks differ: a token is replaced that long before its end, or for the last fifth of a
/// short life.
const MARGIN: Duration = Duration::from_secs(10);

/// What a client was given, for one resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) access_token: AccessToken,
    pub(crate) refresh_token: Option<RefreshToken>,
    /// Until when it is worth sending, in seconds since 1970; none where the server does not say.
    pub(crate) good_until: Option<u64>,
    /// What was asked for; a step-up asks for this and more.
    pub(crate) requested: Scopes,
    /// What was granted: what was asked for, unless the server says otherwise (RFC 6749 §5.1).
    pub(crate) granted: Scopes,
}

/// What is given for a token.
pub(crate) enum Grant<'a> {
    Code { code: &'a str, verifier: &'a PkceCodeVerifier, redirect_uri: &'a Url, scopes: &'a Scopes },
    Refresh { old: &'a Token, refresh_token: &'a RefreshToken },
    ClientCredentials { scopes: &'a Scopes },
}

impl Token {
    /// Whether it is still worth sending.
    pub(crate) fn is_fresh(&self) -> bool {
        self.good_until.is_none_or(|end| now() < end)
    }
}

/// In seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Asks the token endpoint.
pub(crate) async fn ask(
    web: &Web,
    endpoint: &Url,
    client: &Client,
    resource: &str,
    grant: &Grant<'_>,
) -> Result<Token, Error> {
    let mut form: Vec<(&str, &str)> = Vec::new();
    let (step, requested, old) = match grant {
        Grant::Code { code, verifier, redirect_uri, scopes } => {
            form.extend([
                ("grant_type", "authorization_code"),
                ("code", code),
                ("code_verifier", verifier.secret()),
                ("redirect_uri", redirect_uri.as_str()),
            ]);
            (Step::Token, *scopes, None)
        }
        Grant::Refresh { old, refresh_token } => {
            form.extend([("grant_type", "refresh_token"), ("refresh_token", refresh_token.secret())]);
            (Step::Refresh, &old.requested, Some(*old))
        }
        Grant::ClientCredentials { scopes } => {
            form.push(("grant_type", "client_credentials"));
            (Step::ClientCredentials, *scopes, None)
        }
    };
    let scope = requested.to_string();
    if matches!(grant, Grant::ClientCredentials { .. }) && !scope.is_empty() {
        form.push(("scope", &scope));
    }
    form.push(("resource", resource));
    let mut request = Request::post(endpoint, Body::None);
    let secret = client.secret.as_ref().map_or("", |secret| secret.secret().as_str());
    match client.auth {
        // RFC 6749 §2.3.1: each is encoded as in a form before the two are joined.
        AuthMethod::Basic => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let basic = BASE64_STANDARD.encode(format!("{}:{}", encode(&client.id), encode(secret)));
            let value = HeaderValue::from_str(&format!("Basic {basic}"))
                .map_err(|_| Error::new(step, Fault::Secret("the secret fits in no header".to_owned())))?;
            request.headers.insert(AUTHORIZATION, value);
        }
        AuthMethod::Post => form.extend([("client_id", client.id.as_str()), ("client_secret", secret)]),
        AuthMethod::None => form.push(("client_id", &client.id)),
    }
    request.body = Body::Form(form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());

    let answer = web.exchange(step, request).await?;
    if answer.status != StatusCode::OK {
        return Err(Error::new(step, answer.fault()));
    }
    let token: BasicTokenResponse = answer.json(step)?;
    // RFC 6749 §7.1: a client must not use a token of a type that it does not understand.
    if *token.token_type() != BasicTokenType::Bearer {
        return Err(Error::new(step, Fault::Unreadable("the token is not a bearer token".to_owned())));
    }
    // It is going into a header, and came from a stranger.
    if HeaderValue::from_str(token.access_token().secret()).is_err() || token.access_token().secret().is_empty() {
        return Err(Error::new(step, Fault::Unreadable("the token fits in no header".to_owned())));
    }
    Ok(Token {
        access_token: token.access_token().clone(),
        // A server that does not rotate leaves it out, and the old one stays (RFC 6749 §6).
        refresh_token: token.refresh_token().or(old.and_then(|old| old.refresh_token.as_ref())).cloned(),
        good_until: token.expires_in().map(|life| now().saturating_add((life - MARGIN.min(life / 5)).as_secs())),
        requested: requested.clone(),
        granted: match (token.scopes(), old) {
            (Some(scopes), _) => scopes.iter().map(|scope| scope.as_str()).collect(),
            (None, Some(old)) => old.granted.clone(),
            (None, None) => requested.clone(),
        },
    })
}
