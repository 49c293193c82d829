//! An authorization server is found by its issuer, and its keys with it: a real provider, good, bad and absent.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod key_server;

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use mcp_auth::{
    DiscoveryError, Guard, JwtVerifier, MetadataError, RemoteKeySet, TokenError, TokenVerifier, VerifiedTokens,
    discover,
};
use serde_json::{Value, json};

use self::key_server::{AUDIENCE, Content, ISSUER, KeyServer, Reply, Signer, accepted, refused, until, until_accepted};

const FORMS: [&str; 3] = [
    "/.well-known/oauth-authorization-server/realms/mcp",
    "/.well-known/openid-configuration/realms/mcp",
    "/realms/mcp/.well-known/openid-configuration",
];

fn metadata(issuer: &str, jwks_uri: &str) -> Reply {
    Reply::json(&json!({ "issuer": issuer, "jwks_uri": jwks_uri }))
}

/// A provider with metadata at one of the forms, and nothing else yet.
async fn provider(form: &str) -> (KeyServer, String) {
    let server = KeyServer::up(Reply::status(404)).await;
    let issuer = server.at("/realms/mcp");
    server.set_at(form, metadata(&issuer, &server.url()));
    (server, issuer)
}

#[tokio::test]
async fn every_form_in_its_order() {
    for (i, form) in FORMS.iter().enumerate() {
        let (server, issuer) = provider(form).await;
        let found = discover(&issuer).await.unwrap();
        assert_eq!((found.issuer, found.jwks_uri.unwrap().as_str()), (issuer, &*server.url()));
        assert_eq!(server.asked(), &FORMS[..=i], "one after the other, and none too many");
        assert_eq!(server.seen()["accept"], "application/json");
    }
    // What stands first counts.
    let (server, issuer) = provider(FORMS[0]).await;
    server.set_at(FORMS[2], metadata(&issuer, "https://other.example/certs"));
    assert_eq!(discover(&issuer).await.unwrap().jwks_uri.unwrap().as_str(), server.url());
    // Without a path there are two.
    let server = KeyServer::up(Reply::status(404)).await;
    let issuer = server.at("");
    server.set_at("/.well-known/openid-configuration", metadata(&issuer, &server.url()));
    assert!(discover(&issuer).await.is_ok());
    assert_eq!(server.asked(), ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]);
}

/// A page for every path, or a proxy that fails for some: the provider behind it has its metadata all the same.
#[tokio::test]
async fn a_site_in_front_of_the_provider() {
    for (n, form) in FORMS.iter().enumerate().skip(1) {
        let (server, issuer) = provider(form).await;
        for front in [Reply::text("<!doctype html>"), Reply::text("[]"), Reply::status(500), Reply::status(503)] {
            for before in &FORMS[..n] {
                server.set_at(before, front.clone());
            }
            assert_eq!(discover(&issuer).await.unwrap().jwks_uri.unwrap().as_str(), server.url());
        }
        // Nobody else's metadata is passed over.
        server.set_at(FORMS[0], metadata(&server.at("/realms/evil"), &server.url()));
        let error = discover(&issuer).await.unwrap_err();
        assert!(matches!(error, DiscoveryError::Metadata { why: MetadataError::OtherIssuer { .. }, .. }), "{error}");
    }
    let (server, issuer) = provider(FORMS[2]).await;
    server.set(Reply::text("<!doctype html>"));
    server.set_at(FORMS[1], Reply::status(500));
    server.set_at(FORMS[2], Reply::status(404));
    let told = discover(&issuer).await.unwrap_err().to_string();
    assert!(told.starts_with(&server.at(FORMS[0])) && told.contains("JSON"), "the first is told: {told}");
}

