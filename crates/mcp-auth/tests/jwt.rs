//! Forged, bent and borrowed tokens against [`JwtVerifier`], each with the reason it is refused for. Every one of them
//! starts from a token that is accepted, so that what is refused is the one thing that was changed.
#![cfg(feature = "signing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, crypto};
use mcp_auth::{
    AccessToken, JwtVerifier, TokenError, TokenVerifier,
    keys::{Algorithm, PublicKey, make_pair},
};
use serde_json::{Value, json};

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

struct Pair {
    private: String,
    public: PublicKey,
}

impl Pair {
    fn new(algorithm: Algorithm) -> Self {
        let (private, public) = make_pair(algorithm).unwrap();
        Self { private, public }
    }

    fn sign(&self, message: &str, algorithm: Jwa) -> String {
        let pem = self.private.as_bytes();
        let key = match self.public.algorithm() {
            Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        };
        crypto::sign(message.as_bytes(), &key.unwrap(), algorithm).unwrap()
    }
}

/// Made once: RSA keys take their time.
static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::RS256));
static PSS: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::PS256));
static EC: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::ES256));
static ED: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::EdDSA));
/// Of somebody else.
static OTHER: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::RS256));

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "at+jwt", "kid": RSA.public.kid() })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now(), "exp": now() + 600,
        "scope": "mcp:read mcp:tools", "scopes": ["mcp:tools", "mcp:run"],
        "preferred_username": "alice", "client_id": "test", "roles": ["user"], "realm_access": { "roles": ["admin", "user"] },
    })
}

/// `base` with some members replaced; null removes one.
fn with(mut base: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(base.as_object_mut().unwrap().remove(name)),
            value => base[name] = value.clone(),
        }
    }
    base
}

fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims))
}

/// Signed by the real key, as RS256, whatever the header says.
fn signed_text(header: &str, claims: &str) -> String {
    let message = unsigned(header, claims);
    format!("{message}.{}", RSA.sign(&message, Jwa::RS256))
}

fn signed(header: Value, claims: Value) -> String {
    signed_text(&header.to_string(), &claims.to_string())
}

fn with_header(changes: Value) -> String {
    signed(with(header(), changes), claims())
}

fn with_claims(changes: Value) -> String {
    signed(header(), with(claims(), changes))
}

fn all_keys() -> Vec<PublicKey> {
    [&*RSA, &*PSS, &*EC, &*ED].map(|pair| pair.public.clone()).to_vec()
}

fn verifier() -> JwtVerifier {
    JwtVerifier::with_keys(all_keys(), ISSUER, AUDIENCE)
}

async fn verify(verifier: &JwtVerifier, token: &str) -> Result<AccessToken, TokenError> {
    verifier.verify(token).await.map(|token| (*token).clone())
}

async fn refused(rows: Vec<(&str, String, TokenError)>) {
    let verifier = verifier();
    for (name, token, reason) in rows {
        assert_eq!(verify(&verifier, &token).await.map(|_| ()), Err(reason), "{name}");
    }
}

const MALFORMED_HEADER: TokenError =
    TokenError::Malformed("the token's header is not one JSON object without repetition");
const MALFORMED_CLAIMS: TokenError =
    TokenError::Malformed("the token's claims are not one JSON object without repetition");
const EXTENSIONS: TokenError = TokenError::Malformed("the token uses extensions that are not accepted");
const THREE_PARTS: TokenError = TokenError::Malformed("the token is not a signed JWT of three parts");
const BASE64URL_ONLY: TokenError = TokenError::Malformed("the token has characters outside base64url");

#[tokio::test]
async fn what_a_good_token_says() {
    let token = verify(&verifier(), &signed(header(), claims())).await.unwrap();
    assert_eq!((&*token.issuer, &*token.subject), (ISSUER, "alice"));
    assert_eq!((token.client_id.as_deref(), token.username.as_deref()), (Some("test"), Some("alice")));
    assert_eq!(token.scopes, ["mcp:read", "mcp:tools", "mcp:run"]);
    assert_eq!(token.kid.as_deref(), Some(RSA.public.kid()));
    assert_eq!(token.roles, ["user", "admin"]);
    assert_eq!(i64::try_from(token.expires_at).unwrap(), token.claims["exp"].as_i64().unwrap());
}

