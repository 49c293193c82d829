//! Key pairs and the directory that publishes them, on a real file system.
#![cfg(feature = "signing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use mcp_auth::keys::{Algorithm, KeyDirectory, PublicKey, SigningKey, make_pair};
use serde_json::{Value, json};

fn kids(directory: &KeyDirectory) -> Vec<String> {
    directory.public_keys().keys().iter().map(|key| key.kid().to_owned()).collect()
}

fn published(directory: &KeyDirectory) -> JwkSet {
    serde_json::from_slice(&directory.public_keys().jwks()).unwrap()
}

#[test]
fn what_each_algorithm_signs_its_published_key_verifies_and_no_other_does() {
    let path = tempfile::tempdir().unwrap();
    let claims = json!({ "sub": "alice", "exp": 4_000_000_000_u64 });
    let tokens: Vec<_> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            let key = SigningKey::newest_or_new(path.path(), algorithm).unwrap();
            assert_eq!(key.public().algorithm(), algorithm);
            (key.public().kid().to_owned(), key.sign(&claims).unwrap())
        })
        .collect();
    let set = published(&KeyDirectory::open(path.path()));
    assert_eq!(set.keys.len(), 4);
    for (kid, token) in &tokens {
        for jwk in &set.keys {
            let algorithm = jwk.common.key_algorithm.unwrap().to_string().parse().unwrap();
            let key = DecodingKey::from_jwk(jwk).unwrap();
            let verified = jsonwebtoken::decode::<Value>(token, &key, &Validation::new(algorithm));
            let own = jwk.common.key_id.as_ref() == Some(kid);
            assert_eq!(verified.is_ok(), own, "{algorithm:?}");
            if let Ok(data) = verified {
                assert_eq!((data.header.typ.as_deref(), data.header.kid.as_ref()), (Some("at+jwt"), Some(kid)));
                assert_eq!(data.claims, claims);
            }
        }
    }
}

#[test]
fn an_authorization_server_signs_with_a_key_that_was_published_long_enough() {
    let path = tempfile::tempdir().unwrap();
    let published = |seconds| {
        let key = SigningKey::published(path.path(), Algorithm::ES256, Duration::from_secs(seconds)).unwrap();
        key.map(|key| key.public().kid().to_owned())
    };
    assert_eq!(published(60), None);
    let make = |age: u64| {
        let key = SigningKey::create(path.path(), Algorithm::ES256).unwrap();
        let kid = key.public().kid().to_owned();
        let file =
            fs::File::options().append(true).open(path.path().join(format!("es256-{}.jwk.json", &kid[..8]))).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
        Some(kid)
    };
    let first = make(10);
    assert_eq!(published(60), first, "the only one signs, however new");
    let second = make(0);
    assert_eq!((published(60), published(5)), (first.clone(), first.clone()));
    let (oldest, older) = (make(300), make(200));
    assert_eq!((published(60), published(250), published(5)), (older, oldest, first));
    assert_eq!(published(0), second);
    assert!(SigningKey::published(path.path(), Algorithm::RS256, Duration::ZERO).unwrap().is_none());
}

#[test]
fn the_newest_key_signs_and_the_old_ones_stay() {
    let path = tempfile::tempdir().unwrap();
    let first = SigningKey::newest_or_new(path.path(), Algorithm::ES256).unwrap();
    let again = SigningKey::newest_or_new(path.path(), Algorithm::ES256).unwrap();
    assert_eq!(first.public().kid(), again.public().kid());
    // Longer than the clock of any file system is coarse.
    std::thread::sleep(Duration::from_millis(20));
    let second = SigningKey::create(path.path(), Algorithm::ES256).unwrap();
    let newest = SigningKey::newest_or_new(path.path(), Algorithm::ES256).unwrap();
    assert_eq!(newest.public().kid(), second.public().kid());
    assert_eq!(published(&KeyDirectory::open(path.path())).keys.len(), 2);

    SigningKey::create(path.path(), Algorithm::EdDSA).unwrap();
    SigningKey::remove_all(path.path(), Algorithm::ES256).unwrap();
    assert_eq!(published(&KeyDirectory::open(path.path())).keys.len(), 1, "EdDSA's is left");
}

#[test]
fn the_private_half_is_for_its_owner_and_never_published() {
    let path = tempfile::tempdir().unwrap();
    SigningKey::create(path.path(), Algorithm::RS256).unwrap();
    let mut private = 0;
    for entry in fs::read_dir(path.path()).unwrap() {
        let file = entry.unwrap().path();
        if file.to_string_lossy().ends_with(".private.pem") {
            private += 1;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        } else {
            let jwk: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
            let mut members: Vec<_> = jwk.as_object().unwrap().keys().collect();
            members.sort();
            assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        }
    }
    assert_eq!(private, 1);
}

