//! Verifiers as they stand in tutorials, each with the mistake that it is known for, and the row that finds it: its
//! token gets through the mistake, and is refused by our [`JwtVerifier`]. Each of them accepts the good token and
//! refuses garbage; nobody would notice anything.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, sync::LazyLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, crypto, decode, decode_header, get_current_timestamp as now, jwk::JwkSet,
};
use mcp_attack::{Key, RawRequest, Target, rows};
use mcp_auth::{
    JwtVerifier, TokenVerifier,
    keys::{Algorithm::RS256, make_pair},
};
use serde_json::Value;

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

/// The issuer's key. Made once: an RSA key takes its time.
static KEY: LazyLock<Key> = LazyLock::new(|| {
    let (private, public) = make_pair(RS256).unwrap();
    Key::new(&private, public).unwrap()
});
/// What the server is configured with: `public.pem`.
static PUBLIC_PEM: LazyLock<String> = LazyLock::new(|| KEY.public_pem());

// What tutorials take from a library or write by hand.

/// The header (0) or the claims (1), as they are written.
fn part(token: &str, n: usize) -> Option<Value> {
    let bytes = BASE64URL.decode(token.split('.').nth(n)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Whether the signature is right, and nothing else.
fn signed(token: &str, key: &DecodingKey, algorithm: Algorithm) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false)
}

fn public_key() -> DecodingKey {
    DecodingKey::from_rsa_pem(PUBLIC_PEM.as_bytes()).unwrap()
}

fn strict() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}

async fn get(url: &str) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().build().ok()?;
    client.get(url).send().await.ok()?.text().await.ok()
}

// The mistakes.

/// "A JWT is just base64": the claims are read, and the signature is for somebody else to check.
fn only_decodes(token: &str) -> Option<Value> {
    let claims = part(token, 1)?;
    let for_us = claims["iss"] == ISSUER && claims["aud"] == AUDIENCE;
    (for_us && claims["exp"].as_u64()? > now()).then_some(claims)
}

/// The algorithm is what the header says, and one of the algorithms is none.
fn asks_the_header(token: &str) -> Option<Value> {
    let good = match part(token, 0)?["alg"].as_str()? {
        "none" => true,
        "RS256" => signed(token, &public_key(), Algorithm::RS256),
        _ => false,
    };
    if good { only_decodes(token) } else { None }
}

/// "none" is forbidden, and then the name is made comparable.
fn forbids_one_spelling(token: &str) -> Option<Value> {
    let header = part(token, 0)?;
    let alg = header["alg"].as_str().filter(|alg| *alg != "none")?;
    let good = match alg.to_lowercase().as_str() {
        "none" => true,
        "rs256" => signed(token, &public_key(), Algorithm::RS256),
        _ => false,
    };
    if good { only_decodes(token) } else { None }
}

/// One key in the configuration, used for whatever algorithm the header names.
fn one_key_for_every_algorithm(token: &str) -> Option<Value> {
    let configured = PUBLIC_PEM.as_bytes();
    let algorithm = decode_header(token).ok()?.alg;
    let key = match algorithm {
        Algorithm::HS256 => DecodingKey::from_secret(configured),
        _ => DecodingKey::from_rsa_pem(configured).ok()?,
    };
    if signed(token, &key, algorithm) { only_decodes(token) } else { None }
}

/// A token without a signature is one from the tests.
fn signature_is_optional(token: &str) -> Option<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let good = parts.get(2).is_none_or(|signature| signature.is_empty());
    if good || signed(token, &public_key(), Algorithm::RS256) { only_decodes(token) } else { None }
}

/// The header brings its key along.
fn takes_the_jwk(token: &str) -> Option<Value> {
    let header = decode_header(token).ok()?;
    let key = match &header.jwk {
        Some(jwk) => DecodingKey::from_jwk(jwk).ok()?,
        None => public_key(),
    };
    if signed(token, &key, Algorithm::RS256) { only_decodes(token) } else { None }
}