/// Whoever can write to one place of a shared host could speak for every tenant of it.
#[tokio::test]
async fn another_issuer_is_refused() {
    let (server, issuer) = provider(FORMS[0]).await;
    for other in [
        format!("{issuer}/"),
        server.at("/realms/MCP"),
        server.at("/realms/evil"),
        issuer.replace("127.0.0.1", "localhost"),
        "https://idp.example".to_owned(),
    ] {
        server.set_at(FORMS[0], metadata(&other, &server.url()));
        let error = discover(&issuer).await.unwrap_err();
        assert!(matches!(&error, DiscoveryError::Metadata { why: MetadataError::OtherIssuer { .. }, .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains(&server.at(FORMS[0])) && told.contains(&format!("{other:?}")), "{told}");
    }
    // The slash counts the other way round too.
    server.set_at(FORMS[0], metadata(&issuer, &server.url()));
    let told = discover(&format!("{issuer}/")).await.unwrap_err().to_string();
    assert!(told.contains("a slash at the end counts"), "{told}");
}

/// What is told of a provider that answers so at the first place.
async fn told(server: &KeyServer, reply: Reply) -> String {
    server.set_at(FORMS[0], reply);
    let issuer = server.at("/realms/mcp");
    let discovered = tokio::time::timeout(Duration::from_secs(30), discover(&issuer)).await;
    discovered.expect("it never ends").unwrap_err().to_string()
}

#[tokio::test]
async fn what_went_wrong_is_told() {
    let (mut server, issuer) = provider(FORMS[0]).await;
    let good = json!({ "issuer": issuer, "jwks_uri": server.url() }).to_string();
    let first = server.at(FORMS[0]);
    let elsewhere = server.at("/elsewhere");
    server.set_at("/elsewhere", Reply::text(good.clone()));
    for (reply, expected) in [
        (Reply::text("<!doctype html>"), "it is not one JSON object without repetition"),
        (Reply::text(""), "it is not one JSON object"),
        (Reply::text(format!("{good}{good}")), "it is not one JSON object"),
        (Reply::text("{}"), "its member issuer is missing"),
        (metadata(&issuer, "http://idp.example/certs"), "its member jwks_uri is no URL that can be used"),
        (metadata(&issuer, "/certs"), "its member jwks_uri is no URL"),
        (Reply::text(format!("{}{good}", " ".repeat(600_000))), "it is larger than any metadata"),
        (Reply { body: Content::Endless, ..Reply::text("") }, "it is larger than any metadata"),
        (Reply::status(500), "cannot be reached: its status is 500"),
        (Reply { status: 503, ..Reply::text(good.clone()) }, "cannot be reached: its status is 503"),
    ] {
        let told = told(&server, reply).await;
        assert!(told.starts_with(&first) && told.contains(expected), "{told}");
    }
    for status in [301, 302, 303, 307, 308] {
        let told = told(&server, Reply { status, ..Reply::text(good.clone()) }.header("location", &*elsewhere)).await;
        let of_all = format!("{first} answers {status} (redirects are not followed), {}", server.at(FORMS[1]));
        assert!(told.starts_with("no metadata of ") && told.contains(&of_all), "{told}");
    }
    for status in [401, 403, 404] {
        let told = told(&server, Reply { status, ..Reply::text(good.clone()) }).await;
        assert!(told.contains(&format!("{first} answers {status},")) && told.ends_with("writes it?"), "{told}");
    }
    assert_eq!(server.hits_at("/elsewhere"), 0, "no redirect is followed");
    server.stop().await;
    let error = discover(&issuer).await.unwrap_err();
    assert!(matches!(&error, DiscoveryError::Unreachable { url, .. } if *url == first), "{error}");
    assert!(error.to_string().contains("refused"), "the cause, not only the consequence: {error}");
    assert!(matches!(discover("http://idp.example").await.unwrap_err(), DiscoveryError::Issuer { .. }));
}

/// A guarded route that says who is there.
async fn served<V: TokenVerifier>(verifier: V) -> String {
    let guarded = Router::new().route("/mcp", get(async || "in")).layer(Guard::new(verifier));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, guarded).into_future());
    url
}

async fn ask(url: &str, token: Option<&str>) -> reqwest::Response {
    let request = reqwest::Client::new().get(url);
    token.iter().fold(request, |request, token| request.bearer_auth(token)).send().await.unwrap()
}

/// The tokens of [`Signer`] name this issuer, wherever its keys stand.
fn verifier(keys: &Arc<RemoteKeySet>) -> JwtVerifier {
    JwtVerifier::with_key_set(Arc::clone(keys), ISSUER, AUDIENCE)
}

#[tokio::test]
async fn the_server_is_there_before_its_provider() {
    let key = Signer::new();
    let mut server = KeyServer::down(Reply::status(404));
    let issuer = server.at("/realms/mcp");
    server.set_at(FORMS[2], metadata(&issuer, &server.url()));
    server.set_at("/certs", Reply::keys(&[&key]));
    let keys = RemoteKeySet::of_issuer(&issuer).unwrap().start();
    let before = keys.status();
    assert_eq!((before.reachable, before.age, keys.public_keys().keys().len()), (false, None, 0));
    let url = served(VerifiedTokens::new(verifier(&keys), 100)).await;

    let response = ask(&url, Some(&key.token())).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.headers().contains_key("www-authenticate"), "the token may be good: it must be kept");
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds));
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], 503);
    // Who has nothing is told where to get something, provider or not.
    assert_eq!(ask(&url, None).await.status(), StatusCode::UNAUTHORIZED);
    let status = keys.status();
    assert!(!status.reachable && status.problem.as_ref().unwrap().contains(FORMS[0]), "{status:?}");

    server.start();
    until("the provider is found", || keys.status().reachable).await;
    assert_eq!(ask(&url, Some(&key.token())).await.status(), StatusCode::OK);
    let status = keys.status();
    assert_eq!((keys.public_keys().keys().len(), &status.problem), (1, &None));
    assert!(status.age.unwrap() < key_server::PATIENCE);
}

