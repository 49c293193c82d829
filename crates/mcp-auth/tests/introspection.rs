//! [`Introspection`] with a real endpoint: good, lying, hanging, overrun, and at odds with us.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod key_server;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{Router, http::StatusCode, routing::get};
use base64::{Engine, prelude::BASE64_STANDARD};
use mcp_auth::{
    ClientAuthentication, ClientCredentials, Either, Guard, Introspection, IntrospectionBuilder, IntrospectionProblem,
    JwtVerifier, TokenError, TokenVerifier, VerifiedTokens,
};
use serde_json::{Value, json};

use self::key_server::{AUDIENCE, Content, KeyServer, PATIENCE, Reply, Signer, until};

const REALM: &str = "/realms/mcp";
const METADATA: &str = "/.well-known/oauth-authorization-server/realms/mcp";
const ENDPOINT: &str = "/introspect";
const TOKEN: &str = "/token";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An answer as Keycloak gives it.
fn active(issuer: &str) -> Value {
    json!({
        "active": true, "iss": issuer, "aud": ["echo-mcp-server", AUDIENCE], "sub": "alice", "exp": now() + 600,
        "iat": now(), "typ": "Bearer", "token_type": "Bearer", "azp": "agent", "client_id": "agent",
        "username": "alice", "preferred_username": "Alice", "scope": "mcp:read mcp:tools",
        "realm_access": { "roles": ["user"] },
    })
}

fn with(mut answer: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer
}

fn without(mut answer: Value, name: &str) -> Value {
    answer.as_object_mut().unwrap().remove(name);
    answer
}

fn metadata(server: &KeyServer) -> Value {
    json!({
        "issuer": server.at(REALM), "introspection_endpoint": server.at(ENDPOINT), "token_endpoint": server.at(TOKEN),
    })
}

/// A provider that says this of every token.
async fn provider(reply: Reply) -> KeyServer {
    let server = KeyServer::up(Reply::status(404)).await;
    server.set_at(METADATA, Reply::json(&metadata(&server)));
    server.set_at(ENDPOINT, reply);
    server
}

async fn good_provider() -> KeyServer {
    let server = provider(Reply::status(500)).await;
    server.set_at(ENDPOINT, Reply::json(&active(&server.at(REALM))));
    server
}

fn builder(server: &KeyServer) -> IntrospectionBuilder {
    let client = ClientCredentials::new("echo-mcp-server", "SECRET");
    Introspection::builder(&server.at(REALM), AUDIENCE, client).unwrap().timeout(PATIENCE)
}

/// With nothing remembered: every question is asked.
fn forgetful(server: &KeyServer) -> Introspection {
    builder(server).remember_for(Duration::ZERO).start()
}

async fn said(introspection: &Introspection, token: &str) -> Result<String, TokenError> {
    let answer = tokio::time::timeout(PATIENCE * 2, introspection.verify(token)).await.expect("it waits for ever");
    answer.map(|token| token.subject.to_string())
}

#[tokio::test]
async fn what_a_good_answer_says() {
    let server = good_provider().await;
    let issuer = server.at(REALM);
    server.set_at(ENDPOINT, Reply::json(&with(active(&issuer), json!({ "tools": ["echo"] }))));
    let introspection = forgetful(&server);
    let token = introspection.verify("a.b~c+d/e==").await.unwrap();
    assert_eq!((&*token.issuer, &*token.subject, token.client_id.as_deref()), (&*issuer, "alice", Some("agent")));
    assert_eq!((token.username.as_deref(), token.kid.as_deref()), (Some("Alice"), None));
    assert_eq!((&*token.scopes, &*token.roles), (&["mcp:read".into(), "mcp:tools".into()][..], &["user".into()][..]));
    assert_eq!(token.tools.as_deref(), Some(&["echo".to_owned()][..]));
    assert!(token.expires_at > now());
    // How it was asked.
    let headers = server.seen();
    assert_eq!(
        (&headers["accept"], &headers["content-type"]),
        (&"application/json".parse().unwrap(), &"application/x-www-form-urlencoded".parse().unwrap())
    );
    let basic = format!("Basic {}", BASE64_STANDARD.encode("echo-mcp-server:SECRET"));
    assert_eq!(headers["authorization"], *basic);
    assert_eq!(server.seen_body(), "token=a.b%7Ec%2Bd%2Fe%3D%3D&token_type_hint=access_token");
    assert!(!format!("{introspection:?}").contains("SECRET"));
    let status = introspection.status();
    assert!(status.reachable && status.age.is_some() && status.problem.is_none(), "{status:?}");
}