#[tokio::test]
async fn good_tokens_in_their_varieties() {
    let verifier = verifier();
    for (name, token) in [
        ("JWT", with_header(json!({ "typ": "JWT" }))),
        ("no typ", with_header(json!({ "typ": null }))),
        ("application/at+jwt, in another case", with_header(json!({ "typ": "Application/AT+JWT" }))),
        ("an array of audiences", with_claims(json!({ "aud": ["account", AUDIENCE] }))),
        ("the audience with a slash", with_claims(json!({ "aud": "http://localhost:9000/mcp/" }))),
        ("the audience by another loopback name", with_claims(json!({ "aud": "http://127.0.0.1:9000/mcp" }))),
        ("fractions of a second", with_claims(json!({ "exp": (now() + 60) as f64 + 0.5 }))),
        ("expired within the leeway", with_claims(json!({ "exp": now() - 20 }))),
        ("issued by a clock ahead within the leeway", with_claims(json!({ "iat": now() + 20, "nbf": now() + 20 }))),
        ("Keycloak's typ", with_claims(json!({ "typ": "Bearer", "azp": "x" }))),
        ("no scopes at all", with_claims(json!({ "scope": null, "scopes": null }))),
    ] {
        assert!(verify(&verifier, &token).await.is_ok(), "{name}: {:?}", verify(&verifier, &token).await);
    }
    for pair in [&*PSS, &*EC, &*ED] {
        let algorithm = pair.public.algorithm();
        let header = json!({ "alg": algorithm.as_str(), "kid": pair.public.kid() });
        let message = unsigned(&header.to_string(), &claims().to_string());
        let token = format!("{message}.{}", pair.sign(&message, algorithm.as_str().parse().unwrap()));
        assert!(verify(&verifier, &token).await.is_ok(), "{algorithm}");
    }
}

#[tokio::test]
async fn algorithms() {
    let none = |alg: &str| format!("{}.", unsigned(&json!({ "alg": alg }).to_string(), &claims().to_string()));
    let none_signed = |alg: &str| with_header(json!({ "alg": alg }));
    let hmac = |secret: &[u8]| {
        let header = with(header(), json!({ "alg": "HS256" }));
        let message = unsigned(&header.to_string(), &claims().to_string());
        let mac = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Jwa::HS256).unwrap();
        format!("{message}.{mac}")
    };
    let modulus = RSA.public.jwk()["n"].as_str().unwrap();
    let as_other = |header_alg: &str, pair: &Pair, kid: &str, signed_as: Jwa| {
        let header = json!({ "alg": header_alg, "kid": kid });
        let message = unsigned(&header.to_string(), &claims().to_string());
        format!("{message}.{}", pair.sign(&message, signed_as))
    };
    refused(vec![
        ("none without a signature", none("none"), THREE_PARTS),
        ("none with one", none_signed("none"), TokenError::Algorithm),
        ("None", none_signed("None"), TokenError::Algorithm),
        ("NONE", none_signed("NONE"), TokenError::Algorithm),
        ("nOnE", none_signed("nOnE"), TokenError::Algorithm),
        ("empty", none_signed(""), TokenError::Algorithm),
        ("missing", with_header(json!({ "alg": null })), TokenError::Algorithm),
        ("a number", with_header(json!({ "alg": 256 })), TokenError::Algorithm),
        ("HS256 keyed with the public modulus", hmac(modulus.as_bytes()), TokenError::Algorithm),
        ("HS256 keyed with its bytes", hmac(&BASE64URL.decode(modulus).unwrap()), TokenError::Algorithm),
        ("HS256 keyed with the JWK", hmac(RSA.public.jwk().to_string().as_bytes()), TokenError::Algorithm),
        ("RS256 by a PS256 key", as_other("RS256", &PSS, PSS.public.kid(), Jwa::RS256), TokenError::Algorithm),
        ("PS256 by an RS256 key", as_other("PS256", &RSA, RSA.public.kid(), Jwa::PS256), TokenError::Algorithm),
        (
            "ES256 with the kid of an RSA key",
            as_other("ES256", &EC, RSA.public.kid(), Jwa::ES256),
            TokenError::Algorithm,
        ),
        (
            "signed as PS256, said to be RS256",
            as_other("RS256", &RSA, RSA.public.kid(), Jwa::PS256),
            TokenError::Signature,
        ),
    ])
    .await;
}

