use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Value, json};

use super::{Algorithm, KeyError};

/// The smallest RSA modulus accepted, in bytes (RFC 7518 §3.3: 2048 bits or larger).
const MIN_RSA_BYTES: usize = 256;

/// A public key bound to one algorithm, as it is published.
#[derive(Clone, Debug)]
pub struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    jwk: Value,
    decoding: DecodingKey,
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

    pub(crate) const fn decoding_key(&self) -> &DecodingKey {
        &self.decoding
    }

    /// A key from one JWK.
    ///
    /// # Errors
    /// When it is not JSON, has a private or symmetric member, is not for signatures, is of a type or curve that is not
    /// served here, is RSA below 2048 bits, or names an algorithm that its type does not have.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        let unusable = |why: &str| KeyError::Unusable(why.to_owned());
        let value: Value = serde_json::from_str(text).map_err(|error| KeyError::Unusable(error.to_string()))?;
        // RFC 7518 §6.2.2, §6.3.2, §6.4.1: none of these belongs where a public key is expected.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| value.get(member).is_some()) {
            return Err(unusable("it holds a private or symmetric key; publish the public half alone"));
        }
        let jwk: Jwk = serde_json::from_value(value).map_err(|error| KeyError::Unusable(error.to_string()))?;
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
        let public = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                bytes(&rsa.e)?;
                let modulus = bytes(&rsa.n)?;
                if modulus.iter().skip_while(|byte| **byte == 0).count() < MIN_RSA_BYTES {
                    return Err(unusable("its RSA modulus is shorter than 2048 bits"));
                }
                json!({ "kty": "RSA", "n": rsa.n, "e": rsa.e })
            }
            AlgorithmParameters::EllipticCurve(ec) => {
                if [bytes(&ec.x)?.len(), bytes(&ec.y)?.len()] != [32, 32] {
                    return Err(unusable("its coordinates are not of P-256"));
                }
                json!({ "kty": "EC", "crv": "P-256", "x": ec.x, "y": ec.y })
            }
            AlgorithmParameters::OctetKeyPair(okp) => {
                if bytes(&okp.x)?.len() != 32 {
                    return Err(unusable("it is not an Ed25519 key"));
                }
                json!({ "kty": "OKP", "crv": "Ed25519", "x": okp.x })
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
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|error| KeyError::Unusable(error.to_string()))?;
        Ok(Self { kid, algorithm, jwk: published, decoding })
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
