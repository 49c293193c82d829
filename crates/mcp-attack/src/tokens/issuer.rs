//! Who issued it. Signed by the real key, unless another realm or the attacker signs.

use serde_json::json;

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::{Forge, Forged},
};

const EXACT: &str = "RFC 9068 §4; RFC 8725 §3.8";
const TYPE: &str = "RFC 7519 §4.1.1";

pub(super) fn rows() -> Vec<Attack> {
    let (no, key) = (Needs::Nothing, Needs::SigningKey);
    Rows::of(Group::Issuer)
        .breach(("iss-missing", "no issuer", EXACT), key, |f| f.with_claims(json!({ "iss": null })))
        .breach(("iss-empty", "issuer the empty string", EXACT), key, |f| named(f, ""))
        .breach(("iss-prefix", "issuer without its last character", EXACT), key, |f| {
            let issuer = &f.target().issuer;
            named(f, issuer.char_indices().last().map_or("", |(last, _)| &issuer[..last]))
        })
        .breach(("iss-suffix-path", "issuer with another path behind it", EXACT), key, |f| {
            named(f, &format!("{}/evil", f.target().issuer))
        })
        .breach(("iss-suffix-host", "issuer as the beginning of another host", EXACT), key, |f| {
            named(f, &format!("{}.evil.example", f.target().issuer))
        })
        .breach(("iss-userinfo", "issuer as the user of another host", EXACT), key, |f| {
            named(f, &format!("{}@evil.example", f.target().issuer))
        })
        .breach(("iss-in-query", "issuer in the query of another", EXACT), key, |f| {
            named(f, &format!("https://evil.example/?{}", f.target().issuer))
        })
        .breach(("iss-slash", "issuer with a slash more, or less", EXACT), key, |f| {
            let issuer = &f.target().issuer;
            let with_slash = format!("{issuer}/");
            named(f, issuer.strip_suffix('/').unwrap_or(&with_slash))
        })
        .breach(("iss-case", "issuer in capitals", EXACT), key, |f| named(f, &f.target().issuer.to_uppercase()))
        .breach(("iss-space", "issuer with a space before it", EXACT), key, |f| {
            named(f, &format!(" {}", f.target().issuer))
        })
        .breach(("iss-scheme", "issuer with https for http, or the reverse", EXACT), key, |f| {
            let issuer = &f.target().issuer;
            let secure = issuer.replacen("http://", "https://", 1);
            let plain = issuer.replacen("https://", "http://", 1);
            named(f, if secure == *issuer { &plain } else { &secure })
        })
        .breach(("iss-other-realm", "another realm of the same provider, with the same key", EXACT), key, |f| {
            named(f, &other_realm(&f.target().issuer))
        })
        .breach(("iss-other-realm-own-key", "another realm of the same provider, with its own key", EXACT), no, |f| {
            let kid = f.attacker().rsa().public().kid();
            f.by_attacker(json!({ "kid": kid }), json!({ "iss": other_realm(&f.target().issuer) }))
        })
        .breach(
            ("iss-attacker", "the attacker's own issuer, with discovery and keys", "RFC 8725 §3.8, §3.10"),
            no,
            |f| {
                let kid = f.attacker().rsa().public().kid();
                f.by_attacker(json!({ "kid": kid }), json!({ "iss": f.lure("").trim_end_matches('/') }))
            },
        )
        .lax(("iss-array", "issuer an array with the real one in it", TYPE), key, |f| {
            f.with_claims(json!({ "iss": [f.target().issuer] }))
        })
        .lax(("iss-object", "issuer an object with the real one for a member", TYPE), key, |f| {
            f.with_claims(json!({ "iss": { f.target().issuer.as_str(): true } }))
        })
        .done()
}

fn named(f: &Forge<'_>, issuer: &str) -> Forged {
    f.with_claims(json!({ "iss": issuer }))
}

/// Keycloak's neighbours differ in the last segment.
fn other_realm(issuer: &str) -> String {
    match issuer.split_once("/realms/") {
        Some((provider, _)) => format!("{provider}/realms/other"),
        None => format!("{}/realms/other", issuer.trim_end_matches('/')),
    }
}
