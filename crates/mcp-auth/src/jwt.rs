//! [`JwtVerifier`]: signed access tokens (RFC 9068, with what identity providers really send), by RFC 8725.
//!
//! The rules of the algorithm are not settings. A token's header only *names* a key and an algorithm; which keys there
//! are and what each may verify is decided before any token arrives. Nothing in a header (`jwk`, `jku`, `x5u`, `x5c`)
//! ever brings a key along.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

#[cfg(feature = "remote")]
use crate::RemoteKeySet;
use crate::{
    AccessToken, ResourceUri, TokenError, TokenVerifier,
    keys::{Algorithm, KeyDirectory, PublicKey, PublicKeys},
    strict_json,
    token::MAX_TOKEN,
};

/// 9999-12-31T23:59:59Z. A later time is a mistake or a trick, not a date.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// How often a newer set of keys is looked at for one token. Two sets may come in between; a third is a provider at odds
/// with itself.
const ROUNDS: usize = 3;

/// Verifies JWT access tokens with the keys of a directory, of a JWKS URL, or with a fixed set.
#[derive(Debug)]
pub struct JwtVerifier {
    keys: Keys,
    issuer: String,
    audience: Vec<Audience>,
    leeway: Duration,
}

#[derive(Debug)]
enum Keys {
    Directory(Arc<KeyDirectory>),
    Fixed(Arc<PublicKeys>),
    #[cfg(feature = "remote")]
    Remote(Arc<RemoteKeySet>),
}

impl Keys {
    fn current(&self) -> Arc<PublicKeys> {
        match self {
            Self::Directory(directory) => directory.public_keys(),
            Self::Fixed(keys) => Arc::clone(keys),
            #[cfg(feature = "remote")]
            Self::Remote(keys) => keys.public_keys(),
        }
    }

    /// Other keys than `seen`, in which `kid` is unknown, if it is worth looking for them.
    #[cfg_attr(not(feature = "remote"), expect(unused_variables, clippy::unused_async, reason = "only URLs are asked"))]
    async fn newer_than(&self, seen: &Arc<PublicKeys>, kid: Option<&str>) -> Option<Arc<PublicKeys>> {
        match self {
            Self::Directory(_) | Self::Fixed(_) => None,
            #[cfg(feature = "remote")]
            Self::Remote(keys) => keys.newer_than(seen, kid).await,
        }
    }
}

/// A URL is compared as a [`ResourceUri`], anything else exactly.
#[derive(Debug)]
enum Audience {
    Resource(ResourceUri),
    Exact(String),
}

impl Audience {
    fn is(&self, other: &str) -> bool {
        match self {
            Self::Resource(resource) => other.parse::<ResourceUri>().is_ok_and(|other| *resource == other),
            Self::Exact(name) => name == other,
        }
    }
}

