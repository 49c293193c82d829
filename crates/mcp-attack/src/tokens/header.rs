//! The other members of the header. All of these but the last two are signed by the real key.

use serde_json::json;

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::joined,
};

const CRITICAL: &str = "RFC 7515 §4.1.11";
const UNENCODED: &str = "RFC 7797 §3, §6";
const JSON: &str = "RFC 7515 §4";

pub(super) fn rows() -> Vec<Attack> {
    let key = Needs::SigningKey;
    Rows::of(Group::Header)
        .lax(("crit-unknown", "`crit` names an extension that nobody knows", CRITICAL), key, |f| {
            let name = "https://attacker.example/must-understand";
            f.with_header(json!({ "crit": [name], name: true }))
        })
        .lax(("crit-empty", "`crit` an empty array", CRITICAL), key, |f| f.with_header(json!({ "crit": [] })))
        .lax(("crit-string", "`crit` a string", CRITICAL), key, |f| f.with_header(json!({ "crit": "exp" })))
        .lax(("crit-standard", "`crit` names a member of the standard", CRITICAL), key, |f| {
            f.with_header(json!({ "crit": ["alg"] }))
        })
        .lax(("crit-absent", "`crit` names a member that is not there", CRITICAL), key, |f| {
            f.with_header(json!({ "crit": ["exp"] }))
        })
        .lax(("b64-false", "`b64` false: the payload is not what it seems", UNENCODED), key, |f| {
            f.with_header(json!({ "b64": false }))
        })
        .lax(("crit-b64", "`b64` false and `crit`, as RFC 7797 wants it", UNENCODED), key, |f| {
            f.with_header(json!({ "b64": false, "crit": ["b64"] }))
        })
        .lax(("zip", "`zip`: says that it is compressed", "RFC 7516 §4.1.3; RFC 8725 §3.6"), key, |f| {
            f.with_header(json!({ "zip": "DEF" }))
        })
        .lax(("enc", "`enc`: says that it is encrypted, in three parts", "RFC 7516 §9"), key, |f| {
            f.with_header(json!({ "enc": "A128GCM" }))
        })
        .lax(("cty-jwt", "`cty` JWT: says that another token is inside", "RFC 7519 §5.2"), key, |f| {
            f.with_header(json!({ "cty": "JWT" }))
        })
        .lax(("alg-twice", "`alg` twice: none, then the real one", "RFC 7515 §4; RFC 8725 §2.4"), key, |f| {
            f.signed_text(&format!(r#"{{"alg":"none",{}"#, &f.header().to_string()[1..]), f.claims().to_string())
        })
        .lax(("kid-twice", "`kid` twice: a stranger's, then the real one", "RFC 7515 §4; RFC 8725 §2.4"), key, |f| {
            f.signed_text(&format!(r#"{{"kid":"x",{}"#, &f.header().to_string()[1..]), f.claims().to_string())
        })
        .lax(("header-array", "the header is an array", JSON), key, |f| f.signed_text("[]", f.claims().to_string()))
        .lax(("header-empty", "the header is an empty object", JSON), key, |f| {
            f.signed_text("{}", f.claims().to_string())
        })
        .lax(("header-no-json", "the header is no JSON", JSON), key, |f| f.signed_text("alg", f.claims().to_string()))
        .lax(("header-trailing", "the header is followed by another object", JSON), key, |f| {
            f.signed_text(&format!("{}{{}}", f.header()), f.claims().to_string())
        })
        .breach(
            ("header-deep", "a header of 4,000 arrays in each other, no signature", "RFC 8259 §9"),
            Needs::Nothing,
            |f| {
                let deep = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
                let header = f.header().to_string();
                let header = format!(r#"{},"x":{deep}}}"#, &header[..header.len() - 1]);
                Ok(format!("{}.", joined(&header, f.claims().to_string())))
            },
        )
        .breach(
            ("header-overflow", "a header with a number that no double holds, no signature", "RFC 8259 §6"),
            Needs::Nothing,
            |f| {
                let header = f.header().to_string();
                let header = format!(r#"{},"x":1e999}}"#, &header[..header.len() - 1]);
                Ok(format!("{}.", joined(&header, f.claims().to_string())))
            },
        )
        .done()
}
