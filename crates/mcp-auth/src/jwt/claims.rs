//! What a token says, read strictly: every claim that decides has its type, and a missing one never counts as good.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::JwtVerifier;
use crate::{AccessToken, TokenError, keys::PublicKey};

/// 9999-12-31T23:59:59Z. A later time is a mistake or a trick, not a date.
const LAST_SECOND: f64 = 253_402_300_799.0;

impl JwtVerifier {
    pub(super) fn claims(
        &self,
        claims: Map<String, Value>,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<AccessToken, TokenError> {
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
/// Connect Core §3.1.3.6), logout tokens and other security events say which (RFC 8417 §2.2), Keycloak names the kind in
/// the claim `typ`, others in `token_use`.
fn kind(claims: &Map<String, Value>) -> Result<(), TokenError> {
    let is = |name: &str, allowed: &[&str]| match claims.get(name) {
        None => true,
        Some(value) => value.as_str().is_some_and(|kind| allowed.iter().any(|name| kind.eq_ignore_ascii_case(name))),
    };
    let of_another_kind = ["at_hash", "c_hash", "s_hash", "events"].iter().any(|name| claims.contains_key(*name));
    if of_another_kind || !is("typ", &["Bearer", "at+jwt", "JWT"]) || !is("token_use", &["access"]) {
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
