use std::ops::RangeInclusive;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Map, Value, json};

use super::{Algorithm, KeyError, public_keys::object};

/// RSA moduli, in bytes: 2048 bits or larger (RFC 7518 §3.3), and none that makes verifying a burden.
const RSA_BYTES: RangeInclusive<usize> = 256..=1024;

/// A public key bound to one algorithm, as it is published.
#[derive(Clone, Debug)]
pub struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    jwk: Value,
    /// Parsed once: a point off its curve is found here, and no request pays for it.
    key: ParsedPublicKey,
}

impl PublicKey {
    /// The key id: as the JWK gives it, else the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm this key verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public JWK, with `kid`, `alg` and `use`.
    pub const fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Whether `signature` (RFC 7518 §3.3–3.5: for ES256 the two numbers side by side) is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// A key from one JWK.
    ///
    /// # Errors
    /// When it is not a JSON object, has a private or symmetric member, is not for signatures, is of a type or curve that
    /// is not served here, is RSA outside 2048 to 8192 bits, is no point of its curve, or names an algorithm that its
    /// type does not have.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        Self::from_object(object(text)?)
    }

    pub(super) fn from_object(jwk: Map<String, Value>) -> Result<Self, KeyError> {
        // RFC 7518 §6.2.2, §6.3.2, §6.4.1: none of these belongs where a public key is expected.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| jwk.contains_key(*member)) {
            let why = "it holds a private or symmetric key; publish the public half alone";
            return Err(KeyError::Unusable(why.to_owned()));
        }
        let jwk = serde_json::from_value(Value::Object(jwk)).map_err(|error| KeyError::Unusable(error.to_string()))?;
        Self::of(jwk)
    }

    /// A key from a PEM with an RSA, P-256 or Ed25519 public key; RSA ones are taken for RS256.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .map_err(|_| KeyError::Unusable("it is no PEM of an RSA, P-256 or Ed25519 public key".to_owned()))?;
        Self::of(Jwk::from_decoding_key(&key, None).map_err(|error| KeyError::Unusable(error.to_string()))?)
    }

    pub(super) fn of(jwk: Jwk) -> Result<Self, KeyError> {
        let unusable = |why: &str| KeyError::Unusable(why.to_owned());
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err(unusable("its use is not signatures"));
        }
        if jwk.common.key_operations.as_ref().is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
            return Err(unusable("its key_ops do not include verify"));
        }
        let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm) {
            (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => Algorithm::PS256,
            (AlgorithmParameters::EllipticCurve(ec), None | Some(KeyAlgorithm::ES256))
                if ec.curve == EllipticCurve::P256 =>
            {
                Algorithm::ES256
            }
            (AlgorithmParameters::OctetKeyPair(okp), None | Some(KeyAlgorithm::EdDSA))
                if okp.curve == EllipticCurve::Ed25519 =>
            {
                Algorithm::EdDSA
            }
            _ => return Err(unusable("its type, curve and algorithm are none of RS256, PS256, ES256, EdDSA")),
        };
        let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| unusable("it is not base64url"));
        let rejected = |_| unusable("it is no public key of its type");
        let (public, key) = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                let (n, e) = (bytes(&rsa.n)?, bytes(&rsa.e)?);
                let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
                if !RSA_BYTES.contains(&n.len()) {
                    return Err(unusable("its RSA modulus is not of 2048 to 8192 bits"));
                }
                let parameters = match algorithm {
                    Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA256,
                };
                let key = RsaPublicKeyComponents { n, e: &e }.to_parsed_public_key(parameters).map_err(rejected)?;
                (json!({ "kty": "RSA", "n": rsa.n, "e": rsa.e }), key)
            }
            AlgorithmParameters::EllipticCurve(ec) => {
                let (x, y) = (bytes(&ec.x)?, bytes(&ec.y)?);
                if [x.len(), y.len()] != [32, 32] {
                    return Err(unusable("its coordinates are not of P-256"));
                }
                // SEC 1 §2.3.3: 4 says that both coordinates follow.
                let point = [&[4], x.as_slice(), &y].concat();
                let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(rejected)?;
                (json!({ "kty": "EC", "crv": "P-256", "x": ec.x, "y": ec.y }), key)
            }
            AlgorithmParameters::OctetKeyPair(okp) => {
                let x = bytes(&okp.x)?;
                if x.len() != 32 {
                    return Err(unusable("it is not an Ed25519 key"));
                }
                (
                    json!({ "kty": "OKP", "crv": "Ed25519", "x": okp.x }),
                    ParsedPublicKey::new(&ED25519, x).map_err(rejected)?,
                )
            }
            _ => return Err(unusable("its type is not served here")),
        };
        let kid = match &jwk.common.key_id {
            Some(kid) => kid.clone(),
            None => jwk.thumbprint(ThumbprintHash::SHA256).map_err(|error| KeyError::Unusable(error.to_string()))?,
        };
        let mut published = json!({ "kid": kid, "use": "sig", "alg": algorithm.as_str() });
        if let (Some(published), Value::Object(public)) = (published.as_object_mut(), public) {
            published.extend(public);
        }
        Ok(Self { kid, algorithm, jwk: published, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1: an RSA key and its thumbprint.
    const RFC7638: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256"}"#;

    #[test]
    fn the_thumbprint_is_rfc_7638s() {
        let key = PublicKey::from_jwk(RFC7638).unwrap();
        assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(key.algorithm(), Algorithm::RS256);
        assert_eq!((&key.jwk()["use"], &key.jwk()["alg"]), (&json!("sig"), &json!("RS256")));
    }

    #[test]
    fn refused_keys() {
        let ec = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
        assert!(PublicKey::from_jwk(&format!("{{{ec}}}")).is_ok());
        for (name, jwk) in [
            ("private", format!(r#"{{{ec},"d":"AQ"}}"#)),
            ("symmetric", r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned()),
            ("for encryption", format!(r#"{{{ec},"use":"enc"}}"#)),
            ("HMAC with an EC key", format!(r#"{{{ec},"alg":"HS256"}}"#)),
            ("RSA algorithm with an EC key", format!(r#"{{{ec},"alg":"RS256"}}"#)),
            ("another curve", format!("{{{ec}}}").replace("P-256", "P-384")),
            ("a short coordinate", format!("{{{ec}}}").replace("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "AQ")),
            ("512-bit RSA", r#"{"kty":"RSA","e":"AQAB","n":"AKjhHmgLIUzLC9tC2rFNRqXzhTZXTnSpVfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4"}"#.to_owned()),
            ("not JSON", "{".to_owned()),
        ] {
            assert!(PublicKey::from_jwk(&jwk).is_err(), "{name}");
        }
        assert!(PublicKey::from_pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_err());
    }
}
