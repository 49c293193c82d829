//! When the token is good. All of these are signed by the real key.

use serde_json::json;

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::now,
};

const EXP: &str = "RFC 7519 §4.1.4";
const REQUIRED: &str = "RFC 9068 §2.2; RFC 8725 §3.9";
const NUMERIC: &str = "RFC 7519 §2 (NumericDate)";
const FOUR_DIGITS: &str = "RFC 7519 §2 (NumericDate); RFC 3339 §5.6: a year has four digits";
/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

pub(super) fn rows() -> Vec<Attack> {
    let key = Needs::SigningKey;
    Rows::of(Group::Time)
        .breach(("exp-past-leeway", "expired one second beyond the leeway", EXP), key, |f| {
            f.with_claims(json!({ "exp": now() - f.leeway() - 1 }))
        })
        .breach(("exp-yesterday", "expired yesterday", EXP), key, |f| f.with_claims(json!({ "exp": now() - 86_400 })))
        .breach(("exp-one", "expired in 1970", EXP), key, |f| f.with_claims(json!({ "exp": 1 })))
        .breach(("exp-zero", "`exp` zero, which some take for never", EXP), key, |f| f.with_claims(json!({ "exp": 0 })))
        .breach(("exp-negative", "`exp` negative", EXP), key, |f| f.with_claims(json!({ "exp": -1 })))
        .breach(("exp-missing", "no `exp`: good for ever", REQUIRED), key, |f| f.with_claims(json!({ "exp": null })))
        .breach(("exp-null", "`exp` null: good for ever", REQUIRED), key, |f| {
            let claims = f.claims().to_string();
            f.signed_text(&f.header().to_string(), claims.replacen(r#""exp":"#, r#""exp":null,"x":"#, 1))
        })
        .breach(("exp-expired-string", "`exp` in the past, as a string", NUMERIC), key, |f| {
            f.with_claims(json!({ "exp": (now() - 86_400).to_string() }))
        })
        .breach(("exp-false", "`exp` false", NUMERIC), key, |f| f.with_claims(json!({ "exp": false })))
        .lax(("exp-string", "`exp` in the future, as a string", NUMERIC), key, |f| {
            f.with_claims(json!({ "exp": (now() + 600).to_string() }))
        })
        .lax(("exp-date", "`exp` in the future, as a date", NUMERIC), key, |f| {
            f.with_claims(json!({ "exp": "2999-12-31T23:59:59Z" }))
        })
        .lax(("exp-true", "`exp` true", NUMERIC), key, |f| f.with_claims(json!({ "exp": true })))
        .lax(("exp-array", "`exp` an array", NUMERIC), key, |f| f.with_claims(json!({ "exp": [now() + 600] })))
        .lax(("exp-year-10000", "`exp` beyond the year 9999", FOUR_DIGITS), key, |f| {
            f.with_claims(json!({ "exp": LAST_SECOND + 1 }))
        })
        .lax(("exp-milliseconds", "`exp` in milliseconds: good for fifty thousand years", FOUR_DIGITS), key, |f| {
            f.with_claims(json!({ "exp": (now() + 600) * 1000 }))
        })
        .lax(("exp-64-bits", "`exp` the largest number of 64 bits", FOUR_DIGITS), key, |f| {
            f.with_claims(json!({ "exp": u64::MAX }))
        })
        .lax(("exp-1e300", "`exp` 1e300", FOUR_DIGITS), key, |f| f.with_claims(json!({ "exp": 1e300 })))
        .lax(("exp-overflow", "`exp` a number that no double holds", FOUR_DIGITS), key, |f| {
            let claims = f.claims().to_string();
            f.signed_text(&f.header().to_string(), claims.replacen(r#""exp":"#, r#""exp":1e999,"x":"#, 1))
        })
        .breach(("nbf-future", "`nbf` an hour beyond the leeway", "RFC 7519 §4.1.5"), key, |f| {
            f.with_claims(json!({ "nbf": now() + f.leeway() + 3600, "exp": now() + f.leeway() + 7200 }))
        })
        .lax(("nbf-string", "`nbf` a string", NUMERIC), key, |f| f.with_claims(json!({ "nbf": "0" })))
        .lax(("iat-future", "`iat` an hour beyond the leeway", "RFC 7519 §4.1.6"), key, |f| {
            f.with_claims(json!({ "iat": now() + f.leeway() + 3600, "exp": now() + f.leeway() + 7200 }))
        })
        .lax(("iat-string", "`iat` a string", NUMERIC), key, |f| f.with_claims(json!({ "iat": now().to_string() })))
        .done()
}
