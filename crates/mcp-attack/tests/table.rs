//! The table itself: every row well-formed, built from what it says it needs, and from nothing less; and every token in
//! it refused by our own verifier, which accepts the good one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::HashSet, sync::LazyLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use mcp_attack::{Group, Key, Needs, NotBuilt, RawRequest, Row, Target, authorization_server, rows};
use mcp_auth::{
    JwtVerifier, TokenVerifier,
    keys::{Algorithm, PublicKey, make_pair},
};
use serde_json::Value;

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

/// Two RSA keys for RS256, and one for each other algorithm. Made once: RSA keys take their time.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let algorithms = [Algorithm::RS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
    let key = |algorithm| {
        let (private, public) = make_pair(algorithm).unwrap();
        Key::new(&private, public).unwrap()
    };
    algorithms.map(key).to_vec()
});

async fn bare() -> Target {
    Target::new(AUDIENCE.parse().unwrap()).await.unwrap()
}

fn good(target: &Target) -> String {
    // A row that changes nothing but the place gives the good token away.
    let row = rows().into_iter().find(|row| row.id == "scheme-missing").unwrap();
    let request = row.request(target).unwrap();
    String::from_utf8(request.values("authorization")[0].to_vec()).unwrap()
}

#[test]
fn rows_are_well_formed_and_unique() {
    let rows = rows();
    well_formed(&rows);
    well_formed(&authorization_server::rows());
    // One list of exceptions may be about both.
    let of_both = rows.iter().map(Row::id).chain(authorization_server::rows().iter().map(Row::id)).collect::<Vec<_>>();
    assert_eq!(of_both.len(), of_both.iter().collect::<HashSet<_>>().len());
    assert!(rows.len() >= 200, "{}", rows.len());
    assert!(authorization_server::rows().len() >= 150, "{}", authorization_server::rows().len());
}

fn well_formed(rows: &[impl Row]) {
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    let mut groups = Vec::new();
    for row in rows {
        let (id, title) = (row.id(), row.title());
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(id.chars().all(kebab) && !id.starts_with('-') && !id.ends_with('-'), "{id}");
        assert!(ids.insert(id), "{id} stands twice");
        assert!(titles.insert((row.group(), title)), "{id}: {title} stands twice");
        assert!(title.chars().count() <= 75 && !title.ends_with('.'), "{id}");
        let named = ["RFC ", "CVE-", "CWE-", "MCP ", "OAuth ", "OpenID "];
        assert!(named.iter().any(|name| row.source().starts_with(name)), "{id}: {}", row.source());
        if groups.last() != Some(&row.group()) {
            groups.push(row.group());
        }
    }
    assert_eq!(groups.len(), groups.iter().collect::<HashSet<_>>().len(), "groups stand together: {groups:?}");
}

#[tokio::test]
async fn a_row_needs_what_it_says() {
    let keys = KEYS.clone();
    let without = |unwanted: Algorithm| keys.iter().filter(move |key| key.public().algorithm() != unwanted).cloned();
    let jwt = good(&bare().await.keys(keys.clone()));
    for row in rows() {
        let (enough, less) = match row.needs {
            Needs::Nothing => (bare().await, None),
            Needs::Token => (bare().await.token("opaque"), Some(bare().await)),
            Needs::Jwt => (bare().await.token(&jwt), Some(bare().await.token("opaque"))),
            Needs::PublicKey => (bare().await.public_key(keys[0].public().clone()), Some(bare().await.token(&jwt))),
            Needs::SigningKey => {
                let less = bare().await.token(&jwt).public_key(keys[0].public().clone()).session("s");
                (bare().await.keys(vec![keys[0].clone()]), Some(less))
            }
            Needs::SigningKeyFor(algorithm) => {
                let less = without(algorithm).collect();
                (bare().await.keys(keys.clone()), Some(bare().await.keys(less)))
            }
            Needs::TwoKeys => {
                let less = keys[1..].to_vec();
                (bare().await.keys(keys.clone()), Some(bare().await.keys(less)))
            }
            Needs::Session => (bare().await.session("s"), Some(bare().await.keys(keys.clone()))),
        };
        assert!(row.request(&enough).is_ok(), "{}: {:?}", row.id, row.request(&enough).err());
        if let Some(less) = less {
            assert_eq!(row.request(&less).err(), Some(NotBuilt::Needs(row.needs)), "{}", row.id);
        }
    }
}

#[tokio::test]
async fn one_thing_is_wrong_with_each_request() {
    let target = bare().await.keys(KEYS.clone()).session("s");
    let probe = RawRequest::probe(&target).bearer(&good(&target));
    for row in rows() {
        let request = row.request(&target).unwrap();
        let as_usual = |name: &str| request.values(name) == probe.values(name);
        assert!(as_usual("host"), "{}", row.id);
        // What bends the token leaves the request alone.
        if !matches!(row.group, Group::Credential | Group::Request) {
            assert_eq!((request.method, &request.path, &request.body), (probe.method, &probe.path, &probe.body));
            assert_eq!(request.values("authorization").len(), 1, "{}", row.id);
            assert_ne!(request.values("authorization"), probe.values("authorization"), "{}", row.id);
        }
    }
}

/// What is refused could be refused for a mistake in the table; so what is said of a token has to be in it.
#[tokio::test]
async fn tokens_are_bent_where_they_say() {
    let target = bare().await.keys(KEYS.clone());
    for row in rows() {
        let Ok(Some(token)) = row.token(&target) else { continue };
        let part = |n: usize| {
            let bytes = BASE64URL.decode(token.split('.').nth(n)?).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        };
        let claim = match row.group {
            Group::Issuer => "iss",
            Group::Audience => "aud",
            _ => continue,
        };
        let (header, claims) = (part(0).unwrap(), part(1).unwrap());
        let usual = if claim == "iss" { ISSUER } else { AUDIENCE };
        assert_ne!(claims[claim], usual, "{}", row.id);
        assert_eq!((&header["alg"], &claims["sub"]), (&"RS256".into(), &"alice".into()), "{}", row.id);
    }
}

#[tokio::test]
async fn our_verifier_refuses_every_token() {
    let target = bare().await.keys(KEYS.clone());
    let keys: Vec<PublicKey> = KEYS.iter().map(|key| key.public().clone()).collect();
    let verifier = JwtVerifier::with_keys(keys, ISSUER, AUDIENCE);
    assert!(verifier.verify(&good(&target)).await.is_ok());
    let (mut tried, mut accepted) = (0, Vec::new());
    for row in rows() {
        if let Some(token) = row.token(&target).unwrap() {
            tried += 1;
            if verifier.verify(&token).await.is_ok() {
                accepted.push(row.id);
            }
        }
    }
    assert!(tried >= 150, "{tried}");
    assert_eq!(accepted, [] as [&str; 0]);
    assert!(target.attacker().asked().is_empty());
}
