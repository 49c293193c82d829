//! Just enough DER (X.690) to write public keys, ECDSA signatures and a certificate the way other software does.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde_json::Value;

use crate::{attack::NotBuilt, target::Key};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// rsaEncryption and NULL.
const RSA_ENCRYPTION: [u8; 15] = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// sha256WithRSAEncryption and NULL.
const SHA256_WITH_RSA: [u8; 15] = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
/// ecPublicKey on prime256v1.
const P256: [u8; 21] =
    [0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ED25519: [u8; 7] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
/// commonName.
const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    match significant {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        // No more than eight: it was a usize.
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            der.extend(long);
        }
    }
    der.extend(content);
    der
}

fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    match bytes.first() {
        // A leading bit would make it negative; and zero has one byte.
        None | Some(0x80..) => tagged(INTEGER, &[&[0], bytes]),
        Some(_) => tagged(INTEGER, &[bytes]),
    }
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tagged(BIT_STRING, &[&[0], bytes])
}

/// RFC 8017 §A.1.1, of an RSA public JWK.
pub(crate) fn pkcs1(jwk: &Value) -> Option<Vec<u8>> {
    Some(tagged(SEQUENCE, &[&unsigned(&member(jwk, "n")?), &unsigned(&member(jwk, "e")?)]))
}

/// SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), of a public JWK.
pub(crate) fn spki(jwk: &Value) -> Option<Vec<u8>> {
    let (algorithm, key): (&[u8], _) = match jwk["kty"].as_str()? {
        "RSA" => (&RSA_ENCRYPTION, pkcs1(jwk)?),
        "EC" => (&P256, [vec![4], member(jwk, "x")?, member(jwk, "y")?].concat()),
        "OKP" => (&ED25519, member(jwk, "x")?),
        _ => return None,
    };
    Some(tagged(SEQUENCE, &[algorithm, &bit_string(&key)]))
}

/// The PEM of a public JWK. Every type that `PublicKey` has can be written.
pub(crate) fn public_pem(jwk: &Value) -> String {
    pem("PUBLIC KEY", &spki(jwk).unwrap_or_default())
}

fn member(jwk: &Value, name: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(jwk[name].as_str()?).ok()
}

/// As `openssl` writes it: lines of 64, each ended by a newline.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

/// An ECDSA signature as everybody but JOSE writes it: Ecdsa-Sig-Value (RFC 3279 §2.2.3) in place of r and s.
pub(crate) fn ecdsa_signature(r_and_s: &[u8]) -> Vec<u8> {
    let (r, s) = r_and_s.split_at(r_and_s.len() / 2);
    tagged(SEQUENCE, &[&unsigned(r), &unsigned(s)])
}

/// A certificate that an RSA key issues to itself (RFC 5280 §4.1).
pub(crate) fn certificate(key: &Key, name: &str) -> Result<Vec<u8>, NotBuilt> {
    let not_built = || NotBuilt::Signing("it is no RSA key".to_owned());
    let name = tagged(
        SEQUENCE,
        &[&tagged(SET, &[&tagged(SEQUENCE, &[&COMMON_NAME, &tagged(UTF8_STRING, &[name.as_bytes()])])])],
    );
    let validity = tagged(SEQUENCE, &[&tagged(UTC_TIME, &[b"250101000000Z"]), &tagged(UTC_TIME, &[b"491231235959Z"])]);
    let version = tagged(CONTEXT_0, &[&unsigned(&[2])]);
    let public = spki(key.public().jwk()).ok_or_else(not_built)?;
    let to_be_signed =
        tagged(SEQUENCE, &[&version, &unsigned(&[1]), &SHA256_WITH_RSA, &name, &validity, &name, &public]);
    let signature = key.sign_bytes(&to_be_signed)?;
    Ok(tagged(SEQUENCE, &[&to_be_signed, &SHA256_WITH_RSA, &bit_string(&signature)]))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::DecodingKey;
    use mcp_auth::keys::{Algorithm, PublicKey, make_pair};

    use super::*;

    #[test]
    fn numbers_and_lengths() {
        assert_eq!(unsigned(&[0]), [2, 1, 0]);
        assert_eq!(unsigned(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(tagged(SEQUENCE, &[&[7; 200]])[..4], [0x30, 0x81, 200, 7]);
        assert_eq!(tagged(SEQUENCE, &[&[7; 300]])[..5], [0x30, 0x82, 1, 44, 7]);
    }

    #[test]
    fn other_software_reads_what_is_written() {
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let (_, public) = make_pair(algorithm).unwrap();
            let pem = pem("PUBLIC KEY", &spki(public.jwk()).unwrap());
            let read = PublicKey::from_pem(pem.as_bytes()).unwrap();
            for member in ["n", "e", "x", "y", "crv", "kty"] {
                assert_eq!(read.jwk()[member], public.jwk()[member], "{algorithm} {member}");
            }
            if algorithm == Algorithm::RS256 {
                let pem = super::pem("RSA PUBLIC KEY", &pkcs1(public.jwk()).unwrap());
                assert!(DecodingKey::from_rsa_pem(pem.as_bytes()).is_ok());
            }
        }
    }
}