#[tokio::test]
async fn the_keys_move() {
    let (old, new) = (Signer::new(), Signer::new());
    let (server, issuer) = provider(FORMS[0]).await;
    server.set_at("/certs", Reply::keys(&[&old]));
    let keys = RemoteKeySet::of_issuer(&issuer).unwrap().start();
    let verifier = verifier(&keys);
    accepted(&verifier, &old.token()).await;
    accepted(&verifier, &old.token()).await;
    assert_eq!(server.asked(), [FORMS[0], "/certs"]);
    // Gone without a word, and elsewhere: one question is enough to find them.
    server.set_at("/certs", Reply::status(404));
    server.set_at("/keys", Reply::keys(&[&new]));
    server.set_at(FORMS[0], metadata(&issuer, &server.at("/keys")));
    accepted(&verifier, &new.token()).await;
    assert_eq!(server.asked()[2..], ["/certs", FORMS[0], "/keys"]);
    // From then on they are fetched where they are, and a fault there is looked into at the next attempt.
    let newest = Signer::new();
    server.set_at("/keys", Reply::status(500));
    refused(&verifier, &newest.token(), TokenError::UnknownKey).await;
    let status = keys.status();
    assert!(!status.reachable && keys.public_keys().keys().len() == 1, "{status:?}");
    assert_eq!(
        status.problem.unwrap(),
        format!("{}: its status is 500 Internal Server Error, not 200", server.at("/keys"))
    );
    server.set_at(FORMS[0], metadata(&issuer, &server.url()));
    server.set_at("/certs", Reply::keys(&[&newest]));
    until_accepted(&verifier, &newest.token()).await;
}

/// What the metadata's issuer is there for: without the check these keys would be taken.
#[tokio::test]
async fn keys_of_another_issuer_are_an_outage() {
    let (key, evil) = (Signer::new(), Signer::new());
    let (server, issuer) = provider(FORMS[0]).await;
    server.set_at("/certs", Reply::keys(&[&key]));
    server.set_at("/evil", Reply::keys(&[&evil]));
    server.set_at(FORMS[0], metadata(&server.at("/realms/evil"), &server.at("/evil")));
    let keys = RemoteKeySet::of_issuer(&issuer).unwrap().start();
    let verifier = verifier(&keys);
    refused(&verifier, &evil.token(), TokenError::NoKeys).await;
    assert_eq!(server.hits_at("/evil"), 0);
    let problem = keys.status().problem.unwrap();
    assert!(problem.contains("it is of the issuer") && problem.contains("/realms/evil"), "{problem}");
    server.set_at(FORMS[0], metadata(&issuer, &server.url()));
    until_accepted(&verifier, &key.token()).await;
    // And one that turns later leaves the keys as they are.
    server.set_at("/certs", Reply::status(404));
    server.set_at(FORMS[0], metadata(&server.at("/realms/evil"), &server.at("/evil")));
    refused(&verifier, &evil.token(), TokenError::UnknownKey).await;
    accepted(&verifier, &key.token()).await;
    assert_eq!((keys.status().reachable, keys.public_keys().keys().len(), server.hits_at("/evil")), (false, 1, 0));
}

#[tokio::test]
async fn metadata_without_keys() {
    let server = KeyServer::up(Reply::status(404)).await;
    let issuer = server.at("/realms/mcp");
    server.set_at(FORMS[0], Reply::json(&json!({ "issuer": issuer })));
    let keys = RemoteKeySet::of_issuer(&issuer).unwrap().start();
    until("the first attempt", || keys.status().problem.is_some()).await;
    assert_eq!(keys.status().problem.unwrap(), "its metadata has no jwks_uri: it publishes no keys");
    for none in ["mcp", "http://idp.example", "https://idp.example/?realm=mcp", "https://a@idp.example"] {
        assert!(RemoteKeySet::of_issuer(none).is_err(), "{none}");
    }
}
