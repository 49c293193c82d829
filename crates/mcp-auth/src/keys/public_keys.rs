use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{KeyError, PublicKey};
use crate::strict_json;

/// No set has more keys: each costs a parse, and a set this large is somebody else's idea of a key server.
const MAX_KEYS: usize = 100;

/// The public keys of a directory or a JWKS URL at one moment.
#[derive(Debug)]
pub struct PublicKeys {
    keys: Vec<PublicKey>,
    jwks: Bytes,
    epoch: u64,
}

impl PublicKeys {
    /// Of two keys with one `kid` the first counts: whoever can add a key cannot put it in front of another one.
    pub(crate) fn new(keys: Vec<PublicKey>) -> Self {
        let mut unique: Vec<PublicKey> = Vec::new();
        for key in keys {
            if !unique.iter().any(|other| other.kid() == key.kid()) {
                unique.push(key);
            }
        }
        let jwks = json!({ "keys": unique.iter().map(PublicKey::jwk).collect::<Vec<_>>() });
        Self { keys: unique, jwks: jwks.to_string().into(), epoch: 0 }
    }

    /// What comes after these keys. The epoch moves on if one of them is gone, or is another under its old name.
    pub(crate) fn followed_by(&self, keys: Vec<PublicKey>) -> Self {
        let next = Self::new(keys);
        let lost = self.keys.iter().any(|old| !next.keys.iter().any(|key| key.jwk() == old.jwk()));
        Self { epoch: self.epoch + u64::from(lost), ..next }
    }

    /// The keys, by file name or as they stood in the set.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The JWK Set as JSON (RFC 7517 §5), written once.
    pub fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// Grows whenever a key was dropped: what was verified in an earlier epoch has to be verified again.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl PublicKey {
    /// The usable keys of a JWK Set. Those that are not (for encryption, symmetric, of unknown types) are left out, as
    /// RFC 7517 §5 wants it.
    ///
    /// # Errors
    /// When it is not a JWK Set, or one of more than 100 keys.
    pub fn from_jwks(text: &str) -> Result<Vec<Self>, KeyError> {
        Self::from_set(object(text)?)
    }

    /// A file may hold either.
    pub(super) fn from_jwk_or_set(text: &str) -> Result<Vec<Self>, KeyError> {
        let object = object(text)?;
        if object.contains_key("keys") {
            Self::from_set(object)
        } else {
            Self::from_object(object).map(|key| vec![key])
        }
    }

    fn from_set(mut set: Map<String, Value>) -> Result<Vec<Self>, KeyError> {
        let unusable = |why: &str| KeyError::Unusable(why.to_owned());
        let Some(Value::Array(entries)) = set.remove("keys") else {
            return Err(unusable("it is no JWK Set: it has no array of keys"));
        };
        if entries.len() > MAX_KEYS {
            return Err(unusable("the JWK Set has more than 100 keys"));
        }
        let mut keys = Vec::new();
        for entry in entries {
            let Value::Object(jwk) = entry else { return Err(unusable("the JWK Set has a key that is no object")) };
            match Self::from_object(jwk) {
                Ok(key) => keys.push(key),
                Err(error) => tracing::debug!(%error, "a key of the set is left out"),
            }
        }
        Ok(keys)
    }
}

/// JSON text of a key or a set.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, KeyError> {
    strict_json::object(text.as_bytes()).map_err(|error| KeyError::Unusable(error.to_string()))
}