#[tokio::test]
async fn headers() {
    let forged = |changes: Value| {
        // By the attacker's key, with everything that could bring it along.
        let header = with(header(), changes);
        let message = unsigned(&header.to_string(), &claims().to_string());
        format!("{message}.{}", OTHER.sign(&message, Jwa::RS256))
    };
    let jwk = OTHER.public.jwk().clone();
    let kid = OTHER.public.kid();
    refused(vec![
        ("another's key under our kid", forged(json!({})), TokenError::Signature),
        ("another's key under its own kid", forged(json!({ "kid": kid })), TokenError::UnknownKey),
        ("jwk", forged(json!({ "jwk": jwk })), TokenError::Signature),
        ("jwk without kid", forged(json!({ "jwk": jwk, "kid": null })), TokenError::Signature),
        ("jku", forged(json!({ "jku": "http://127.0.0.1:1/jwks", "kid": kid })), TokenError::UnknownKey),
        ("x5u", forged(json!({ "x5u": "http://127.0.0.1:1/cert", "kid": kid })), TokenError::UnknownKey),
        ("x5c", forged(json!({ "x5c": ["AAAA"] })), TokenError::Signature),
        ("crit", with_header(json!({ "crit": ["exp"] })), EXTENSIONS),
        ("empty crit", with_header(json!({ "crit": [] })), EXTENSIONS),
        ("b64 false", with_header(json!({ "b64": false })), EXTENSIONS),
        ("zip", with_header(json!({ "zip": "DEF" })), EXTENSIONS),
        ("cty JWT, a token inside", with_header(json!({ "cty": "JWT" })), EXTENSIONS),
        ("kid as a path", with_header(json!({ "kid": "../../../../dev/null" })), TokenError::UnknownKey),
        ("kid with quotes", with_header(json!({ "kid": "' OR '1'='1" })), TokenError::UnknownKey),
        ("kid with NUL", with_header(json!({ "kid": format!("{}\0", RSA.public.kid()) })), TokenError::UnknownKey),
        ("kid of 10 kB", with_header(json!({ "kid": "k".repeat(10_000) })), TokenError::UnknownKey),
        ("empty kid", with_header(json!({ "kid": "" })), TokenError::UnknownKey),
        ("kid a number", with_header(json!({ "kid": 1 })), TokenError::Malformed("the token's kid is not a string")),
        ("typ of an ID token", with_header(json!({ "typ": "id+jwt" })), TokenError::NotAnAccessToken),
        ("typ of a DPoP proof", with_header(json!({ "typ": "dpop+jwt" })), TokenError::NotAnAccessToken),
        ("typ of a logout token", with_header(json!({ "typ": "logout+jwt" })), TokenError::NotAnAccessToken),
        ("alg twice", signed_text(r#"{"alg":"none","alg":"RS256"}"#, &claims().to_string()), MALFORMED_HEADER),
        ("header an array", signed_text("[]", &claims().to_string()), MALFORMED_HEADER),
        ("header not JSON", signed_text("alg", &claims().to_string()), MALFORMED_HEADER),
    ])
    .await;
}

#[tokio::test]
async fn without_a_kid_the_only_key_for_the_algorithm_is_meant() {
    let token = with_header(json!({ "kid": null }));
    assert!(verify(&verifier(), &token).await.is_ok());
    let two = JwtVerifier::with_keys(vec![RSA.public.clone(), OTHER.public.clone()], ISSUER, AUDIENCE);
    assert_eq!(verify(&two, &token).await.map(|_| ()), Err(TokenError::UnknownKey));
    let none = JwtVerifier::with_keys(Vec::new(), ISSUER, AUDIENCE);
    assert_eq!(verify(&none, &token).await.map(|_| ()), Err(TokenError::NoKeys));
}

#[tokio::test]
async fn a_key_without_a_name_is_meant_by_every_kid() {
    let verifier = JwtVerifier::with_public_key(RSA.public.clone(), ISSUER, AUDIENCE);
    let other_kid = with_header(json!({ "kid": "as their issuer calls it" }));
    for token in [&other_kid, &with_header(json!({ "kid": null })), &signed(header(), claims())] {
        assert!(verify(&verifier, token).await.is_ok());
        // Also for the second token with the same header, which is not decoded again.
        assert!(verify(&verifier, token).await.is_ok());
    }
    assert_eq!(verify(&self::verifier(), &other_kid).await.map(|_| ()), Err(TokenError::UnknownKey));
    // It is still the only key, for the only algorithm.
    let message = unsigned(&header().to_string(), &claims().to_string());
    let forged = format!("{message}.{}", OTHER.sign(&message, Jwa::RS256));
    assert_eq!(verify(&verifier, &forged).await.map(|_| ()), Err(TokenError::Signature));
    let header = json!({ "alg": "ES256", "kid": EC.public.kid() });
    let message = unsigned(&header.to_string(), &claims().to_string());
    let other_algorithm = format!("{message}.{}", EC.sign(&message, Jwa::ES256));
    assert_eq!(verify(&verifier, &other_algorithm).await.map(|_| ()), Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn times() {
    let exp = |value: Value| with_claims(json!({ "exp": value }));
    refused(vec![
        ("expired a second beyond the leeway", exp(json!(now() - 32)), TokenError::Expired),
        ("expired long ago", exp(json!(1)), TokenError::Expired),
        ("no exp", with_claims(json!({ "exp": null })), TokenError::Claim("exp")),
        ("exp a string", exp(json!((now() + 600).to_string())), TokenError::Claim("exp")),
        ("exp negative", exp(json!(-1)), TokenError::Claim("exp")),
        ("exp beyond the year 9999", exp(json!(253_402_300_800_i64)), TokenError::Claim("exp")),
        ("exp 64 bits", exp(json!(u64::MAX)), TokenError::Claim("exp")),
        ("exp 1e300", exp(json!(1e300)), TokenError::Claim("exp")),
        ("exp true", exp(json!(true)), TokenError::Claim("exp")),
        ("exp an array", exp(json!([now() + 600])), TokenError::Claim("exp")),
        ("nbf to come", with_claims(json!({ "nbf": now() + 40 })), TokenError::NotYetValid),
        ("nbf a string", with_claims(json!({ "nbf": "0" })), TokenError::Claim("nbf")),
        ("iat to come", with_claims(json!({ "iat": now() + 40 })), TokenError::NotYetValid),
    ])
    .await;
    let strict = verifier().leeway(Duration::ZERO);
    assert_eq!(verify(&strict, &exp(json!(now() - 2))).await.map(|_| ()), Err(TokenError::Expired));
}

#[tokio::test]
async fn issuers_and_audiences() {
    let iss = |value: Value| (with_claims(json!({ "iss": value })), TokenError::Issuer);
    let aud = |value: Value| (with_claims(json!({ "aud": value })), TokenError::Audience);
    let mut rows = Vec::new();
    for (name, (token, reason)) in [
        ("issuer with a slash", iss(json!("http://localhost:9000/"))),
        ("issuer, a prefix", iss(json!("http://localhost:900"))),
        ("issuer, a suffix", iss(json!("http://localhost:9000/realms/x"))),
        ("issuer in another case", iss(json!("HTTP://localhost:9000"))),
        ("issuer by another loopback name", iss(json!("http://127.0.0.1:9000"))),
        ("no audience", aud(Value::Null)),
        ("no audience in the array", aud(json!([]))),
        ("Keycloak's account", aud(json!("account"))),
        ("another server", aud(json!("https://mcp.example.com/mcp"))),
        ("the name in front of another", aud(json!("http://localhost:9000.evil.example/mcp"))),
        ("the name as a user", aud(json!("http://localhost:9000@evil.example/mcp"))),
        ("the origin alone", aud(json!("http://localhost:9000"))),
        ("a longer path", aud(json!("http://localhost:9000/mcp/x"))),
        ("another port", aud(json!("http://localhost:9001/mcp"))),
        ("https", aud(json!("https://localhost:9000/mcp"))),
        ("the client", aud(json!("test"))),
    ] {
        rows.push((name, token, reason));
    }
    rows.extend([
        ("no issuer", with_claims(json!({ "iss": null })), TokenError::Claim("iss")),
        ("issuer an array", with_claims(json!({ "iss": [ISSUER] })), TokenError::Claim("iss")),
        ("audience a number", with_claims(json!({ "aud": 1 })), TokenError::Claim("aud")),
        ("audience with a number in it", with_claims(json!({ "aud": [AUDIENCE, 1] })), TokenError::Claim("aud")),
        ("no subject", with_claims(json!({ "sub": null })), TokenError::Claim("sub")),
        ("empty subject", with_claims(json!({ "sub": "" })), TokenError::Claim("sub")),
        ("scope an object", with_claims(json!({ "scope": {} })), TokenError::Claim("scope")),
        ("scopes with a number", with_claims(json!({ "scopes": [1] })), TokenError::Claim("scopes")),
        ("a logout token", with_claims(json!({ "events": {} })), TokenError::NotAnAccessToken),
        ("an ID token", with_claims(json!({ "at_hash": "x" })), TokenError::NotAnAccessToken),
        ("Keycloak's ID token", with_claims(json!({ "typ": "ID" })), TokenError::NotAnAccessToken),
        ("Keycloak's refresh token", with_claims(json!({ "typ": "Refresh" })), TokenError::NotAnAccessToken),
        ("Cognito's ID token", with_claims(json!({ "token_use": "id" })), TokenError::NotAnAccessToken),
    ]);
    refused(rows).await;
    let exact = JwtVerifier::with_keys(all_keys(), ISSUER, "mcp-server").also_for(AUDIENCE);
    for (aud, accepted) in [("mcp-server", true), (AUDIENCE, true), ("MCP-server", false), ("mcp-server/", false)] {
        assert_eq!(verify(&exact, &with_claims(json!({ "aud": aud }))).await.is_ok(), accepted, "{aud}");
    }
}

#[tokio::test]
async fn bytes() {
    let good = signed(header(), claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let raw = BASE64URL.decode(signature).unwrap();
    let resigned = |bytes: &[u8]| format!("{message}.{}", BASE64URL.encode(bytes));
    let mut flipped = raw.clone();
    flipped[100] ^= 1;
    // 256 bytes leave four spare bits in the last character; a sloppy decoder ignores them.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let twin = alphabet.chars().nth(alphabet.find(last).unwrap() ^ 1).unwrap();
    let non_canonical = format!("{message}.{}{twin}", &signature[..signature.len() - 1]);
    let changed = with(claims(), json!({ "sub": "admin" })).to_string();
    let mut duplicated = Vec::new();
    for (name, twice) in [
        ("exp twice", format!(r#"{{"exp":9999999999,{}"#, &claims().to_string()[1..])),
        ("aud twice", format!(r#"{{"aud":"x",{}"#, &claims().to_string()[1..])),
        ("sub twice, escaped once", format!(r#"{{"s\u0075b":"admin",{}"#, &claims().to_string()[1..])),
    ] {
        duplicated.push((name, signed_text(&header().to_string(), &twice), MALFORMED_CLAIMS));
    }
    let mut rows = vec![
        ("empty", String::new(), THREE_PARTS),
        ("signature stripped", message.to_owned(), THREE_PARTS),
        ("signature empty", format!("{message}."), THREE_PARTS),
        ("signature truncated", resigned(&raw[..255]), TokenError::Signature),
        ("signature longer", resigned(&[raw.as_slice(), &[0]].concat()), TokenError::Signature),
        ("a bit flipped", resigned(&flipped), TokenError::Signature),
        ("all zero", resigned(&[0; 256]), TokenError::Signature),
        ("padded", format!("{good}=="), BASE64URL_ONLY),
        ("another spelling of the last character", non_canonical, TokenError::Signature),
        (
            "claims changed after signing",
            format!("{head}.{}.{signature}", BASE64URL.encode(changed)),
            TokenError::Signature,
        ),
        ("a space", format!("{good} "), BASE64URL_ONLY),
        ("a newline", good.replacen('.', "\n.", 1), BASE64URL_ONLY),
        ("standard base64", good.replacen('.', "+.", 1), BASE64URL_ONLY),
        ("four parts", format!("{good}.x"), THREE_PARTS),
        ("a JWE", format!("{good}.x.y"), TokenError::Malformed("encrypted tokens (JWE) are not accepted")),
        ("claims an array", signed_text(&header().to_string(), "[]"), MALFORMED_CLAIMS),
        ("claims another token", signed_text(&header().to_string(), &good), MALFORMED_CLAIMS),
        (
            "20 kB",
            with_claims(json!({ "x": "x".repeat(20_000) })),
            TokenError::Malformed("the token is longer than 16 KiB"),
        ),
    ];
    rows.extend(duplicated);
    refused(rows).await;
}

#[tokio::test]
async fn a_removed_key_verifies_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("k.jwk.json");
    std::fs::write(&file, RSA.public.jwk().to_string()).unwrap();
    let keys = std::sync::Arc::new(mcp_auth::keys::KeyDirectory::open(directory.path()));
    let verifier = JwtVerifier::with_directory(keys.clone(), ISSUER, AUDIENCE);
    let token = signed(header(), claims());
    assert!(verify(&verifier, &token).await.is_ok());
    std::fs::write(directory.path().join("other.jwk.json"), EC.public.jwk().to_string()).unwrap();
    std::fs::remove_file(&file).unwrap();
    keys.refresh();
    assert_eq!(verify(&verifier, &token).await.map(|_| ()), Err(TokenError::UnknownKey));
}

#[test]
fn no_reason_holds_anything_of_the_token() {
    for error in [TokenError::Signature, TokenError::Audience, TokenError::Claim("exp"), EXTENSIONS, TokenError::NoKeys]
    {
        let said = error.description();
        assert!(said.is_ascii() && !said.contains(['"', '\\']) && said.len() < 80, "{said}");
    }
}