#[tokio::test]
async fn answers_that_are_good_too() {
    let server = good_provider().await;
    let introspection = forgetful(&server);
    let base = active(&server.at(REALM));
    for (why, answer) in [
        ("aud a string", with(base.clone(), json!({ "aud": AUDIENCE }))),
        ("another spelling", with(base.clone(), json!({ "aud": "http://127.0.0.1:9000/mcp/" }))),
        // RFC 7662 §2.2: optional, and nobody else was asked.
        ("no iss", without(base.clone(), "iss")),
        ("no kind", without(without(base.clone(), "typ"), "token_type")),
        ("bearer", with(base.clone(), json!({ "token_type": "bearer" }))),
        ("as Hydra says it", with(base.clone(), json!({ "token_use": "access_token" }))),
        ("expired within the leeway", with(base.clone(), json!({ "exp": now() - 5 }))),
    ] {
        server.set_at(ENDPOINT, Reply::json(&answer));
        assert_eq!(said(&introspection, "token").await.as_deref(), Ok("alice"), "{why}");
    }
    let plain = without(base, "preferred_username");
    server.set_at(ENDPOINT, Reply::json(&plain).header("x", "y"));
    assert_eq!(introspection.verify("token").await.unwrap().username.as_deref(), Some("alice"));
}

#[tokio::test]
async fn tokens_that_are_refused() {
    let server = good_provider().await;
    let introspection = forgetful(&server);
    let base = active(&server.at(REALM));
    let but = |changes: Value| with(base.clone(), changes);
    for (answer, reason) in [
        (json!({ "active": false }), TokenError::Inactive),
        (but(json!({ "active": false })), TokenError::Inactive),
        (but(json!({ "aud": "http://localhost:9001/mcp" })), TokenError::Audience),
        (but(json!({ "aud": ["account", "http://localhost:9000/mcp.evil.example"] })), TokenError::Audience),
        (but(json!({ "aud": [] })), TokenError::Audience),
        (without(base.clone(), "aud"), TokenError::Audience),
        (but(json!({ "aud": null })), TokenError::Claim("aud")),
        (but(json!({ "aud": [AUDIENCE, 1] })), TokenError::Claim("aud")),
        (but(json!({ "aud": { "0": AUDIENCE } })), TokenError::Claim("aud")),
        (but(json!({ "iss": server.at("/realms/evil") })), TokenError::Issuer),
        (but(json!({ "iss": format!("{}/", server.at(REALM)) })), TokenError::Issuer),
        (but(json!({ "iss": null })), TokenError::Claim("iss")),
        (but(json!({ "iss": "" })), TokenError::Claim("iss")),
        (but(json!({ "exp": now() - 60 })), TokenError::Expired),
        (but(json!({ "exp": 0 })), TokenError::Expired),
        (but(json!({ "exp": (now() + 600).to_string() })), TokenError::Claim("exp")),
        (but(json!({ "exp": (now() + 600) * 1000 })), TokenError::Claim("exp")),
        (without(base.clone(), "exp"), TokenError::Claim("exp")),
        (but(json!({ "nbf": now() + 60 })), TokenError::NotYetValid),
        (but(json!({ "iat": now() + 60 })), TokenError::NotYetValid),
        (but(json!({ "token_type": "DPoP" })), TokenError::NotAnAccessToken),
        (but(json!({ "token_type": "N_A" })), TokenError::NotAnAccessToken),
        (but(json!({ "token_type": ["Bearer"] })), TokenError::NotAnAccessToken),
        (but(json!({ "typ": "Refresh" })), TokenError::NotAnAccessToken),
        (but(json!({ "typ": "ID" })), TokenError::NotAnAccessToken),
        (but(json!({ "token_use": "refresh_token" })), TokenError::NotAnAccessToken),
        (but(json!({ "at_hash": "x" })), TokenError::NotAnAccessToken),
        (without(base.clone(), "sub"), TokenError::Claim("sub")),
        (but(json!({ "sub": 1 })), TokenError::Claim("sub")),
        (but(json!({ "scope": ["mcp:tools"] })), TokenError::Claim("scope")),
        (but(json!({ "tools": "echo" })), TokenError::Claim("tools")),
    ] {
        server.set_at(ENDPOINT, Reply::json(&answer));
        assert_eq!(said(&introspection, "token").await, Err(reason), "{answer}");
        assert!(introspection.status().reachable, "the endpoint has done its part");
    }
    let before = server.hits_at(ENDPOINT);
    for none in ["", "a b", "a\nb", "a\"b", "tokén", "a:b", "a&b=c", &"x".repeat(16 * 1024 + 1)] {
        assert!(matches!(said(&introspection, none).await, Err(TokenError::Malformed(_))), "{none:.20}");
    }
    assert_eq!(server.hits_at(ENDPOINT), before, "nothing is sent that cannot be a token");
}

