//! A token as it is written: three parts, of which the first chooses a key.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    TokenError,
    keys::{Algorithm, PublicKey, PublicKeys},
    strict_json,
    token::MAX_TOKEN,
};

/// A compact JWS (RFC 7515 §7.1), cut at its two dots.
pub(super) struct Parts<'a> {
    pub(super) header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What the signature is over.
    pub(super) signed: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, TokenError> {
        let base64url = |b: u8| b.is_ascii_alphanumeric() | matches!(b, b'-' | b'_' | b'.');
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed("the token is longer than 16 KiB"));
        }
        // Without a short circuit it is done in wide steps, and a token is nearly always good.
        if !token.bytes().fold(true, |good, b| good & base64url(b)) {
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
    /// What is not base64url in its one spelling is no signature.
    pub(super) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.signature).ok_or(TokenError::Signature)
    }

    /// To be read when the signature is verified.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        decode(self.claims)
            .and_then(|bytes| strict_json::object(&bytes).ok())
            .ok_or(TokenError::Malformed("the token's claims are not one JSON object without repetition"))
    }
}

/// Unpadded, and with nothing in the bits that the last character has to spare: one token has one spelling.
fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

/// What a header says that counts.
#[derive(Debug)]
pub(super) struct Header {
    /// As it was sent.
    text: String,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Header {
    pub(super) fn decode(part: &str) -> Result<Self, TokenError> {
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
        Ok(Self { text: part.to_owned(), algorithm, kid })
    }

    /// Whether it is this one, letter by letter.
    pub(super) fn is(&self, part: &str) -> bool {
        self.text == part
    }

    /// For a key without a name.
    pub(super) fn without_kid(self) -> Self {
        Self { kid: None, ..self }
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key that it means, if that key has signed `message`.
    pub(super) fn verify<'a>(
        &self,
        keys: &'a PublicKeys,
        message: &[u8],
        signature: &[u8],
    ) -> Result<&'a PublicKey, TokenError> {
        let key = self.select(keys)?;
        if key.verify(message, signature) { Ok(key) } else { Err(TokenError::Signature) }
    }

    /// By its `kid`, or the only one for its algorithm. It is compared and nothing else: no path, no query, no URL is
    /// ever made of it.
    fn select<'a>(&self, keys: &'a PublicKeys) -> Result<&'a PublicKey, TokenError> {
        if keys.keys().is_empty() {
            return Err(TokenError::NoKeys);
        }
        let key = match &self.kid {
            Some(kid) => keys.keys().iter().find(|key| key.kid() == kid).ok_or(TokenError::UnknownKey)?,
            None => {
                let mut fitting = keys.keys().iter().filter(|key| key.algorithm() == self.algorithm);
                match (fitting.next(), fitting.next()) {
                    (Some(key), None) => key,
                    _ => return Err(TokenError::UnknownKey),
                }
            }
        };
        if key.algorithm() == self.algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
    }
}
