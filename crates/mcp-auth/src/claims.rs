//! What a token says, read strictly: every claim that decides has its type, and a missing one never counts as good.
//!
//! It is the same whether the token itself says it under a signature, or its issuer when it is asked (RFC 7662).

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};

use crate::{AccessToken, ResourceUri, TokenError, keys::PublicKey};

/// 9999-12-31T23:59:59Z. A later time is a mistake or a trick, not a date.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims that decide something, found in one pass over all of them.
#[derive(Default)]
struct Known<'a> {
    iss: Option<&'a Value>,
    aud: Option<&'a Value>,
    sub: Option<&'a Value>,
    exp: Option<&'a Value>,
    nbf: Option<&'a Value>,
    iat: Option<&'a Value>,
    client_id: Option<&'a Value>,
    azp: Option<&'a Value>,
    preferred_username: Option<&'a Value>,
    username: Option<&'a Value>,
    scope: Option<&'a Value>,
    scopes: Option<&'a Value>,
    roles: Option<&'a Value>,
    realm_access: Option<&'a Value>,
    tools: Option<&'a Value>,
    typ: Option<&'a Value>,
    token_use: Option<&'a Value>,
    token_type: Option<&'a Value>,
    /// One that only another kind of token has.
    of_another_kind: Option<&'a Value>,
}

impl<'a> Known<'a> {
    fn of(claims: &'a Map<String, Value>) -> Self {
        let mut known = Self::default();
        for (name, value) in claims {
            let place = match name.as_str() {
                "iss" => &mut known.iss,
                "aud" => &mut known.aud,
                "sub" => &mut known.sub,
                "exp" => &mut known.exp,
                "nbf" => &mut known.nbf,
                "iat" => &mut known.iat,
                "client_id" => &mut known.client_id,
                "azp" => &mut known.azp,
                "preferred_username" => &mut known.preferred_username,
                "username" => &mut known.username,
                "scope" => &mut known.scope,
                "scopes" => &mut known.scopes,
                "roles" => &mut known.roles,
                "realm_access" => &mut known.realm_access,
                "tools" => &mut known.tools,
                "typ" => &mut known.typ,
                "token_use" => &mut known.token_use,
                "token_type" => &mut known.token_type,
                // ID tokens carry hashes of what they came with (OpenID Connect Core §3.1.3.6); logout tokens and other
                // security events say which (RFC 8417 §2.2).
                "at_hash" | "c_hash" | "s_hash" | "events" => &mut known.of_another_kind,
                _ => continue,
            };
            *place = Some(value);
        }
        known
    }

    /// Other tokens of the same issuer are signed with the same keys. Keycloak names the kind in the claim `typ`, others
    /// in `token_use`.
    fn is_of_an_access_token(&self, introspected: bool) -> bool {
        let is = |claim: Option<&Value>, allowed: &[&str]| match claim {
            None => true,
            Some(value) => {
                value.as_str().is_some_and(|kind| allowed.iter().any(|name| kind.eq_ignore_ascii_case(name)))
            }
        };
        self.of_another_kind.is_none()
            && is(self.typ, &["Bearer", "at+jwt", "JWT"])
            && is(self.token_use, &["access", "access_token"])
            // RFC 7662 §2.2; no claim of a JWT. One that is bound to a key (RFC 9449) is not taken without that key.
            && (!introspected || is(self.token_type, &["Bearer"]))
    }
}

/// Whose tokens are accepted, and for whom.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) issuer: Arc<str>,
    audience: Vec<Audience>,
    pub(crate) leeway: Duration,
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
            // Nearly always it is written as it is here, and need not be parsed.
            Self::Resource(resource) => {
                resource.as_str() == other || other.parse::<ResourceUri>().is_ok_and(|other| *resource == other)
            }
            Self::Exact(name) => name == other,
        }
    }
}

impl Expected {
    pub(crate) fn new(issuer: String, audience: &str) -> Self {
        let leeway = Duration::from_secs(30);
        let mut expected = Self { issuer: issuer.into(), audience: Vec::new(), leeway };
        expected.also_for(audience);
        expected
    }

    pub(crate) fn also_for(&mut self, audience: &str) {
        self.audience.push(match audience.parse() {
            Ok(resource) => Audience::Resource(resource),
            Err(_) => Audience::Exact(audience.to_owned()),
        });
    }