/// None of it says anything about the token: never accepted, and never refused for good.
#[tokio::test]
async fn an_endpoint_that_says_nothing() {
    let server = good_provider().await;
    let introspection = forgetful(&server);
    let good = active(&server.at(REALM));
    server.set_at("/elsewhere", Reply::json(&good));
    let elsewhere = server.at("/elsewhere");
    let text = good.to_string();
    let json = |text: String| Reply::text(text).header("content-type", "application/json");
    let status = |status| Reply { status, ..Reply::json(&good) };
    let mut replies = vec![
        ("active a string", Reply::json(&with(good.clone(), json!({ "active": "true" })))),
        ("active a number", Reply::json(&with(good.clone(), json!({ "active": 1 })))),
        ("active null", Reply::json(&with(good.clone(), json!({ "active": null })))),
        ("active in a list", Reply::json(&with(good.clone(), json!({ "active": [true] })))),
        ("no active", Reply::json(&without(good.clone(), "active"))),
        ("active twice", json(text.replacen('{', r#"{"active":false,"#, 1))),
        ("exp twice", json(text.replacen('{', r#"{"exp":99999999999,"#, 1))),
        ("a list", json(format!("[{text}]"))),
        ("two", json(format!("{text}{text}"))),
        ("truncated", json(text[..text.len() - 3].to_owned())),
        ("nothing", json(String::new())),
        ("HTML", Reply::text("<!doctype html>").header("content-type", "text/html")),
        ("JSON as HTML", Reply::text(text.clone()).header("content-type", "text/html")),
        ("JSON as a JWT", Reply::text(text.clone()).header("content-type", "application/token-introspection+jwt")),
        ("JSON without a type", Reply::text(text.clone())),
        (
            "not UTF-8",
            Reply::text(b"{\"active\":true,\"x\":\"\xff\"}".to_vec()).header("content-type", "application/json"),
        ),
        ("600 KB", json(format!("{}{text}", " ".repeat(600_000)))),
        ("endless", Reply { body: Content::Endless, ..Reply::json(&good) }),
        ("cut off", Reply::json(&good).header("content-length", "100000")),
    ];
    replies.extend([201, 204, 400, 401, 403, 404, 429, 500, 502, 503].map(|code| ("status", status(code))));
    replies.extend([301, 302, 303, 307, 308].map(|code| ("redirect", status(code).header("location", &*elsewhere))));
    for (why, reply) in replies {
        server.set_at(ENDPOINT, reply);
        assert_eq!(said(&introspection, "token").await, Err(TokenError::Unavailable), "{why}");
        let status = introspection.status();
        assert!(!status.reachable && status.problem.is_some(), "{why}: {status:?}");
        // What ends it is its size, not our patience.
        assert_eq!(why == "endless" || why == "600 KB", status.problem.unwrap().contains("larger than"), "{why}");
    }
    assert_eq!(server.hits_at("/elsewhere"), 0, "no redirect is followed: not with a token and a secret");
    server.set_at(ENDPOINT, Reply::json(&good));
    assert_eq!(said(&introspection, "token").await.as_deref(), Ok("alice"));
}

/// A guarded route that says who is there.
async fn served<V: TokenVerifier>(verifier: V) -> String {
    let guarded = Router::new().route("/mcp", get(async || "in")).layer(Guard::new(verifier));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, guarded).into_future());
    url
}

async fn ask(client: &reqwest::Client, url: &str, token: &str) -> reqwest::Response {
    client.get(url).bearer_auth(token).send().await.unwrap()
}

#[tokio::test]
async fn the_guard_tells_an_outage_from_a_bad_token() {
    let mut server = KeyServer::down(Reply::status(404));
    server.set_at(METADATA, Reply::json(&metadata(&server)));
    server.set_at(ENDPOINT, Reply::json(&active(&server.at(REALM))));
    let introspection = forgetful(&server);
    let url = served(introspection.clone()).await;
    let client = reqwest::Client::new();
    let response = ask(&client, &url, "token").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after") && !response.headers().contains_key("www-authenticate"));
    let problem = introspection.status().problem.unwrap();
    assert!(problem.contains(METADATA) && problem.contains("refused"), "{problem}");
    let error = introspection.check().await.unwrap_err();
    assert!(matches!(error, IntrospectionProblem::Discovery(_)), "{error}");
    // The provider comes, and nobody has to do anything.
    server.start();
    until("the endpoint is found", || introspection.status().reachable).await;
    assert_eq!(ask(&client, &url, "token").await.status(), StatusCode::OK);
    server.set_at(ENDPOINT, Reply::json(&json!({ "active": false })));
    let response = ask(&client, &url, "token").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\", error_description=\"the token has expired, was revoked, or was never issued\""
    );
    // It goes again, and what was good a moment ago is not known to be good now.
    server.set_at(ENDPOINT, Reply::json(&active(&server.at(REALM))));
    assert_eq!(ask(&client, &url, "token").await.status(), StatusCode::OK);
    server.stop().await;
    assert_eq!(ask(&client, &url, "token").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_hanging_endpoint() {
    let server = good_provider().await;
    let (reply, gate) = Reply::json(&active(&server.at(REALM))).held();
    server.set_at(ENDPOINT, reply);
    let introspection = builder(&server).timeout(Duration::from_millis(300)).start();
    let begun = Instant::now();
    assert_eq!(said(&introspection, "token").await, Err(TokenError::Unavailable));
    assert!(begun.elapsed() < PATIENCE);
    let problem = introspection.status().problem.unwrap();
    assert!(problem.ends_with("it took longer than 300 ms"), "{problem}");
    assert!(introspection.check().await.unwrap_err().to_string().contains("longer than 300 ms"));
    gate.add_permits(100);
    until_good(&introspection, "token").await;
}

async fn until_good(introspection: &Introspection, token: &str) {
    let begun = Instant::now();
    while let Err(error) = said(introspection, token).await {
        assert!(begun.elapsed() < PATIENCE, "refused for ever: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_a_second_ago() {
    let server = good_provider().await;
    // As it comes, and with a cache around it that would keep a signed token until it expires.
    let plain = builder(&server).start();
    let cached = VerifiedTokens::new(builder(&server).start(), 100);
    assert!(plain.verify("token").await.is_ok() && cached.verify("token").await.is_ok());
    server.set_at(ENDPOINT, Reply::json(&json!({ "active": false })));
    tokio::time::sleep(Duration::from_millis(1001)).await;
    assert_eq!(plain.remembered("token"), None);
    assert_eq!(plain.verify("token").await, Err(TokenError::Inactive));
    assert_eq!(cached.remembered("token"), None);
    assert_eq!(cached.verify("token").await, Err(TokenError::Inactive));
    // Refusals are not remembered.
    server.set_at(ENDPOINT, Reply::json(&active(&server.at(REALM))));
    assert!(plain.verify("token").await.is_ok());
}

#[tokio::test]
async fn never_past_exp() {
    let server = good_provider().await;
    let exp = now() + 2;
    server.set_at(ENDPOINT, Reply::json(&with(active(&server.at(REALM)), json!({ "exp": exp }))));
    let introspection = builder(&server).remember_for(Duration::from_secs(60)).start();
    assert!(introspection.verify("token").await.is_ok());
    until("it expires", || now() > exp).await;
    assert_eq!(introspection.remembered("token"), None);
    // Even though the leeway lets the issuer's word pass.
    assert!(introspection.verify("token").await.is_ok());
    assert_eq!(server.hits_at(ENDPOINT), 2);
}

#[tokio::test]
async fn many_requests_with_one_token_make_few_questions() {
    let server = good_provider().await;
    let url = served(builder(&server).start()).await;
    let client = reqwest::Client::new();
    let begun = Instant::now();
    let mut requests = 0;
    while begun.elapsed() < Duration::from_millis(2500) {
        assert_eq!(ask(&client, &url, "token").await.status(), StatusCode::OK);
        requests += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One when each second of cache ends, and the first.
    let most = begun.elapsed().as_secs() as usize + 1;
    let questions = server.hits_at(ENDPOINT);
    assert!(questions <= most && requests > 5 * most, "{questions} questions for {requests} requests");
    // What it would be without.
    let url = served(forgetful(&server)).await;
    for _ in 0..20 {
        ask(&client, &url, "token").await;
    }
    assert_eq!(server.hits_at(ENDPOINT), questions + 20);
}

#[tokio::test]
async fn one_question_for_those_who_come_at_once() {
    let server = good_provider().await;
    for (reply, expected) in [
        (Reply::json(&active(&server.at(REALM))), Ok("alice".to_owned())),
        (Reply::json(&json!({ "active": false })), Err(TokenError::Inactive)),
        (Reply::status(500), Err(TokenError::Unavailable)),
    ] {
        let introspection = builder(&server).remember_for(Duration::from_secs(60)).start();
        let (reply, gate) = reply.held();
        server.set_at(ENDPOINT, reply);
        let before = server.hits_at(ENDPOINT);
        let requests: Vec<_> = (0..100)
            .map(|_| {
                let introspection = introspection.clone();
                tokio::spawn(async move { said(&introspection, "token").await })
            })
            .collect();
        until("it is asked", || server.hits_at(ENDPOINT) > before).await;
        // All of them have come by now: they were spawned before the question was sent.
        tokio::task::yield_now().await;
        gate.add_permits(100);
        for request in requests {
            assert_eq!(request.await.unwrap(), expected);
        }
        assert_eq!(server.hits_at(ENDPOINT), before + 1);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_takes_nothing_with_it() {
    let server = good_provider().await;
    let introspection = builder(&server).remember_for(Duration::from_secs(60)).start();
    let (reply, gate) = Reply::json(&active(&server.at(REALM))).held();
    server.set_at(ENDPOINT, reply);
    let request = |introspection: &Introspection| {
        let introspection = introspection.clone();
        tokio::spawn(async move { said(&introspection, "token").await })
    };
    let first = request(&introspection);
    until("it is asked", || server.hits_at(ENDPOINT) == 1).await;
    let second = request(&introspection);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    assert_eq!(second.await.unwrap().as_deref(), Ok("alice"));
    assert_eq!(server.hits_at(ENDPOINT), 1);
    // Nobody is left at all, and the answer is there for the next.
    let third = tokio::spawn({
        let introspection = introspection.clone();
        async move { said(&introspection, "another").await }
    });
    until("it is asked", || server.hits_at(ENDPOINT) == 2).await;
    third.abort();
    gate.add_permits(1);
    assert_eq!(said(&introspection, "another").await.as_deref(), Ok("alice"));
    assert_eq!(server.hits_at(ENDPOINT), 2);
}

/// Anybody can make up tokens. What it costs the issuer is bounded, and so is what it costs us.
#[tokio::test]
async fn a_flood_of_tokens() {
    let server = good_provider().await;
    let introspection = builder(&server).start();
    assert!(introspection.verify("known").await.is_ok());
    let (reply, gate) = Reply::json(&json!({ "active": false })).held();
    server.set_at(ENDPOINT, reply);
    let flood: Vec<_> = (0..400)
        .map(|n| {
            let introspection = introspection.clone();
            tokio::spawn(async move { said(&introspection, &format!("made-up-{n}")).await })
        })
        .collect();
    // Three quarters of what there may be: none of these tokens was ever good.
    until("as many questions as there may be", || server.hits_at(ENDPOINT) == 1 + 24).await;
    // Those for whom there is no room are told so at once.
    let overrun = || flood.iter().filter(|request| request.is_finished()).count();
    until("those without room", || overrun() == 400 - 192).await;
    gate.add_permits(1000);
    let mut told = [0, 0];
    for request in flood {
        match request.await.unwrap() {
            Err(TokenError::Inactive) => told[0] += 1,
            Err(TokenError::Unavailable) => told[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, [192, 400 - 192]);
    assert!(server.most_at_once() <= 24, "{}", server.most_at_once());
    assert!(introspection.status().reachable, "being overrun is no fault of the endpoint");
    server.set_at(ENDPOINT, Reply::json(&active(&server.at(REALM))));
    assert_eq!(said(&introspection, "token").await.as_deref(), Ok("alice"));
}

/// Whoever makes up tokens shuts out others of whom nothing is known, and not those who work here.
#[tokio::test]
async fn a_flood_leaves_room_for_tokens_that_were_good() {
    let server = good_provider().await;
    let good = Reply::json(&active(&server.at(REALM)));
    let introspection = forgetful(&server);
    assert!(introspection.verify("alices").await.is_ok());
    assert!(introspection.verify("bobs").await.is_ok());
    let (reply, gate) = Reply::json(&json!({ "active": false })).held();
    server.set_at(ENDPOINT, reply);
    let flood: Vec<_> = (0..400)
        .map(|n| {
            let introspection = introspection.clone();
            tokio::spawn(async move { said(&introspection, &format!("made-up-{n}")).await })
        })
        .collect();
    let turned_away = |flood: &[tokio::task::JoinHandle<_>]| flood.iter().filter(|one| one.is_finished()).count();
    until("there is no room", || turned_away(&flood) >= 400 - 256 && server.hits_at(ENDPOINT) >= 2 + 24).await;
    // What is under way stays so; the next question would be answered at once.
    server.set_at(ENDPOINT, good.clone());
    assert_eq!(said(&introspection, "unseen").await, Err(TokenError::Unavailable));
    for _ in 0..20 {
        assert_eq!(said(&introspection, "alices").await.as_deref(), Ok("alice"));
    }
    // That it was good gets a token asked about, and does not answer for it.
    server.set_at(ENDPOINT, Reply::json(&json!({ "active": false })));
    assert_eq!(said(&introspection, "bobs").await, Err(TokenError::Inactive));
    server.set_at(ENDPOINT, good);
    assert_eq!(said(&introspection, "bobs").await, Err(TokenError::Unavailable), "it is one of many from then on");
    // An overrun is over when it is over.
    gate.add_permits(1000);
    for request in flood {
        let _ = request.await.unwrap();
    }
    assert_eq!(said(&introspection, "bobs").await.as_deref(), Ok("alice"));
}

#[tokio::test]
async fn the_endpoint_moves() {
    let server = good_provider().await;
    let introspection = forgetful(&server);
    assert!(introspection.verify("token").await.is_ok());
    server.set_at(ENDPOINT, Reply::status(404));
    server.set_at("/new", Reply::json(&active(&server.at(REALM))));
    server.set_at(
        METADATA,
        Reply::json(&with(metadata(&server), json!({ "introspection_endpoint": server.at("/new") }))),
    );
    assert_eq!(said(&introspection, "token").await, Err(TokenError::Unavailable));
    until_good(&introspection, "token").await;
}

/// Its host is gone, or another is there that knows nothing of us: the metadata says where it is now.
#[tokio::test]
async fn the_endpoint_is_sought_when_its_host_is_gone() {
    for gone in ["refused", "hangs", "500", "502", "401", "a page"] {
        let server = good_provider().await;
        let good = Reply::json(&active(&server.at(REALM)));
        let mut old = KeyServer::up(good.clone()).await;
        let at = |url: String| Reply::json(&with(metadata(&server), json!({ "introspection_endpoint": url })));
        server.set_at(METADATA, at(old.at(ENDPOINT)));
        let introspection = builder(&server).timeout(Duration::from_secs(1)).remember_for(Duration::ZERO).start();
        assert_eq!(said(&introspection, "token").await.as_deref(), Ok("alice"));
        server.set_at(METADATA, at(server.at(ENDPOINT)));
        match gone {
            "refused" => old.stop().await,
            "hangs" => old.set(good.held().0),
            "a page" => old.set(Reply::text("<html>").header("content-type", "text/html")),
            status => old.set(Reply::status(status.parse().unwrap())),
        }
        assert_eq!(said(&introspection, "token").await, Err(TokenError::Unavailable), "{gone}");
        until_good(&introspection, "token").await;
    }
}

#[tokio::test]
async fn a_search_in_vain_changes_nothing() {
    let server = good_provider().await;
    let introspection = forgetful(&server);
    assert!(introspection.verify("token").await.is_ok());
    for metadata in [Reply::json(&metadata(&server)), Reply::status(404)] {
        server.set_at(METADATA, metadata);
        server.set_at(ENDPOINT, Reply::status(500));
        let (begun, before) = (Instant::now(), server.hits_at(METADATA));
        while server.hits_at(METADATA) < before + 2 {
            assert_eq!(said(&introspection, "token").await, Err(TokenError::Unavailable));
            // What its metadata says is not what it says about tokens.
            let status = introspection.status();
            assert!(!status.reachable && status.problem.unwrap().contains("its status is 500"));
            assert!(begun.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(950), "a second apart: {:?}", begun.elapsed());
        server.set_at(ENDPOINT, Reply::json(&active(&server.at(REALM))));
        until_good(&introspection, "token").await;
    }
    // One that was given is where it was given.
    let server = good_provider().await;
    let given = builder(&server).endpoint(&server.at(ENDPOINT)).unwrap().remember_for(Duration::ZERO).start();
    server.set_at(ENDPOINT, Reply::status(500));
    for _ in 0..3 {
        assert_eq!(said(&given, "token").await, Err(TokenError::Unavailable));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.hits_at(METADATA), 0);
}

#[tokio::test]
async fn how_the_client_says_who_it_is() {
    let server = good_provider().await;
    let asked_with = async |changes: Value, builder: IntrospectionBuilder| {
        server.set_at(METADATA, Reply::json(&with(metadata(&server), changes)));
        builder.start().verify("token").await.unwrap();
        (server.seen().contains_key("authorization"), server.seen_body().contains("&client_secret=SECRET"))
    };
    let (basic, post) = ((true, false), (false, true));
    let (of_introspection, of_token) =
        ("introspection_endpoint_auth_methods_supported", "token_endpoint_auth_methods_supported");
    for (changes, expected) in [
        (json!({}), basic),
        (json!({ of_introspection: ["client_secret_post"] }), post),
        (json!({ of_introspection: ["client_secret_post"], of_token: ["client_secret_basic"] }), post),
        (json!({ of_token: ["client_secret_post", "none"] }), post),
        (json!({ of_introspection: ["private_key_jwt"] }), basic),
        (json!({ of_introspection: ["client_secret_post", "client_secret_basic"] }), basic),
    ] {
        assert_eq!(asked_with(changes.clone(), builder(&server)).await, expected, "{changes}");
    }
    let set = builder(&server).authentication(ClientAuthentication::Post);
    assert_eq!(asked_with(json!({ of_introspection: ["client_secret_basic"] }), set).await, post);
    // An endpoint that is given needs no metadata.
    let before = server.hits_at(METADATA);
    let given = builder(&server).endpoint(&server.at(ENDPOINT)).unwrap();
    assert_eq!(asked_with(json!({}), given).await, basic);
    assert_eq!(server.hits_at(METADATA), before);
    for none in ["http://idp.example/introspect", "/introspect", "https://a:b@idp.example/"] {
        assert!(builder(&server).endpoint(none).is_err(), "{none}");
    }
    assert!(Introspection::builder("http://idp.example", AUDIENCE, ClientCredentials::new("a", "b")).is_err());
}

/// Keycloak 26.7's word for a token whose header has no `alg`. A stranger must not have the provider taken for down.
#[tokio::test]
async fn a_token_that_the_endpoint_cannot_read() {
    let refusal = Reply { status: 400, ..Reply::json(&json!({ "error": "invalid_request" })) };
    let server = provider(refusal.clone()).await;
    let introspection = forgetful(&server);
    // As long as it has never understood us, it may be the question that it cannot read.
    assert_eq!(said(&introspection, "e30.e30.e30").await, Err(TokenError::Unavailable));
    let status = introspection.status();
    assert!(!status.reachable && status.problem.unwrap().contains("400, invalid_request"));
    server.set_at(ENDPOINT, Reply::json(&json!({ "active": false })));
    assert_eq!(said(&introspection, "token").await, Err(TokenError::Inactive));
    server.set_at(ENDPOINT, refusal);
    assert_eq!(said(&introspection, "e30.e30.e30").await, Err(TokenError::Inactive));
    assert!(introspection.status().reachable);
}

#[tokio::test]
async fn what_the_start_up_check_tells() {
    let server = provider(Reply::json(&json!({ "active": false }))).await;
    let introspection = forgetful(&server);
    introspection.check().await.unwrap();
    let told = async |reply: Reply| {
        server.set_at(ENDPOINT, reply);
        introspection.check().await.unwrap_err()
    };
    for reply in [
        Reply { status: 401, ..Reply::json(&json!({ "error": "invalid_request" })) },
        Reply { status: 400, ..Reply::json(&json!({ "error": "invalid_client" })) },
    ] {
        let error = told(reply).await;
        assert!(matches!(&error, IntrospectionProblem::ClientRefused { client, .. } if client == "echo-mcp-server"));
        let told = error.to_string();
        assert!(
            told.starts_with("the client secret of \"echo-mcp-server\" is wrong") && !told.contains("SECRET"),
            "{told}"
        );
        // For callers it is no reason to throw their tokens away.
        assert_eq!(said(&introspection, "token").await, Err(TokenError::Unavailable));
        assert!(introspection.status().problem.unwrap().contains("the client secret of \"echo-mcp-server\""));
    }
    assert!(matches!(told(Reply::json(&active(&server.at(REALM)))).await, IntrospectionProblem::BelievesAnything));
    for (reply, expected) in [
        (Reply::status(500), "its status is 500"),
        (Reply::text("<html>").header("content-type", "text/html"), "is not application/json"),
        (Reply { status: 400, ..Reply::json(&json!({ "error": "invalid_request" })) }, "its status is 400"),
    ] {
        let told = told(reply).await.to_string();
        assert!(told.contains(&server.at(ENDPOINT)) && told.contains(expected), "{told}");
    }
    server.set_at(METADATA, Reply::json(&without(metadata(&server), "introspection_endpoint")));
    let error = forgetful(&server).check().await.unwrap_err();
    assert!(matches!(error, IntrospectionProblem::NotOffered { .. }), "{error}");
}

#[tokio::test]
async fn what_the_self_test_tells() {
    let server = good_provider().await;
    let issuer = server.at(REALM);
    /// An endpoint that knows one token.
    fn knows(answer: Value) -> Reply {
        Reply::of(move |form| if form.contains("token=real&") { answer.clone() } else { json!({ "active": false }) })
    }
    let granted = Reply::json(&json!({ "access_token": "real", "token_type": "Bearer" }));
    let refused = |status, error: &str| Reply { status, ..Reply::json(&json!({ "error": error })) };
    let test = async |answer: &Value, grant: &Reply| {
        server.set_at(ENDPOINT, knows(answer.clone()));
        server.set_at(TOKEN, grant.clone());
        forgetful(&server).self_test(Some("mcp:tools")).await
    };
    let good = active(&issuer);
    test(&good, &granted).await.unwrap();
    test(&good, &Reply::json(&json!({ "access_token": "real", "scope": "profile mcp:tools" }))).await.unwrap();
    assert_eq!(server.hits_at(TOKEN), 2);

    let told = test(&json!({ "active": false }), &granted).await.unwrap_err();
    assert!(matches!(told, IntrospectionProblem::NotInAudience { .. }));
    for part in ["scope mcp:tools", "Included Client Audience", "= echo-mcp-server"] {
        assert!(told.to_string().contains(part), "{told}");
    }
    let told = test(&with(good.clone(), json!({ "aud": ["account", "echo-mcp-server"] })), &granted).await.unwrap_err();
    assert!(matches!(told, IntrospectionProblem::NotForResource { .. }));
    for part in ["scope mcp:tools", "Included Custom Audience", AUDIENCE] {
        assert!(told.to_string().contains(part), "{told}");
    }
    let told = test(&without(good.clone(), "sub"), &granted).await.unwrap_err();
    assert!(matches!(told, IntrospectionProblem::Refused(TokenError::Claim("sub"))), "{told}");
    for (grant, part) in [
        // Keycloak says 401 when "Service accounts roles" is off.
        (refused(401, "unauthorized_client"), "Service accounts roles"),
        (refused(400, "unsupported_grant_type"), "Service accounts roles"),
        (refused(400, "invalid_scope"), "400 Bad Request \"invalid_scope\""),
        (Reply::status(500), "500"),
        (Reply::json(&json!({})), "no access_token"),
        // Keycloak leaves out what the client does not have, and a token without it is for nobody.
        (Reply::json(&json!({ "access_token": "real", "scope": "profile mcp:toolsx" })), "with the scope mcp:tools"),
        (Reply::status(302).header("location", server.at(ENDPOINT)), "302"),
    ] {
        let told = test(&good, &grant).await.unwrap_err();
        assert!(matches!(told, IntrospectionProblem::NotChecked { .. }), "{told}");
        assert!(told.to_string().contains(part) && !told.to_string().contains("SECRET"), "{told}");
    }
    // The first part decides first.
    server.set_at(ENDPOINT, Reply::status(401));
    let told = forgetful(&server).self_test(None).await.unwrap_err();
    assert!(matches!(told, IntrospectionProblem::ClientRefused { .. }), "{told}");
    assert!(told.to_string().contains("echo-mcp-server"));
}

#[tokio::test]
async fn chosen_when_the_server_starts() {
    type Chosen = Either<JwtVerifier, Introspection>;
    let server = good_provider().await;
    let key = Signer::new();
    server.set(Reply::keys(&[&key]));
    let keys = server.key_set();
    until("the keys", || keys.status().reachable).await;
    let signed: Chosen = Either::Left(key_server::verifier(Arc::clone(&keys)));
    let asked: Chosen = Either::Right(builder(&server).start());
    assert!(signed.verify(&key.token()).await.is_ok());
    assert!(matches!(signed.verify("opaque").await, Err(TokenError::Malformed(_))));
    assert_eq!(signed.epoch(), signed.epoch());
    assert!(asked.verify("opaque").await.is_ok() && asked.remembered("opaque").is_some());
    assert!(signed.remembered("opaque").is_none() && asked.epoch() != asked.epoch());
    // What a health endpoint sees of either, through whatever is around it.
    let held = Arc::new(VerifiedTokens::new(signed, 1));
    assert!(held.provider().unwrap().reachable && asked.provider().unwrap().reachable);
    server.set_at(METADATA, Reply::status(500));
    server.set_at(ENDPOINT, Reply::status(500));
    assert!(asked.verify("another").await.is_err() && !asked.provider().unwrap().reachable);
}
