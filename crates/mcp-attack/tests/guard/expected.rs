//! What our server answers to each row, by the reason that it writes into its audit.
//!
//! Rows about sessions, cookies, other headers and other schemes present no token at all, as far as a guard is
//! concerned. What bends the path meets no route, and what bends HTTP itself does not get past hyper: neither reaches
//! the guard, and neither is audited.

use std::collections::BTreeMap;

use crate::Seen;

/// Reason in the audit, what the client is told, rows.
type Refused = (&'static str, &'static str, &'static str);

/// 401 `invalid_token`.
const TOKENS: &[Refused] = &[
    (
        "algorithm",
        "the token's algorithm is not accepted for its key",
        "alg-lowercase alg-none-signature alg-number alg-unknown eddsa-zero-our-kid es256-signed-rs256 \
         es256-under-our-kid es256-zero-our-kid header-empty hs256-empty-secret hs256-issuer hs256-jwk hs256-jwk-n \
         hs256-jwk-n-bytes hs256-jwks hs256-kid hs256-public-der hs256-public-pem hs256-public-pem-crlf \
         hs256-public-pem-trimmed hs256-public-raw hs256-signed-rs256 hs256-weak-secret hs384-public-pem \
         hs512-public-pem jwk-oct kid-dev-null kid-known-file kid-sql ps256-by-rs256-key rfc7515-a1 \
         rfc7515-a1-secret rs256-by-ps256-key rs384-by-rs256-key rs512-by-rs256-key",
    ),
    (
        "signature",
        "the token's signature is not valid",
        "base64-spare-bits eddsa-second-s eddsa-zero es256-der es256-longer-numbers es256-order es256-zero \
         es256-zero-der header-changed jku-our-kid jwk-ec jwk-our-kid kid-of-another-key payload-changed \
         payload-scopes-added rfc7515-a3 rfc8037-a4 rs256-signed-ps256 signature-flipped signature-longer \
         signature-one-byte signature-truncated signature-zero stranger-es256 stranger-our-kid x5c-our-kid",
    ),
    (
        "malformed: the token is not a signed JWT of three parts",
        "the token is not a signed JWT of three parts",
        "alg-array alg-empty alg-missing alg-none alg-none-capital alg-none-mixed alg-none-space alg-none-two-parts \
         alg-none-upper bearer-null bearer-undefined dots forged-lowercase-scheme forged-then-agent-session \
         forged-two-spaces four-parts garbage header-deep header-overflow rfc7519-6-1 session-forged \
         signature-empty signature-stripped",
    ),
    (
        "audience",
        "the token is for another audience",
        "aud-account aud-client aud-dot-dot aud-empty-array aud-empty-string aud-evil-host aud-fragment aud-issuer \
         aud-json-text aud-longer-path aud-missing aud-other-port aud-other-server aud-path-case aud-prefix \
         aud-query aud-resource-claim aud-scheme aud-sibling aud-substring aud-userinfo aud-wildcard",
    ),
    (
        "unknown key",
        "the token is signed with an unknown key",
        "iss-attacker iss-other-realm-own-key jku jku-contains-issuer jku-userinfo jwk jwk-no-kid kid-10k kid-case \
         kid-empty kid-missing-of-several kid-nul kid-path kid-quotes kid-url rfc7515-a2 stranger-no-kid \
         stranger-own-kid x5c x5u",
    ),
    (
        "malformed: the token's claims are not one JSON object without repetition",
        "the token's claims are not one JSON object without repetition",
        "aud-twice aud-twice-last claims-array claims-bom claims-deep claims-no-json claims-not-utf8 \
         claims-not-yet-an-object claims-string claims-trailing claims-utf16 exp-overflow exp-twice exp-twice-last \
         iss-twice nested-unsaid sub-twice sub-twice-escaped",
    ),
    (
        "claim exp",
        "a required claim of the token is missing or malformed",
        "claims-empty claims-proto exp-1e300 exp-64-bits exp-array exp-date exp-expired-string exp-false \
         exp-milliseconds exp-missing exp-negative exp-null exp-string exp-true exp-year-10000",
    ),
    (
        "not an access token",
        "this is not an access token",
        "id-token id-token-c-hash id-token-cognito id-token-keycloak logout-token logout-token-plain \
         offline-token-keycloak refresh-token-cognito refresh-token-keycloak typ-dpop typ-id typ-introspection \
         typ-request typ-secevent typ-unknown",
    ),
    (
        "malformed: the token has characters outside base64url",
        "the token has characters outside base64url",
        "base64-padded base64-standard bearer-parameter bearer-trailing-word bearer-twice comma-good-first \
         comma-good-last comma-same json-serialisation not-ascii percent-encoded quoted space-inside",
    ),
    (
        "malformed: the token uses extensions that are not accepted",
        "the token uses extensions that are not accepted",
        "b64-false crit-absent crit-b64 crit-empty crit-standard crit-string crit-unknown cty-jwt enc nested zip",
    ),
    (
        "issuer",
        "the token is from another issuer",
        "iss-case iss-in-query iss-other-realm iss-prefix iss-scheme iss-slash iss-space iss-suffix-host \
         iss-suffix-path iss-userinfo",
    ),
    (
        "malformed: the token's header is not one JSON object without repetition",
        "the token's header is not one JSON object without repetition",
        "alg-twice header-array header-no-json header-trailing kid-twice no-header",
    ),
    (
        "claim aud",
        "a required claim of the token is missing or malformed",
        "aud-mixed-array aud-nested-array aud-null aud-number aud-object aud-true",
    ),
    (
        "claim sub",
        "a required claim of the token is missing or malformed",
        "sub-array sub-empty sub-missing sub-number sub-object",
    ),
    ("expired", "the token has expired", "exp-one exp-past-leeway exp-yesterday exp-zero"),
    (
        "malformed: encrypted tokens (JWE) are not accepted",
        "encrypted tokens (JWE) are not accepted",
        "five-parts jwe-dir jwe-pbes2-bomb jwe-rsa-oaep",
    ),
    (
        "claim iss",
        "a required claim of the token is missing or malformed",
        "iss-array iss-empty iss-missing iss-object",
    ),
    ("malformed: the token is empty", "the token is empty", "bearer-empty empty-then-agent-session"),
    ("malformed: the token is longer than 16 KiB", "the token is longer than 16 KiB", "header-64k-dots token-20k"),
    ("not yet valid", "the token is not valid yet", "iat-future nbf-future"),
    ("malformed: the token's kid is not a string", "the token's kid is not a string", "kid-array kid-number"),
    ("claim scope", "a required claim of the token is missing or malformed", "scope-number scope-object"),
    ("malformed: the token's typ is not a string", "the token's typ is not a string", "typ-array typ-number"),
    ("claim iat", "a required claim of the token is missing or malformed", "iat-string"),
    ("claim nbf", "a required claim of the token is missing or malformed", "nbf-string"),
];

/// 400 `invalid_request`.
const REQUESTS: &[Refused] = &[
    (
        "send the token in the Authorization header, never in the URL",
        "send the token in the Authorization header, never in the URL",
        "query-access-token query-access-token-encoded",
    ),
    (
        "send one Authorization header",
        "send one Authorization header",
        "two-headers-basic two-headers-good-first two-headers-good-last two-headers-same",
    ),
];

/// 401 and `Bearer` alone: no token.
const NO_TOKEN: &str = "agent-session-name agent-session-twice authorization-empty basic body-form body-json body-meta \
         connection-authorization cookie forged-agent-session forged-tab from-localhost identity-headers \
         method-delete method-get method-head method-lowercase method-override method-put negotiate no-credential \
         other-headers path-absolute path-health path-rewritten preflight-post query-authorization query-token \
         scheme-basic scheme-colon scheme-dpop scheme-glued scheme-jwt scheme-missing scheme-token session-alone \
         session-end session-made-up session-stream subprotocol";

/// Status and rows, of what never reaches the guard.
const ELSEWHERE: &[(u16, &str)] = &[
    (400, "folded newline-inside nul-behind"),
    (431, "header-1m headers-10k headers-1k-authorization"),
    (
        404,
        "path-case path-dot path-dot-dot path-dot-dot-encoded path-encoded path-nul path-parameter path-slash \
         path-two-slashes",
    ),
];

pub fn expected() -> BTreeMap<&'static str, Seen> {
    let mut all = BTreeMap::new();
    let mut expect = |rows: &'static str, status: u16, challenge: &str, reason: &str| {
        for id in rows.split_whitespace() {
            assert!(all.insert(id, (status, challenge.to_owned(), reason.to_owned())).is_none(), "{id} stands twice");
        }
    };
    for (table, status, error) in [(TOKENS, 401, "invalid_token"), (REQUESTS, 400, "invalid_request")] {
        for (reason, description, rows) in table {
            let challenge = format!("Bearer error=\"{error}\", error_description=\"{description}\"");
            expect(rows, status, &challenge, reason);
        }
    }
    expect(NO_TOKEN, 401, "Bearer", "no token");
    for (status, rows) in ELSEWHERE {
        expect(rows, *status, "", "");
    }
    all
}