impl JwtVerifier {
    /// Verifies with the keys that a directory holds at the time.
    pub fn with_directory(keys: Arc<KeyDirectory>, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Directory(keys), issuer.into(), audience)
    }

    /// Verifies with these keys for good.
    pub fn with_keys(keys: Vec<PublicKey>, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Fixed(Arc::new(PublicKeys::new(keys))), issuer.into(), audience)
    }

    /// Verifies with the keys behind a JWKS URL. A token with an unknown `kid` may wait for one fetch of it.
    #[cfg(feature = "remote")]
    pub fn with_key_set(keys: Arc<RemoteKeySet>, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Remote(keys), issuer.into(), audience)
    }

    fn new(keys: Keys, issuer: String, audience: &str) -> Self {
        Self { keys, issuer, audience: Vec::new(), leeway: Duration::from_secs(30) }.also_for(audience)
    }

    /// Accepts one more audience.
    #[must_use]
    pub fn also_for(mut self, audience: &str) -> Self {
        self.audience.push(match audience.parse() {
            Ok(resource) => Audience::Resource(resource),
            Err(_) => Audience::Exact(audience.to_owned()),
        });
        self
    }

    /// How far the clocks of issuer and server may differ; 30 seconds by default.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    async fn check(&self, token: &str) -> Result<AccessToken, TokenError> {
        let parts = Parts::split(token)?;
        let header = Header::decode(parts.header)?;
        // What is not base64url in one spelling is no signature.
        let signature = decode(parts.signature).ok_or(TokenError::Signature)?;
        let mut keys = self.keys.current();
        let mut rounds = 1;
        loop {
            let verified = select(&keys, &header).and_then(|key| {
                if key.verify(parts.signed, &signature) { Ok(key) } else { Err(TokenError::Signature) }
            });
            let reason = match verified {
                Ok(key) => return self.claims(parts.claims()?, key, SystemTime::now()),
                Err(reason) => reason,
            };
            let unknown = match reason {
                TokenError::NoKeys | TokenError::UnknownKey => true,
                // Without a `kid`, the one key that there was may have been followed by another.
                TokenError::Signature => header.kid.is_none(),
                _ => false,
            };
            if !unknown || rounds == ROUNDS {
                return Err(reason);
            }
            keys = self.keys.newer_than(&keys, header.kid.as_deref()).await.ok_or(reason)?;
            rounds += 1;
        }
    }

    fn claims(&self, claims: Map<String, Value>, key: &PublicKey, now: SystemTime) -> Result<AccessToken, TokenError> {
        let now = now.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let leeway = self.leeway.as_secs_f64();
        let expires = time(&claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
        let starts = [time(&claims, "nbf")?, time(&claims, "iat")?];
        if required(&claims, "iss")? != self.issuer {
            return Err(TokenError::Issuer);
        }
        if !self.is_for_us(&claims)? {
            return Err(TokenError::Audience);
        }
        if now > expires + leeway {
            return Err(TokenError::Expired);
        }
        if starts.into_iter().flatten().any(|start| start > now + leeway) {
            return Err(TokenError::NotYetValid);
        }
        kind(&claims)?;
        let optional = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(AccessToken {
            issuer: self.issuer.clone(),
            subject: required(&claims, "sub")?.to_owned(),
            client_id: optional("client_id").or_else(|| optional("azp")),
            username: optional("preferred_username"),
            scopes: scopes(&claims)?,
            roles: roles(&claims)?,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the year 9999")]
            expires_at: expires as u64,
            kid: Some(key.kid().to_owned()),
            claims,
        })
    }

    /// RFC 7519 §4.1.3: one string or an array of strings. Without one that is ours the token is not for us
    /// (RFC 8707 §2; MCP 2026-07-28, *Authorization*, "Token Handling").
    fn is_for_us(&self, claims: &Map<String, Value>) -> Result<bool, TokenError> {
        let ours = |audience: &str| self.audience.iter().any(|expected| expected.is(audience));
        match claims.get("aud") {
            Some(Value::String(one)) => Ok(ours(one)),
            Some(Value::Array(several)) => {
                let names: Option<Vec<&str>> = several.iter().map(Value::as_str).collect();
                Ok(names.ok_or(TokenError::Claim("aud"))?.into_iter().any(ours))
            }
            None => Ok(false),
            Some(_) => Err(TokenError::Claim("aud")),
        }
    }
}

impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
        self.check(token).await.map(Arc::new)
    }

    fn epoch(&self) -> u64 {
        self.keys.current().epoch()
    }
}

/// A compact JWS (RFC 7515 §7.1), cut at its two dots.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What the signature is over.
    signed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        let base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed("the token is longer than 16 KiB"));
        }
        if !token.bytes().all(base64url) {
            return Err(TokenError::Malformed("the token has characters outside base64url"));
        }
        let mut parts = token.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(header), Some(claims), Some(signature), None) if !signature.is_empty() => {
                Ok(Self { header, claims, signature, signed: &token.as_bytes()[..header.len() + 1 + claims.len()] })
            }
            (_, _, Some(_), Some(_)) if token.split('.').count() == 5 => {
                Err(TokenError::Malformed("encrypted tokens (JWE) are not accepted"))
            }
            _ => Err(TokenError::Malformed("the token is not a signed JWT of three parts")),
        }
    }
}

impl Parts<'_> {
    /// To be read when the signature is verified.
    fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        decode(self.claims)
            .and_then(|bytes| strict_json::object(&bytes).ok())
            .ok_or(TokenError::Malformed("the token's claims are not one JSON object without repetition"))
    }
}