#[test]
fn a_key_that_cannot_be_used_is_left_out_and_the_others_stay() {
    let path = tempfile::tempdir().unwrap();
    let good = SigningKey::create(path.path(), Algorithm::EdDSA).unwrap().public().kid().to_owned();
    let (private, public) = make_pair(Algorithm::ES256).unwrap();
    let write = |name: &str, text: &str| fs::write(path.path().join(name), text).unwrap();
    write("private.pub.pem", &private);
    write("broken.jwk.json", "{");
    write("symmetric.jwk.json", r#"{"kty":"oct","k":"c2VjcmV0"}"#);
    write("twin.jwk.json", &public.jwk().to_string().replace(public.kid(), &good));
    write("huge.jwk.json", &" ".repeat(100_000));
    write("notes.txt", "not a key");
    assert_eq!(kids(&KeyDirectory::open(path.path())), [good]);
}

#[test]
fn a_public_pem_is_a_key_too() {
    // The key of RFC 8037 appendix A.2, as OpenSSL writes it.
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let key = PublicKey::from_pem(pem.as_bytes()).unwrap();
    // Appendix A.3 gives its thumbprint.
    assert_eq!((key.algorithm(), key.kid()), (Algorithm::EdDSA, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    assert_eq!(key.jwk()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
}

/// A JWK Set by itself, a JWK, a PEM: any of them may be all there is. In a set, what is not for signatures is left out.
#[test]
fn one_file_instead_of_a_directory() {
    let path = tempfile::tempdir().unwrap();
    let (first, second) = (make_pair(Algorithm::EdDSA).unwrap().1, make_pair(Algorithm::ES256).unwrap().1);
    let mut for_encryption = make_pair(Algorithm::ES256).unwrap().1.jwk().clone();
    for_encryption["use"] = json!("enc");
    let mut only_encrypts = make_pair(Algorithm::ES256).unwrap().1.jwk().clone();
    only_encrypts.as_object_mut().unwrap().remove("use");
    only_encrypts["key_ops"] = json!(["encrypt"]);
    let set = json!({ "keys": [
        first.jwk(), for_encryption, only_encrypts, { "kty": "oct", "k": "c2VjcmV0" }, { "kty": "AKP" }, second.jwk(),
    ]});
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let open = |name: &str, text: &str| {
        let file = path.path().join(name);
        fs::write(&file, text).unwrap();
        kids(&KeyDirectory::open(file))
    };
    let both = [first.kid(), second.kid()];
    assert_eq!(open("certs.json", &set.to_string()), both);
    assert_eq!(open("key.json", &first.jwk().to_string()), [first.kid()]);
    assert_eq!(open("key.pem", pem), ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
    // And a set in a directory, beside other files.
    fs::create_dir(path.path().join("keys")).unwrap();
    open("keys/certs.jwks.json", &set.to_string());
    assert_eq!(kids(&KeyDirectory::open(path.path().join("keys"))), both);
    // Neither a set of everything nor one with a key twice is believed.
    let many = json!({ "keys": vec![first.jwk(); 101] });
    assert!(PublicKey::from_jwks(&many.to_string()).is_err());
    assert!(PublicKey::from_jwks(r#"{"keys":[],"keys":[]}"#).is_err());
    assert!(PublicKey::from_jwks(r#"{"keys":{}}"#).is_err());
}

async fn within_a_second(directory: &KeyDirectory, expected: usize) {
    let begun = Instant::now();
    while kids(directory).len() != expected {
        // The machine may be busy; the interval itself is half a second.
        assert!(begun.elapsed() < Duration::from_secs(3), "{expected} keys expected: {:?}", kids(directory));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_watched_directory_may_come_later_and_its_keys_may_go() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("keys");
    let directory = Arc::new(KeyDirectory::open(&path));
    directory.watch();
    assert!(kids(&directory).is_empty());
    assert_eq!(directory.public_keys().jwks(), r#"{"keys":[]}"#);

    SigningKey::create(&path, Algorithm::EdDSA).unwrap();
    within_a_second(&directory, 1).await;
    SigningKey::create(&path, Algorithm::ES256).unwrap();
    within_a_second(&directory, 2).await;
    remove(&path, "es256-");
    within_a_second(&directory, 1).await;
}

fn remove(directory: &Path, prefix: &str) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}
