//! [`RemoteKeySet`] with a real key server: when it fetches, and what it makes of good and bad answers.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod key_server;

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, crypto};
use mcp_auth::{
    RemoteKeySet, TokenError, TokenVerifier,
    keys::{Algorithm, make_pair},
};
use serde_json::json;

use self::key_server::{
    Content, KeyServer, Reply, Signer, accepted, claims, not_accepted, refused, unknown, until, until_accepted,
    until_keys, verifier,
};

fn kids(keys: &RemoteKeySet) -> Vec<String> {
    keys.public_keys().keys().iter().map(|key| key.kid().to_owned()).collect()
}

#[tokio::test]
async fn the_first_request_waits_for_the_first_fetch() {
    let key = Signer::new();
    let server = KeyServer::up(Reply::keys(&[&key]).after(Duration::from_millis(300))).await;
    let verifier = server.verifier();
    accepted(&verifier, &key.token()).await;
    accepted(&verifier, &key.token()).await;
    assert_eq!(server.hits(), 1);
    assert_eq!(server.seen()["accept"], "application/jwk-set+json, application/json");
}

#[tokio::test]
async fn an_unknown_kid_refreshes_at_once() {
    let (old, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&old])).await;
    let verifier = server.verifier();
    accepted(&verifier, &old.token()).await;
    server.set(Reply::keys(&[&old, &new]));
    accepted(&verifier, &new.token()).await;
    accepted(&verifier, &old.token()).await;
    assert_eq!(server.hits(), 2);
    // It brought something new, so the next one refreshes at once again.
    let newest = Signer::new();
    server.set(Reply::keys(&[&newest]));
    accepted(&verifier, &newest.token()).await;
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn a_vain_refresh_starts_a_cool_down() {
    let (key, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&key])).await;
    let verifier = server.verifier();
    accepted(&verifier, &key.token()).await;
    let begun = Instant::now();
    let mut asked = 0;
    while begun.elapsed() < Duration::from_millis(3500) {
        refused(&verifier, &unknown("nobody's"), TokenError::UnknownKey).await;
        accepted(&verifier, &key.token()).await;
        asked += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // At 0, 1 and 3 seconds; a slow machine may see fewer, and one more if it takes until 7.
    assert!(asked > 20 && (3..=5).contains(&server.hits()), "{} fetches, {asked} questions", server.hits());
    // The cool-down ends, and what is new by then is found.
    server.set(Reply::keys(&[&key, &new]));
    until_accepted(&verifier, &new.token()).await;
}

#[tokio::test]
async fn a_token_that_is_tried_again_and_again_does_not_hold_up_a_new_key() {
    let (removed, current, next) = (Signer::new(), Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&current])).await;
    let verifier = server.verifier();
    accepted(&verifier, &current.token()).await;
    let begun = Instant::now();
    while server.hits() < 3 {
        refused(&verifier, &removed.token(), TokenError::UnknownKey).await;
        assert!(begun.elapsed() < key_server::PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It was asked for twice, so its own cool-down is two seconds now. Everybody's was one, and is over.
    server.set(Reply::keys(&[&current, &next]));
    accepted(&verifier, &next.token()).await;
}

/// One made-up `kid` a second is enough to hold up a new key. A 401 would have its tokens thrown away meanwhile.
#[tokio::test]
async fn while_nobody_looks_nothing_is_said_about_an_unknown_kid() {
    let (old, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&old])).await;
    let verifier = server.verifier();
    accepted(&verifier, &old.token()).await;
    let mut kids = 0;
    let begun = Instant::now();
    // Three vain fetches, so that the cool-down that follows is four seconds.
    while server.hits() < 4 {
        let answer = verifier.verify(&unknown(&format!("made-up-{kids}"))).await;
        assert!(matches!(answer, Err(TokenError::UnknownKey | TokenError::Unavailable)), "{answer:?}");
        assert!(begun.elapsed() < key_server::PATIENCE);
        kids += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.set(Reply::keys(&[&new]));
    let (held_up, mut told) = (Instant::now(), 0);
    while let Err(error) = verifier.verify(&new.token()).await {
        assert_eq!(error, TokenError::Unavailable, "come back, and keep it");
        assert!(held_up.elapsed() < key_server::PATIENCE);
        told += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(told > 0 && server.hits() == 5, "{told} times told, {} fetches", server.hits());
}

#[tokio::test]
async fn a_removed_key_verifies_nothing_after_the_refresh() {
    let (old, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&old])).await;
    let verifier = server.verifier();
    accepted(&verifier, &old.token()).await;
    let epoch = verifier.epoch();
    server.set(Reply::keys(&[&new, &old]));
    accepted(&verifier, &new.token()).await;
    assert_eq!(verifier.epoch(), epoch, "nothing was lost");
    server.set(Reply::keys(&[&new]));
    // Any unknown kid brings the set up to date.
    refused(&verifier, &unknown("nobody's"), TokenError::UnknownKey).await;
    not_accepted(&verifier, &old.token()).await;
    accepted(&verifier, &new.token()).await;
    assert!(verifier.epoch() > epoch);
}