/// Unpadded, and with nothing in the bits that the last character has to spare: one token has one spelling.
fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Header {
    fn decode(part: &str) -> Result<Self, TokenError> {
        let header = decode(part)
            .and_then(|bytes| strict_json::object(&bytes).ok())
            .ok_or(TokenError::Malformed("the token's header is not one JSON object without repetition"))?;
        // RFC 7515 §4.1.11: an extension that must be understood is not; RFC 7797 (`b64`) is one. `zip` and `enc` are of
        // JWE, and a `cty` announces a token inside this one.
        if ["crit", "b64", "zip", "enc", "cty"].iter().any(|name| header.contains_key(*name)) {
            return Err(TokenError::Malformed("the token uses extensions that are not accepted"));
        }
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(|name| name.parse().ok())
            .ok_or(TokenError::Algorithm)?;
        match header.get("typ") {
            None => {}
            Some(Value::String(typ)) => {
                // RFC 9068 §2.1, and the plain JWT that most providers write; RFC 7515 §4.1.9: in any case.
                let typ = typ.to_ascii_lowercase();
                if !matches!(typ.strip_prefix("application/").unwrap_or(&typ), "at+jwt" | "jwt") {
                    return Err(TokenError::NotAnAccessToken);
                }
            }
            Some(_) => return Err(TokenError::Malformed("the token's typ is not a string")),
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(TokenError::Malformed("the token's kid is not a string")),
        };
        Ok(Self { algorithm, kid })
    }
}

/// The key that a header means: by its `kid`, or the only one for its algorithm. It is compared and nothing else: no
/// path, no query, no URL is ever made of it.
fn select<'a>(keys: &'a PublicKeys, header: &Header) -> Result<&'a PublicKey, TokenError> {
    if keys.keys().is_empty() {
        return Err(TokenError::NoKeys);
    }
    let key = match &header.kid {
        Some(kid) => keys.keys().iter().find(|key| key.kid() == kid).ok_or(TokenError::UnknownKey)?,
        None => {
            let mut fitting = keys.keys().iter().filter(|key| key.algorithm() == header.algorithm);
            match (fitting.next(), fitting.next()) {
                (Some(key), None) => key,
                _ => return Err(TokenError::UnknownKey),
            }
        }
    };
    if key.algorithm() == header.algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, fractions allowed.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .filter(|seconds| value.is_number() && (0.0..=LAST_SECOND).contains(seconds))
            .map(Some)
            .ok_or(TokenError::Claim(name)),
    }
}

fn required<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, TokenError> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(TokenError::Claim(name))
}

/// Other tokens of the same issuer are signed with the same keys: ID tokens carry hashes of what they came with (OpenID
/// Connect Core §3.1.3.6), Keycloak names the kind in the claim `typ`, others in `token_use`.
fn kind(claims: &Map<String, Value>) -> Result<(), TokenError> {
    let is = |name: &str, allowed: &[&str]| match claims.get(name) {
        None => true,
        Some(value) => value.as_str().is_some_and(|kind| allowed.iter().any(|name| kind.eq_ignore_ascii_case(name))),
    };
    let of_an_id_token = ["at_hash", "c_hash", "s_hash"].iter().any(|name| claims.contains_key(*name));
    if of_an_id_token || !is("typ", &["Bearer", "at+jwt", "JWT"]) || !is("token_use", &["access"]) {
        return Err(TokenError::NotAnAccessToken);
    }
    Ok(())
}

/// `scope` is one string with spaces (RFC 9068 §2.2.3); some providers write `scopes`, a string or an array.
fn scopes(claims: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    let mut scopes = Vec::new();
    match claims.get("scope") {
        None => {}
        Some(Value::String(text)) => add(&mut scopes, text),
        Some(_) => return Err(TokenError::Claim("scope")),
    }
    match claims.get("scopes") {
        None => {}
        Some(Value::String(text)) => add(&mut scopes, text),
        Some(Value::Array(items)) => {
            for item in items {
                add(&mut scopes, item.as_str().ok_or(TokenError::Claim("scopes"))?);
            }
        }
        Some(_) => return Err(TokenError::Claim("scopes")),
    }
    Ok(scopes)
}

fn add(scopes: &mut Vec<String>, text: &str) {
    for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
        if !scopes.iter().any(|other| other == scope) {
            scopes.push(scope.to_owned());
        }
    }
}

/// `roles` (RFC 9068 §2.2.3.1), and where Keycloak keeps those of a realm. A role is one string, spaces and all.
fn roles(claims: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    let of_realm = match claims.get("realm_access") {
        None => None,
        Some(Value::Object(access)) => access.get("roles"),
        Some(_) => return Err(TokenError::Claim("realm_access")),
    };
    let mut roles: Vec<String> = Vec::new();
    for list in [claims.get("roles"), of_realm].into_iter().flatten() {
        for role in list.as_array().ok_or(TokenError::Claim("roles"))? {
            let role = role.as_str().ok_or(TokenError::Claim("roles"))?;
            if !roles.iter().any(|other| other == role) {
                roles.push(role.to_owned());
            }
        }
    }
    Ok(roles)
}
