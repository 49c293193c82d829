//! Signatures that others made: Project Wycheproof's vectors, and the examples of the RFCs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm as Jwa, DecodingKey, crypto};
use mcp_auth::{JwtVerifier, TokenError, TokenVerifier, keys::PublicKey};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn key(jwk: &Value) -> PublicKey {
    PublicKey::from_jwk(&jwk.to_string()).unwrap_or_else(|error| panic!("{error}: {jwk}"))
}

/// Unsigned, without the zeros in front that Wycheproof's hexadecimal numbers have.
fn number(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

/// RFC 7518 §6.2.1.2: a coordinate has as many bytes as the curve, zeros in front included.
fn coordinate(bytes: &[u8]) -> String {
    let number = number(bytes);
    BASE64URL.encode([&vec![0; 32 - number.len()], number].concat())
}

#[derive(Debug, Default, PartialEq)]
struct Count {
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

impl Count {
    /// `acceptable` is Wycheproof's word for what a verifier may take but should not have to: we take none of it.
    fn check(&mut self, key: &PublicKey, id: usize, message: &[u8], signature: &[u8], expected: TestResult) {
        let count = match expected {
            TestResult::Valid => &mut self.valid,
            TestResult::Invalid => &mut self.invalid,
            TestResult::Acceptable => &mut self.acceptable,
        };
        *count += 1;
        let accepted = key.verify(message, signature);
        assert_eq!(accepted, expected == TestResult::Valid, "{} {id}, which is {expected:?}", key.algorithm());
    }
}

macro_rules! check {
    ($set:expr, $jwk:expr) => {{
        let mut count = Count::default();
        for group in $set.unwrap().test_groups {
            let key = key(&$jwk(&group));
            for test in &group.tests {
                count.check(&key, test.tc_id, &test.msg, &test.sig, test.result);
            }
        }
        count
    }};
}

#[test]
fn wycheproof_es256() {
    let jwk = |group: &ecdsa::TestGroup| {
        let (x, y) = (coordinate(&group.key.affine_x), coordinate(&group.key.affine_y));
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y })
    };
    let count = check!(ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363), jwk);
    assert_eq!(count, Count { valid: 173, invalid: 89, acceptable: 0 });
}

fn rsa(algorithm: &str, n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "alg": algorithm, "n": BASE64URL.encode(number(n)), "e": BASE64URL.encode(number(e)) })
}

#[test]
fn wycheproof_rs256() {
    let jwk = |group: &rsa_pkcs1_verify::TestGroup| rsa("RS256", &group.key.n, &group.key.e);
    let count = check!(rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256), jwk);
    // The acceptable one lacks the NULL in the encoding of the hash's name (RFC 8017 §9.2 writes it).
    assert_eq!(count, Count { valid: 9, invalid: 249, acceptable: 1 });
}

#[test]
fn wycheproof_ps256() {
    let jwk = |group: &rsa_pss_verify::TestGroup| rsa("PS256", &group.key.n, &group.key.e);
    let count = check!(rsa_pss_verify::TestSet::load(rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32), jwk);
    assert_eq!(count, Count { valid: 63, invalid: 45, acceptable: 0 });
}

#[test]
fn wycheproof_eddsa() {
    let jwk = |group: &eddsa::TestGroup| json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": BASE64URL.encode(&*group.key.pk) });
    let count = check!(eddsa::TestSet::load(eddsa::TestName::Ed25519), jwk);
    assert_eq!(count, Count { valid: 88, invalid: 63, acceptable: 0 });
}

/// A compact JWS and the key that it is said to be of. Changed by a bit, it must not verify.
fn example(jwk: &Value, jws: &str) {
    let key = key(jwk);
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let mut signature = BASE64URL.decode(signature).unwrap();
    assert!(key.verify(signed.as_bytes(), &signature), "{}", key.algorithm());
    signature[0] ^= 1;
    assert!(!key.verify(signed.as_bytes(), &signature), "{}", key.algorithm());
}

const RFC7515_CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_a_2_rs256() {
    let jwk = json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    });
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    example(&jwk, &format!("eyJhbGciOiJSUzI1NiJ9.{RFC7515_CLAIMS}.{signature}"));
}

#[test]
fn rfc_7515_a_3_es256() {
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    example(&jwk, &format!("eyJhbGciOiJFUzI1NiJ9.{RFC7515_CLAIMS}.{signature}"));
}

#[test]
fn rfc_8037_a_4_ed25519() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    example(&jwk, jws);
}

#[tokio::test]
async fn rfc_7515_a_1_hs256_is_refused() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let signed = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{RFC7515_CLAIMS}");
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    // It is what the RFC says it is.
    let key = DecodingKey::from_base64_secret(secret)
        .unwrap_or_else(|_| DecodingKey::from_secret(&BASE64URL.decode(secret).unwrap()));
    assert_eq!(crypto::verify(signature, signed.as_bytes(), &key, Jwa::HS256), Ok(true));
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let verifier = JwtVerifier::with_keys(vec![self::key(&jwk)], "joe", "http://localhost:9000/mcp");
    let answer = verifier.verify(&format!("{signed}.{signature}")).await;
    assert_eq!(answer.map(|_| ()), Err(TokenError::Algorithm));
    // The key of the example, as a JWK, is no key here.
    assert!(PublicKey::from_jwk(&json!({ "kty": "oct", "k": secret }).to_string()).is_err());
}