/// The header tells where its key is.
async fn follows_the_jku(token: &str) -> Option<Value> {
    let header = decode_header(token).ok()?;
    let key = match &header.jku {
        Some(url) => {
            let set: JwkSet = serde_json::from_str(&get(url).await?).ok()?;
            DecodingKey::from_jwk(set.find(&header.kid?)?).ok()?
        }
        None => public_key(),
    };
    if signed(token, &key, Algorithm::RS256) { only_decodes(token) } else { None }
}

/// The same, but only to where the issuer is.
async fn follows_a_jku_of_the_issuer(token: &str) -> Option<Value> {
    let jku = decode_header(token).ok()?.jku;
    if jku.is_none_or(|url| url.contains(ISSUER)) { follows_the_jku(token).await } else { None }
}

/// Every tenant has its own issuer, so the token is asked which one it is from.
async fn discovers_the_issuer_of_the_token(token: &str) -> Option<Value> {
    let claims = part(token, 1).filter(|claims| claims["aud"] == AUDIENCE)?;
    let issuer = claims["iss"].as_str()?;
    let jwks_uri = match issuer {
        ISSUER => return only_decodes(token).filter(|_| signed(token, &public_key(), Algorithm::RS256)),
        tenant => get(&format!("{tenant}/.well-known/openid-configuration")).await?,
    };
    let metadata: Value = serde_json::from_str(&jwks_uri).ok()?;
    let set: JwkSet = serde_json::from_str(&get(metadata["jwks_uri"].as_str()?).await?).ok()?;
    let key = DecodingKey::from_jwk(set.find(&decode_header(token).ok()?.kid?)?).ok()?;
    if signed(token, &key, Algorithm::RS256) { Some(claims) } else { None }
}

/// Each key is a file, and its id is the file's name.
fn key_id_is_a_file_name(token: &str) -> Option<Value> {
    static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(KEY.public().kid()), PUBLIC_PEM.as_bytes()).unwrap();
        directory
    });
    let header = decode_header(token).ok()?;
    let file = fs::read(DIRECTORY.path().join(header.kid?)).ok()?;
    let key = match header.alg {
        Algorithm::HS256 => DecodingKey::from_secret(&file),
        _ => DecodingKey::from_rsa_pem(&file).ok()?,
    };
    if signed(token, &key, header.alg) { only_decodes(token) } else { None }
}

/// "InvalidAudience" went away when this was turned off.
fn audience_is_not_checked(token: &str) -> Option<Value> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.validate_aud = false;
    decode(token, &public_key(), &validation).ok().map(|token| token.claims)
}

/// `set_audience` compares an audience; that there is one has to be asked for apart.
fn audience_is_checked_if_present(token: &str) -> Option<Value> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    decode(token, &public_key(), &validation).ok().map(|token| token.claims)
}

/// Everything on this host and port is this server.
fn audience_starts_with_the_origin(token: &str) -> Option<Value> {
    let claims = audience_is_not_checked(token)?;
    let ours = claims["aud"].as_str().is_some_and(|audience| audience.starts_with("http://localhost:9000"));
    ours.then_some(claims)
}

/// Every realm of this provider is trusted.
fn issuer_starts_with(token: &str) -> Option<Value> {
    let mut validation = strict();
    validation.iss = None;
    let claims = decode::<Value>(token, &public_key(), &validation).ok()?.claims;
    claims["iss"].as_str()?.starts_with(ISSUER).then_some(claims)
}

/// The same with one word changed.
fn issuer_contains(token: &str) -> Option<Value> {
    let mut validation = strict();
    validation.iss = None;
    let claims = decode::<Value>(token, &public_key(), &validation).ok()?.claims;
    claims["iss"].as_str()?.contains(ISSUER).then_some(claims)
}

/// Whether it has expired is asked of those that expire.
fn expiry_is_checked_if_present(token: &str) -> Option<Value> {
    let claims = part(token, 1).filter(|_| signed(token, &public_key(), Algorithm::RS256))?;
    let expired = claims["exp"].as_u64().is_some_and(|exp| exp < now());
    (!expired && claims["iss"] == ISSUER && claims["aud"] == AUDIENCE).then_some(claims)
}