    /// What a token says that this key has signed.
    pub(crate) fn of_signed(
        &self,
        claims: Map<String, Value>,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<AccessToken, TokenError> {
        self.read(claims, Some(key), now)
    }

    /// What the issuer's own endpoint says of a token that it calls active.
    #[cfg(feature = "remote")]
    pub(crate) fn of_introspected(
        &self,
        claims: Map<String, Value>,
        now: SystemTime,
    ) -> Result<AccessToken, TokenError> {
        self.read(claims, None, now)
    }

    fn read(
        &self,
        claims: Map<String, Value>,
        key: Option<&PublicKey>,
        now: SystemTime,
    ) -> Result<AccessToken, TokenError> {
        let introspected = key.is_none();
        let now = now.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let leeway = self.leeway.as_secs_f64();
        let known = Known::of(&claims);
        let expires = time(known.exp, "exp")?.ok_or(TokenError::Claim("exp"))?;
        let starts = [time(known.nbf, "nbf")?, time(known.iat, "iat")?];
        // RFC 7662 §2.2 leaves `iss` out as it likes: the answer comes from this issuer's endpoint, and from no other.
        if !(introspected && known.iss.is_none()) && required(known.iss, "iss")? != &*self.issuer {
            return Err(TokenError::Issuer);
        }
        if !self.is_for_us(known.aud)? {
            return Err(TokenError::Audience);
        }
        if now > expires + leeway {
            return Err(TokenError::Expired);
        }
        if starts.into_iter().flatten().any(|start| start > now + leeway) {
            return Err(TokenError::NotYetValid);
        }
        if !known.is_of_an_access_token(introspected) {
            return Err(TokenError::NotAnAccessToken);
        }
        let text = |claim: Option<&Value>| claim.and_then(Value::as_str).map(str::to_owned);
        Ok(AccessToken {
            issuer: Arc::clone(&self.issuer),
            subject: required(known.sub, "sub")?.into(),
            client_id: text(known.client_id).or_else(|| text(known.azp)),
            username: known
                .preferred_username
                .or(known.username.filter(|_| introspected))
                .and_then(Value::as_str)
                .map(Arc::from),
            scopes: scopes(known.scope, known.scopes)?,
            roles: roles(known.roles, known.realm_access)?,
            tools: tools(known.tools)?,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the year 9999")]
            expires_at: expires as u64,
            kid: key.map(|key| key.kid().to_owned()),
            claims,
        })
    }

    /// RFC 7519 §4.1.3: one string or an array of strings. Without one that is ours the token is not for us
    /// (RFC 8707 §2; MCP 2026-07-28, *Authorization*, "Token Handling").
    fn is_for_us(&self, aud: Option<&Value>) -> Result<bool, TokenError> {
        let ours = |audience: &str| self.audience.iter().any(|expected| expected.is(audience));
        match aud {
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
fn time(claim: Option<&Value>, name: &'static str) -> Result<Option<f64>, TokenError> {
    let Some(value) = claim else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds));
    seconds.map(Some).ok_or(TokenError::Claim(name))
}

fn required<'a>(claim: Option<&'a Value>, name: &'static str) -> Result<&'a str, TokenError> {
    claim.and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(TokenError::Claim(name))
}

/// `scope` is one string with spaces (RFC 9068 §2.2.3); some providers write `scopes`, a string or an array.
fn scopes(scope: Option<&Value>, scopes: Option<&Value>) -> Result<Vec<String>, TokenError> {
    let mut all = Vec::new();
    match scope {
        None => {}
        Some(Value::String(text)) => add(&mut all, text),
        Some(_) => return Err(TokenError::Claim("scope")),
    }
    match scopes {
        None => {}
        Some(Value::String(text)) => add(&mut all, text),
        Some(Value::Array(items)) => {
            for item in items {
                add(&mut all, item.as_str().ok_or(TokenError::Claim("scopes"))?);
            }
        }
        Some(_) => return Err(TokenError::Claim("scopes")),
    }
    Ok(all)
}

fn add(scopes: &mut Vec<String>, text: &str) {
    for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
        if !scopes.iter().any(|other| other == scope) {
            scopes.push(scope.to_owned());
        }
    }
}

/// `roles` (RFC 9068 §2.2.3.1), and where Keycloak keeps those of a realm. A role is one string, spaces and all.
fn roles(roles: Option<&Value>, realm_access: Option<&Value>) -> Result<Vec<String>, TokenError> {
    let of_realm = match realm_access {
        None => None,
        Some(Value::Object(access)) => access.get("roles"),
        Some(_) => return Err(TokenError::Claim("realm_access")),
    };
    let mut all: Vec<String> = Vec::new();
    for list in [roles, of_realm].into_iter().flatten() {
        for role in list.as_array().ok_or(TokenError::Claim("roles"))? {
            let role = role.as_str().ok_or(TokenError::Claim("roles"))?;
            if !all.iter().any(|other| other == role) {
                all.push(role.to_owned());
            }
        }
    }
    Ok(all)
}

/// `tools` takes away from what the scopes allow, so one that cannot be read must not count as none.
fn tools(claim: Option<&Value>) -> Result<Option<Vec<String>>, TokenError> {
    let Some(claim) = claim else { return Ok(None) };
    let names = claim.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    names.map(Some).ok_or(TokenError::Claim("tools"))
}
