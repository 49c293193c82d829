//! Other tokens of the same issuer, for the same audience, signed by the same key: everything but an access token.

use serde_json::json;

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::now,
};

const TYP: &str = "RFC 9068 §2.1, §4; RFC 8725 §3.11";
const ID_TOKEN: &str = "RFC 8725 §3.12; OpenID Connect Core §2";
const LOGOUT: &str = "RFC 8725 §3.12; OpenID Connect Back-Channel Logout §2.4";

pub(super) fn rows() -> Vec<Attack> {
    let key = Needs::SigningKey;
    Rows::of(Group::Kind)
        .breach(("id-token", "an ID token: `at_hash`, `nonce`, `auth_time`", ID_TOKEN), key, |f| {
            let hash = "77QmUPtjPfzWtF2AnpK9RQ";
            let claims = json!({ "at_hash": hash, "nonce": "n", "auth_time": now(), "scope": null, "scopes": null });
            let claims = crate::forge::with(f.claims(), claims);
            f.signed(&crate::forge::with(f.header(), json!({ "typ": "JWT" })), &claims)
        })
        .breach(("id-token-c-hash", "an ID token of the hybrid flow: `c_hash`", ID_TOKEN), key, |f| {
            f.with_claims(json!({ "c_hash": "LDktKdoQak3Pk0cnXxCltA" }))
        })
        .breach(("id-token-keycloak", "Keycloak's ID token: claim `typ` ID", ID_TOKEN), key, |f| {
            f.with_claims(json!({ "typ": "ID" }))
        })
        .breach(("id-token-cognito", "Cognito's ID token: claim `token_use` id", ID_TOKEN), key, |f| {
            f.with_claims(json!({ "token_use": "id" }))
        })
        .breach(("refresh-token-keycloak", "Keycloak's refresh token: claim `typ` Refresh", TYP), key, |f| {
            f.with_claims(json!({ "typ": "Refresh" }))
        })
        .breach(("offline-token-keycloak", "Keycloak's offline token: claim `typ` Offline", TYP), key, |f| {
            f.with_claims(json!({ "typ": "Offline" }))
        })
        .breach(("refresh-token-cognito", "a refresh token: claim `token_use` refresh", TYP), key, |f| {
            f.with_claims(json!({ "token_use": "refresh" }))
        })
        .breach(("logout-token", "a logout token: `events`, header `typ` logout+jwt", LOGOUT), key, |f| {
            let claims = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
            let claims = crate::forge::with(f.claims(), claims);
            f.signed(&crate::forge::with(f.header(), json!({ "typ": "logout+jwt" })), &claims)
        })
        .breach(("logout-token-plain", "a logout token without a `typ` of its own: `events` alone", LOGOUT), key, |f| {
            let claims = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
            let claims = crate::forge::with(f.claims(), claims);
            f.signed(&crate::forge::with(f.header(), json!({ "typ": "JWT" })), &claims)
        })
        .breach(("typ-id", "header `typ` id+jwt", TYP), key, |f| f.with_header(json!({ "typ": "id+jwt" })))
        .breach(("typ-dpop", "header `typ` dpop+jwt: a proof, no token", "RFC 9449 §4.2; RFC 8725 §3.11"), key, |f| {
            f.with_header(json!({ "typ": "dpop+jwt" }))
        })
        .breach(
            ("typ-secevent", "header `typ` secevent+jwt: a security event", "RFC 8417 §2.3; RFC 8725 §3.11"),
            key,
            |f| f.with_header(json!({ "typ": "secevent+jwt" })),
        )
        .breach(
            ("typ-introspection", "header `typ` token-introspection+jwt: somebody's answer", "RFC 9701 §5, §8.1"),
            key,
            |f| f.with_header(json!({ "typ": "token-introspection+jwt" })),
        )
        .breach(("typ-request", "header `typ` oauth-authz-req+jwt: a request object", "RFC 9101 §10.8"), key, |f| {
            f.with_header(json!({ "typ": "oauth-authz-req+jwt" }))
        })
        .breach(("typ-unknown", "header `typ` that nobody has heard of", TYP), key, |f| {
            f.with_header(json!({ "typ": "example+jwt" }))
        })
        .lax(("typ-number", "header `typ` a number", "RFC 7515 §4.1.9"), key, |f| f.with_header(json!({ "typ": 1 })))
        .lax(("typ-array", "header `typ` an array", "RFC 7515 §4.1.9"), key, |f| {
            f.with_header(json!({ "typ": ["at+jwt"] }))
        })
        .done()
}