#[tokio::test]
async fn keys_are_fetched_anew_when_it_is_time() {
    let (old, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&old]).header("cache-control", "max-age=86400")).await;
    let keys = RemoteKeySet::builder(&server.url()).unwrap().stale_for(Duration::from_secs(2)).start();
    until_keys(&keys, 1).await;
    server.set(Reply::keys(&[&new]));
    // Nobody asks.
    until("the new key", || kids(&keys) == [new.kid()]).await;
    let before = server.hits();
    drop(keys);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    // One may have been under way.
    assert!(server.hits() <= before + 1, "the task ends with the last handle");
}

#[tokio::test]
async fn without_a_kid_a_signature_that_fits_no_key_refreshes_too() {
    let reply = |key: &Signer| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        Reply::jwks(&[jwk])
    };
    let [old, new, stranger] = [(), (), ()].map(|()| Signer::new());
    let server = KeyServer::up(reply(&old)).await;
    let verifier = server.verifier();
    accepted(&verifier, &old.token_under(None)).await;
    server.set(reply(&new));
    accepted(&verifier, &new.token_under(None)).await;
    assert_eq!(server.hits(), 2);
    let begun = Instant::now();
    for _ in 0..20 {
        refused(&verifier, &stranger.token_under(None), TokenError::Signature).await;
    }
    assert!(server.hits() == 3 || begun.elapsed() > Duration::from_secs(1), "they cool down like others");
    // Several keys for one algorithm: none is meant.
    server.set(Reply::keys(&[&old, &new]));
    let verifier = server.verifier();
    refused(&verifier, &new.token_under(None), TokenError::UnknownKey).await;
}

#[tokio::test]
async fn a_request_that_is_given_up_takes_nothing_with_it() {
    let (old, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&old])).await;
    let keys = server.key_set();
    let verifier = Arc::new(verifier(keys.clone()));
    accepted(&verifier, &old.token()).await;
    server.set(Reply::keys(&[&old, &new]).after(Duration::from_millis(500)));
    let request = tokio::spawn({
        let (verifier, token) = (verifier.clone(), new.token());
        async move { verifier.verify(&token).await.is_ok() }
    });
    server.until_hits(2).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    // Its fetch goes on, and another request waits for that one.
    accepted(&verifier, &new.token()).await;
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_left_out_and_the_others_serve() {
    let (good, twin) = (Signer::new(), Signer::new());
    let (_, ec) = make_pair(Algorithm::ES256).unwrap();
    let secret = "c2VjcmV0LXRoYXQtZXZlcnlib2R5LWNhbi1yZWFkLWluLXRoZS1zZXQ";
    let with = |base: &serde_json::Value, changes: serde_json::Value| {
        let mut jwk = base.clone();
        jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        jwk
    };
    let rsa = |bits: usize| BASE64URL.encode(vec![0xff; bits / 8]);
    let server = KeyServer::up(Reply::jwks(&[
        json!({ "kty": "oct", "kid": "oct", "k": secret, "alg": "HS256" }),
        json!({ "kty": "oct", "kid": "oct without alg", "k": secret }),
        with(&twin.jwk(), json!({ "kid": "enc", "use": "enc" })),
        with(&twin.jwk(), json!({ "kid": "private", "d": "AAAA" })),
        json!({ "kty": "RSA", "kid": "1024 bits", "n": rsa(1024), "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "2048 bits", "n": rsa(2048), "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "16384 bits", "n": rsa(16_384), "e": "AQAB" }),
        // One bit of a coordinate is another.
        with(ec.jwk(), json!({ "kid": "off the curve", "x": flipped(ec.jwk()["x"].as_str().unwrap()) })),
        with(ec.jwk(), json!({ "kid": "another curve", "crv": "P-384" })),
        json!({ "kty": "AKP", "kid": "of tomorrow", "alg": "ML-DSA-44", "pub": "AAAA" }),
        json!({ "kid": "nothing" }),
        json!({}),
        good.jwk(),
        with(&twin.jwk(), json!({ "kid": good.kid() })),
    ]))
    .await;
    let keys = server.key_set();
    let verifier = verifier(keys.clone());
    accepted(&verifier, &good.token()).await;
    assert_eq!(kids(&keys), ["2048 bits", good.kid()]);
    // The second key under a kid verifies nothing.
    refused(&verifier, &twin.token_under(Some(good.kid())), TokenError::Signature).await;
    // The symmetric key, which everybody knows, neither.
    let header = json!({ "alg": "HS256", "kid": "oct" }).to_string();
    let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims().to_string()));
    let key = EncodingKey::from_secret(&BASE64URL.decode(secret).unwrap());
    let mac = crypto::sign(message.as_bytes(), &key, Jwa::HS256).unwrap();
    refused(&verifier, &format!("{message}.{mac}"), TokenError::Algorithm).await;
}

fn flipped(coordinate: &str) -> String {
    let mut bytes = BASE64URL.decode(coordinate).unwrap();
    bytes[31] ^= 1;
    BASE64URL.encode(bytes)
}

static ELSEWHERE: LazyLock<Signer> = LazyLock::new(Signer::new);