/// All the checks of a good library with its usual settings. What kind of token it is, it does not ask.
fn takes_any_jwt(token: &str) -> Option<Value> {
    decode(token, &public_key(), &strict()).ok().map(|token| token.claims)
}

/// The tool's rights are looked up by the first `sub` in the text; the call is made for what the parser finds.
fn reads_the_claims_twice(token: &str) -> Option<Value> {
    let claims = only_decodes(token).filter(|_| signed(token, &public_key(), Algorithm::RS256))?;
    let text = String::from_utf8(BASE64URL.decode(token.split('.').nth(1)?).ok()?).ok()?;
    let (_, rest) = text.split_once(r#""sub":""#)?;
    let allowed = rest.starts_with("alice\"");
    allowed.then_some(claims)
}

/// The first Authorization header; a proxy in front may have looked at the last.
fn takes_the_first_header(request: &RawRequest) -> Option<Value> {
    let value = request.values("authorization").into_iter().next()?;
    let token = str::from_utf8(value).ok()?.strip_prefix("Bearer ")?;
    takes_any_jwt(token)
}

/// So that links work too.
fn takes_the_query(request: &RawRequest) -> Option<Value> {
    let header = request.values("authorization").first().and_then(|value| str::from_utf8(value).ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    let query = || Some(request.path.split_once("access_token=")?.1);
    takes_any_jwt(token.or_else(query)?)
}

/// Whatever stands behind the six letters.
fn cuts_the_scheme_off(request: &RawRequest) -> Option<Value> {
    let value = str::from_utf8(request.values("authorization").first()?).ok()?;
    takes_any_jwt(value.trim_start_matches("Bearer").trim())
}

// The proofs.

async fn target() -> Target {
    Target::new(AUDIENCE.parse().unwrap()).await.unwrap().keys(vec![KEY.clone()])
}

fn request(target: &Target, id: &str) -> RawRequest {
    rows().into_iter().find(|row| row.id == id).unwrap_or_else(|| panic!("no row {id}")).request(target).unwrap()
}

fn token(target: &Target, id: &str) -> String {
    let row = rows().into_iter().find(|row| row.id == id).unwrap_or_else(|| panic!("no row {id}"));
    row.token(target).unwrap().unwrap()
}

fn good(target: &Target) -> String {
    String::from_utf8(request(target, "scheme-missing").values("authorization")[0].to_vec()).unwrap()
}

async fn refused_by_ours(token: &str) -> bool {
    let ours = JwtVerifier::with_keys(vec![KEY.public().clone()], ISSUER, AUDIENCE);
    ours.verify(token).await.is_err()
}

/// The naive one takes the good token, refuses garbage and a stranger's where it says it verifies, and takes the row's.
async fn gets_through(naive: impl AsyncFn(&str) -> Option<Value>, ids: &[&str]) {
    let target = target().await;
    assert!(naive(&good(&target)).await.is_some(), "the good token");
    for refused in ["garbage", "signature-truncated", "exp-yesterday"] {
        let only_decoding = ids.contains(&"payload-changed") && refused == "signature-truncated";
        assert!(only_decoding || naive(&token(&target, refused)).await.is_none(), "{refused}");
    }
    for id in ids {
        let token = token(&target, id);
        assert!(naive(&token).await.is_some(), "{id} gets through");
        assert!(refused_by_ours(&token).await, "{id} is refused by ours");
    }
}

macro_rules! naive {
    ($($name:ident: $($id:literal),+;)+) => {
        mod one_by_one {
            $(#[tokio::test]
            async fn $name() {
                super::gets_through(async |token: &str| super::$name(token), &[$($id),+]).await;
            })+
        }
    };
}

naive! {
    only_decodes: "payload-changed", "alg-none", "stranger-our-kid", "hs256-empty-secret";
    asks_the_header: "alg-none", "alg-none-signature";
    forbids_one_spelling: "alg-none-capital", "alg-none-upper", "alg-none-mixed";
    one_key_for_every_algorithm: "hs256-public-pem";
    signature_is_optional: "signature-stripped", "signature-empty";
    takes_the_jwk: "jwk", "jwk-our-kid", "jwk-no-kid";
    audience_is_not_checked: "aud-other-server", "aud-account", "aud-missing";
    audience_is_checked_if_present: "aud-missing";
    audience_starts_with_the_origin: "aud-evil-host", "aud-userinfo", "aud-prefix", "aud-sibling";
    issuer_starts_with: "iss-suffix-host", "iss-suffix-path", "iss-userinfo";
    issuer_contains: "iss-in-query", "iss-suffix-host";
    expiry_is_checked_if_present: "exp-missing", "exp-null";
    takes_any_jwt: "id-token", "refresh-token-keycloak", "typ-dpop", "nbf-future";
    reads_the_claims_twice: "sub-twice";
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_id_is_a_file_name() {
    gets_through(async |token: &str| key_id_is_a_file_name(token), &["kid-dev-null"]).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_key_id_is_the_name_of_any_file() {
    // Its content is the same on nearly every Linux; where it is not, the attacker takes another file.
    if fs::read("/proc/sys/kernel/randomize_va_space").ok().as_deref() == Some(b"2\n") {
        gets_through(async |token: &str| key_id_is_a_file_name(token), &["kid-known-file"]).await;
    }
}

#[tokio::test]
async fn the_call_is_made_for_somebody_else() {
    let target = target().await;
    let claims = reads_the_claims_twice(&token(&target, "sub-twice")).unwrap();
    assert_eq!(claims["sub"], "admin");
}

/// `Target` is made here, since the attacker's server lives in it and has to be there to be asked.
#[tokio::test]
async fn urls_are_followed() {
    let target = target().await;
    let good = good(&target);
    for token in [&good, &token(&target, "garbage"), &token(&target, "signature-truncated")] {
        let expected = *token == good;
        assert_eq!(follows_the_jku(token).await.is_some(), expected);
        assert_eq!(follows_a_jku_of_the_issuer(token).await.is_some(), expected);
        assert_eq!(discovers_the_issuer_of_the_token(token).await.is_some(), expected);
    }
    for id in ["jku", "jku-userinfo"] {
        assert!(follows_the_jku(&token(&target, id)).await.is_some(), "{id}");
    }
    assert!(follows_a_jku_of_the_issuer(&token(&target, "jku")).await.is_none());
    assert!(follows_a_jku_of_the_issuer(&token(&target, "jku-contains-issuer")).await.is_some());
    assert!(discovers_the_issuer_of_the_token(&token(&target, "iss-attacker")).await.is_some());
    for id in ["jku", "jku-userinfo", "jku-contains-issuer", "iss-attacker"] {
        assert!(target.attacker().was_asked_by(id), "{id}");
        assert!(refused_by_ours(&token(&target, id)).await, "{id}");
    }
}

/// What is wrong with these is where the token comes from; the guard is what refuses them, not the verifier.
#[tokio::test]
async fn requests() {
    let target = target().await;
    let probe = RawRequest::probe(&target);
    for (naive, id) in [
        (takes_the_first_header as fn(&RawRequest) -> Option<Value>, "two-headers-good-first"),
        (takes_the_query, "query-access-token"),
        (cuts_the_scheme_off, "scheme-glued"),
        (cuts_the_scheme_off, "scheme-missing"),
    ] {
        assert!(naive(&probe.clone().bearer(&good(&target))).is_some(), "{id}: the good token");
        assert!(naive(&probe).is_none() && naive(&probe.clone().bearer("garbage")).is_none(), "{id}: garbage");
        assert!(naive(&request(&target, id)).is_some(), "{id}");
    }
}

/// A tutorial may quote any of them whole.
#[test]
fn none_is_longer_than_fifteen_lines() {
    let source = include_str!("naive.rs");
    let mistakes = source.split("// The mistakes.").nth(1).unwrap().split("// The proofs.").next().unwrap();
    for function in mistakes.split("\n}\n") {
        let body = function.lines().skip_while(|line| !line.contains("fn "));
        assert!(body.count() < 15, "{function}");
    }
}
