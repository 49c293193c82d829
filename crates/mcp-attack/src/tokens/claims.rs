//! The claims as a whole. All of these are signed by the real key.

use serde_json::json;

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::{Forge, Forged, now},
};

const SUBJECT: &str = "RFC 9068 §2.2; RFC 7519 §4.1.2";
const TWICE: &str = "RFC 7519 §4; RFC 8725 §2.4";
const JSON: &str = "RFC 7519 §7.2";
const SCOPE: &str = "RFC 9068 §2.2.3; RFC 8693 §4.2";

pub(super) fn rows() -> Vec<Attack> {
    let key = Needs::SigningKey;
    Rows::of(Group::Claims)
        .lax(("sub-missing", "no subject", SUBJECT), key, |f| f.with_claims(json!({ "sub": null })))
        .lax(("sub-empty", "subject the empty string", SUBJECT), key, |f| f.with_claims(json!({ "sub": "" })))
        .lax(("sub-number", "subject a number", SUBJECT), key, |f| f.with_claims(json!({ "sub": 1 })))
        .lax(("sub-array", "subject an array", SUBJECT), key, |f| f.with_claims(json!({ "sub": ["alice", "admin"] })))
        .lax(("sub-object", "subject an object", SUBJECT), key, |f| f.with_claims(json!({ "sub": { "alice": true } })))
        .lax(("scope-object", "scope an object", SCOPE), key, |f| f.with_claims(json!({ "scope": {} })))
        .lax(("scope-number", "scope a number", SCOPE), key, |f| f.with_claims(json!({ "scope": 1 })))
        .lax(("exp-twice", "`exp` twice: past, then future", TWICE), key, |f| twice(f, r#""exp":1"#, true))
        .lax(("exp-twice-last", "`exp` twice: future, then past", TWICE), key, |f| twice(f, r#""exp":1"#, false))
        .lax(("aud-twice", "`aud` twice: another server, then ours", TWICE), key, |f| {
            twice(f, r#""aud":"https://other.example/mcp""#, true)
        })
        .lax(("aud-twice-last", "`aud` twice: ours, then another server", TWICE), key, |f| {
            twice(f, r#""aud":"https://other.example/mcp""#, false)
        })
        .lax(("iss-twice", "`iss` twice: another issuer, then ours", TWICE), key, |f| {
            twice(f, r#""iss":"https://evil.example""#, true)
        })
        .lax(("sub-twice", "`sub` twice: ours, then admin", TWICE), key, |f| twice(f, r#""sub":"admin""#, false))
        .lax(("sub-twice-escaped", "`sub` twice, once as s\\u0075b", TWICE), key, |f| {
            twice(f, r#""s\u0075b":"admin""#, false)
        })
        .breach(("claims-empty", "no claims at all", JSON), key, |f| text(f, "{}"))
        .breach(("claims-array", "the claims are an array", JSON), key, |f| text(f, &json!([f.claims()]).to_string()))
        .breach(("claims-string", "the claims are a string", JSON), key, |f| {
            text(f, &json!(f.claims().to_string()).to_string())
        })
        .breach(("claims-no-json", "the claims are no JSON", JSON), key, |f| text(f, "exp=9999999999"))
        .lax(("claims-trailing", "the claims are followed by another object", JSON), key, |f| {
            text(f, &format!(r#"{}{{"sub":"admin"}}"#, f.claims()))
        })
        .lax(("claims-bom", "the claims begin with a byte order mark", "RFC 8259 §8.1"), key, |f| {
            text(f, &format!("\u{feff}{}", f.claims()))
        })
        .lax(("claims-not-utf8", "the claims are not UTF-8", JSON), key, |f| {
            let claims = f.claims().to_string();
            let bytes = [&claims.as_bytes()[..claims.len() - 1], b",\"x\":\"\xff\"}"].concat();
            f.signed_text(&f.header().to_string(), bytes)
        })
        .lax(("claims-utf16", "the claims are UTF-16", JSON), key, |f| {
            let bytes: Vec<u8> = f.claims().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
            f.signed_text(&f.header().to_string(), bytes)
        })
        .lax(("claims-deep", "a claim of 4,000 arrays in each other", "RFC 8259 §9"), key, |f| {
            let claims = f.claims().to_string();
            let deep = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
            text(f, &format!(r#"{},"x":{deep}}}"#, &claims[..claims.len() - 1]))
        })
        .lax(("claims-not-yet-an-object", "good claims, but for the closing brace", JSON), key, |f| {
            text(f, f.claims().to_string().trim_end_matches('}'))
        })
        .breach(("claims-proto", "no `exp`, but one in `__proto__`", "CVE-2019-10744 class"), key, |f| {
            f.with_claims(json!({ "exp": null, "__proto__": { "exp": now() + 600 } }))
        })
        .done()
}

fn text(f: &Forge<'_>, claims: &str) -> Forged {
    f.signed_text(&f.header().to_string(), claims)
}

/// One more member, in front of the others or behind them.
fn twice(f: &Forge<'_>, member: &str, in_front: bool) -> Forged {
    let claims = f.claims().to_string();
    let inner = &claims[1..claims.len() - 1];
    text(f, &if in_front { format!("{{{member},{inner}}}") } else { format!("{{{inner},{member}}}") })
}