/// Answers from which no key may be taken.
fn bad_answers(elsewhere: &str) -> Vec<(&'static str, Reply)> {
    let key = ELSEWHERE.jwk();
    let set = json!({ "keys": [key] }).to_string();
    let large = |bytes: usize| format!("{}{set}", " ".repeat(bytes));
    let twice = format!(r#"{{"keys":[],"keys":[{key}]}}"#);
    let redirect = |status| Reply { status, ..Reply::text(set.clone()) }.header("location", elsewhere);
    vec![
        ("500", Reply { status: 500, ..Reply::text(set.clone()) }),
        ("503", Reply::status(503).header("retry-after", "1")),
        ("404", Reply { status: 404, ..Reply::text(set.clone()) }),
        ("204", Reply::status(204)),
        ("203", Reply { status: 203, ..Reply::text(set.clone()) }),
        ("301", redirect(301)),
        ("302", redirect(302)),
        ("303", redirect(303)),
        ("307", redirect(307)),
        ("308", redirect(308)),
        ("10 MB", Reply::text(large(10_000_000))),
        ("a byte too large", Reply::text(large(512 * 1024 + 1 - set.len()))),
        ("endless", Reply { body: Content::Endless, ..Reply::text("") }),
        ("HTML", Reply::text("<!doctype html><title>Sign in</title>").header("content-type", "text/html")),
        ("truncated", Reply::text(set[..set.len() - 3].to_owned())),
        ("cut off", Reply::text(set.clone()).header("content-length", "100000")),
        ("nothing", Reply::text("")),
        ("an array", Reply::text(json!([key]).to_string())),
        ("one key, no set", Reply::text(key.to_string())),
        ("keys an object", Reply::text(json!({ "keys": key }).to_string())),
        ("a key no object", Reply::text(json!({ "keys": [key, 1] }).to_string())),
        ("keys twice", Reply::text(twice)),
        ("101 keys", Reply::jwks(&vec![key.clone(); 101])),
        ("no key", Reply::jwks(&[])),
        ("no usable key", Reply::jwks(&[json!({ "kty": "oct", "k": "c2VjcmV0" })])),
        ("not UTF-8", Reply::text(b"{\"keys\":[],\"x\":\"\xff\"}".to_vec())),
        ("compressed", Reply::text(b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec()).header("content-encoding", "gzip")),
    ]
}

#[tokio::test]
async fn a_bad_answer_never_replaces_good_keys() {
    let key = Signer::new();
    let other = KeyServer::up(Reply::keys(&[&ELSEWHERE])).await;
    for (name, reply) in bad_answers(&other.url()) {
        let server = KeyServer::up(Reply::keys(&[&key])).await;
        // Long: what ends an endless body is its size.
        let keys = RemoteKeySet::builder(&server.url()).unwrap().fetch_timeout(Duration::from_secs(600)).start();
        let verifier = verifier(keys.clone());
        accepted(&verifier, &key.token()).await;
        server.set(reply);
        let refresh = tokio::time::timeout(Duration::from_secs(30), verifier.verify(&ELSEWHERE.token())).await;
        let refused = refresh.unwrap_or_else(|_| panic!("{name}: it never ends"));
        assert_eq!(refused.map(|_| ()), Err(TokenError::UnknownKey), "{name}");
        assert!(server.hits() >= 2, "{name}");
        assert_eq!(kids(&keys), [key.kid()], "{name}");
        accepted(&verifier, &key.token()).await;
    }
    assert_eq!(other.hits(), 0, "no redirect is followed");
}

#[tokio::test]
async fn the_largest_set_is_accepted() {
    let key = Signer::new();
    let set = json!({ "keys": vec![key.jwk(); 100] }).to_string();
    let server = KeyServer::up(Reply::text(format!("{}{set}", " ".repeat(512 * 1024 - set.len())))).await;
    accepted(&server.verifier(), &key.token()).await;
}

#[tokio::test]
async fn with_no_keys_at_all_nothing_is_said_about_a_token() {
    let key = Signer::new();
    let server = KeyServer::up(Reply::text("<!doctype html>")).await;
    let verifier = server.verifier();
    // The first waits for the first fetch. The others, in a back-off of seconds, do not.
    let begun = Instant::now();
    for _ in 0..100 {
        refused(&verifier, &key.token(), TokenError::NoKeys).await;
    }
    let waited = begun.elapsed();
    assert!(server.hits() <= 1 + waited.as_secs() as usize, "{} fetches in {waited:?}", server.hits());
    refused(&verifier, "x.y.z", TokenError::Malformed("the token's header is not one JSON object without repetition"))
        .await;
    server.set(Reply::keys(&[&key]));
    until_accepted(&verifier, &key.token()).await;
}

#[tokio::test]
async fn refused_urls() {
    for url in ["http://idp.example.com/certs", "certs", "https://a:b@idp.example.com/", "https://idp.example.com/#x"] {
        let error = RemoteKeySet::builder(url).unwrap_err();
        assert!(error.to_string().starts_with("no URL for a JWK Set: "), "{url}: {error}");
    }
}
