//! What must not work: each attack with the refusal it gets. What the state machine alone would let through is in
//! `state_machine.rs`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{net::IpAddr, sync::Arc, time::Duration};

use common::{Answer, Browser, CALLBACK, CHALLENGE, Page, Server, client};
use mcp_auth::keys::{Algorithm, SigningKey};
use reqwest::{
    Client, StatusCode,
    header::{
        CONTENT_SECURITY_POLICY, HOST, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde_json::{Value, json};

/// A page that says no, and sends the browser nowhere.
fn stays(page: &Page, status: u16) {
    assert_eq!(page.status.as_u16(), status, "{}", page.html);
    assert!(page.headers.get(LOCATION).is_none(), "{:?}", page.headers);
    assert!(!page.html.contains("<form"), "{}", page.html);
}

#[tokio::test]
async fn a_code_is_good_once_and_a_second_time_ends_what_came_of_the_first() {
    let server = Server::start().await;
    let client = server.native_client().await;
    let code = Browser::new().code(&server.ask(&client, &[("scope", "mcp:read offline_access")]), "alice").await;
    let first = server.redeem(&client, &code, &[]).await;
    assert_eq!(server.introspect(first.text("access_token")).await["active"], json!(true));
    let again = server.redeem(&client, &code, &[]).await;
    assert_eq!(again.error(), (400, "invalid_grant"));
    assert_eq!(server.introspect(first.text("access_token")).await, json!({ "active": false }));
    let form =
        [("grant_type", "refresh_token"), ("client_id", &*client), ("refresh_token", first.text("refresh_token"))];
    assert_eq!(server.token(&form).await.error(), (400, "invalid_grant"));

    // Nor without a refresh token to find the others by.
    let code = Browser::new().code(&server.ask(&client, &[]), "alice").await;
    let first = server.redeem(&client, &code, &[]).await;
    assert_eq!(server.redeem(&client, &code, &[]).await.error(), (400, "invalid_grant"));
    assert_eq!(server.introspect(first.text("access_token")).await, json!({ "active": false }));
}

#[tokio::test]
async fn fifty_at_once_with_one_code_get_one_token() {
    let server = Arc::new(Server::start().await);
    let client = server.native_client().await;
    let code = Browser::new().code(&server.ask(&client, &[]), "alice").await;
    let tries = (0..50).map(|_| {
        let (server, client, code) = (Arc::clone(&server), client.clone(), code.clone());
        tokio::spawn(async move { server.redeem(&client, &code, &[]).await })
    });
    let mut good = Vec::new();
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == StatusCode::OK {
            good.push(answer.text("access_token").to_owned());
        }
    }
    assert!(good.len() <= 1, "{}", good.len());
    for token in good {
        assert_eq!(server.introspect(&token).await, json!({ "active": false }), "and a race for a code ends it");
    }
}

#[tokio::test]
async fn a_code_is_for_its_client_its_verifier_and_its_redirect_uri() {
    let server = Server::start().await;
    let (mine, theirs) = (server.native_client().await, server.native_client().await);
    let code = Browser::new().code(&server.ask(&mine, &[]), "alice").await;
    assert_eq!(server.redeem(&theirs, &code, &[]).await.error(), (400, "invalid_grant"));
    for (name, value) in [
        ("code_verifier", ""),
        ("code_verifier", "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"),
        // What a server that knew `plain` would take.
        ("code_verifier", CHALLENGE),
        ("redirect_uri", ""),
        ("redirect_uri", "http://127.0.0.1:53212/callback"),
        ("code", "0000000000000000000000000000000000000000000000000000000000000000"),
    ] {
        assert_eq!(server.redeem(&mine, &code, &[(name, value)]).await.error().0, 400, "{name}={value}");
    }
    assert_eq!(server.redeem(&mine, &code, &[]).await.status, StatusCode::OK, "and none of it cost the owner his code");
}

#[tokio::test]
async fn pkce_is_s256_and_nothing_else() {
    let server = Server::start().await;
    let client = server.native_client().await;
    for change in [
        vec![("code_challenge", ""), ("code_challenge_method", "")],
        vec![("code_challenge", "")],
        vec![("code_challenge_method", "")],
        vec![("code_challenge_method", "plain")],
        vec![("code_challenge", "short")],
    ] {
        let page = Browser::new().get(&server.ask(&client, &change)).await;
        let answer = page.answer();
        assert_eq!(answer.get("error").map(String::as_str), Some("invalid_request"), "{change:?}: {}", page.html);
        assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("xyz", &*server.issuer), "errors name us too");
    }
}

#[tokio::test]
async fn an_answer_goes_where_the_client_registered_and_nowhere_else() {
    let server = Server::start().await;
    let metadata = json!({ "client_name": "Web", "redirect_uris": ["https://client.example/callback"], "token_endpoint_auth_method": "none" });
    let web: Value = server.register(metadata).await.json().await.unwrap();
    let web = web["client_id"].as_str().unwrap();
    let native = server.native_client().await;
    for (client, uri) in [
        (web, "https://evil.example/callback"),
        (web, "https://client.example/callback/more"),
        (web, "https://client.example/callback?more"),
        (web, "https://client.example/call"),
        (web, "https://client.example/callback/../evil"),
        (web, "https://client.example@evil.example/callback"),
        (web, "https://evil.example#https://client.example/callback"),
        (web, "https://client.example/callback#fragment"),
        (web, "https://client.example:8443/callback"),
        (web, "http://client.example/callback"),
        (web, "https://CLIENT.example/callback"),
        (web, "javascript:alert(1)"),
        (&*native, "http://127.0.0.1:53211@evil.example/callback"),
        (&*native, "http://127.0.0.1.evil.example:53211/callback"),
        (&*native, "http://127.0.0.1:53211/callback/more"),
        (&*native, "http://localhost:53211/callback"),
        (&*native, "https://127.0.0.1:53211/callback"),
    ] {
        stays(&Browser::new().get(&server.ask(client, &[("redirect_uri", uri)])).await, 400);
    }
    stays(&Browser::new().get(&server.ask("nobody", &[])).await, 400);
    // A server that keeps a secret has its port, also on this machine.
    let metadata = json!({ "redirect_uris": ["http://localhost:3000/callback"], "token_endpoint_auth_method": "client_secret_basic" });
    let secret: Value = server.register(metadata).await.json().await.unwrap();
    let secret = secret["client_id"].as_str().unwrap();
    assert_eq!(
        Browser::new().get(&server.ask(secret, &[("redirect_uri", "http://localhost:3000/callback")])).await.status,
        200
    );
    stays(&Browser::new().get(&server.ask(secret, &[("redirect_uri", "http://localhost:3001/callback")])).await, 400);
    // A form of ours cannot be talked into it either.
    let browser = Browser::new();
    let login = browser.get(&server.ask(&native, &[])).await;
    let bent = server.ask(&native, &[("redirect_uri", "https://evil.example/")]);
    stays(
        &browser
            .submit(&login, &[("request", bent.query().unwrap()), ("username", "alice"), ("password", "alice123")])
            .await,
        400,
    );
}

#[tokio::test]
async fn no_redirect_before_anybody_has_agreed_to_an_address_that_only_the_client_vouches_for() {
    let server = Server::start().await;
    let metadata = json!({ "client_name": "Phish", "redirect_uris": ["https://evil.example/"], "token_endpoint_auth_method": "none" });
    let evil: Value = server.register(metadata).await.json().await.unwrap();
    let url = server
        .ask(evil["client_id"].as_str().unwrap(), &[("redirect_uri", "https://evil.example/"), ("scope", "nonsense")]);
    let page = Browser::new().get(&url).await;
    stays(&page, 400);
    assert!(page.html.contains("evil.example"), "it says where it would have gone");
}

#[tokio::test]
async fn state_is_only_echoed() {
    let server = Server::start().await;
    let client = server.native_client().await;
    for state in
        ["https://evil.example/", "\r\nLocation: https://evil.example/", "&iss=https://evil.example", "#x", "é"]
    {
        let page = Browser::new().allow(&server.ask(&client, &[("state", state)]), "alice").await;
        let to = page.location().unwrap();
        assert_eq!((to.host_str(), to.port(), to.path()), (Some("127.0.0.1"), Some(53211), "/callback"), "{state}");
        let answer: Vec<_> = to.query_pairs().into_owned().collect();
        assert_eq!(answer.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["code", "state", "iss"]);
        assert_eq!((&*answer[1].1, &*answer[2].1), (state, &*server.issuer));
    }
}

#[tokio::test]
async fn a_token_is_for_a_resource_of_ours_and_for_the_one_that_was_agreed_to() {
    let server = Server::start().await;
    let client = server.native_client().await;
    for resource in ["http://localhost:1/mcp", "https://evil.example/mcp", "account", "", "http://localhost/mcp#x"] {
        let asked = server.ask(&client, &[("resource", resource)]);
        if !resource.is_empty() {
            assert_eq!(Browser::new().get(&asked).await.answer()["error"], "invalid_target", "{resource}");
        }
    }
    let both = format!("{}&resource=https%3A%2F%2Fevil.example%2Fmcp", server.ask(&client, &[]));
    assert_eq!(
        Browser::new().get(&both.parse().unwrap()).await.answer()["error"],
        "invalid_target",
        "one bad one is enough"
    );
    let code = Browser::new().code(&server.ask(&client, &[]), "alice").await;
    let changed = server.redeem(&client, &code, &[("resource", "https://evil.example/mcp")]).await;
    assert_eq!(changed.error(), (400, "invalid_target"));
}

#[tokio::test]
async fn a_refresh_token_that_is_used_twice_ends_the_grant() {
    let server = Server::start().await;
    let (client, tokens) = server.tokens("alice", "mcp:read offline_access").await;
    let refresh = async |client: &str, token: &str| {
        server.token(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]).await
    };
    let other = server.native_client().await;
    let stolen = tokens.text("refresh_token");
    assert_eq!(refresh(&other, stolen).await.error(), (400, "invalid_grant"), "of another client");
    let second = refresh(&client, stolen).await;
    assert_eq!(second.status, StatusCode::OK, "{:?}", second.body);
    assert_eq!(refresh(&client, stolen).await.error(), (400, "invalid_grant"));
    assert_eq!(
        refresh(&client, second.text("refresh_token")).await.error(),
        (400, "invalid_grant"),
        "the thief's or the owner's: both end"
    );
    assert_eq!(server.introspect(second.text("access_token")).await, json!({ "active": false }));
}

#[tokio::test]
async fn registration_takes_no_client_that_could_not_be_trusted_with_a_code() {
    let server = Server::start().await;
    for uri in [
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "http://client.example/callback",
        "http://localhost.evil.example/callback",
        "http://localhost@evil.example/callback",
        "cursor://anysphere.cursor-retrieval/oauth/callback",
        "https://client.example/#fragment",
        "https://client.example/*\"onload",
        "/callback",
    ] {
        let answer =
            Answer::of(server.register(json!({ "redirect_uris": ["https://client.example/", uri] })).await).await;
        assert_eq!(answer.error(), (400, "invalid_redirect_uri"), "{uri}");
    }
    for bent in [
        json!({ "redirect_uris": [CALLBACK], "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "password"] }),
        json!({ "redirect_uris": [CALLBACK], "response_types": ["token"] }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "redirect_uris": [CALLBACK], "client_name": "x".repeat(201) }),
        json!({ "redirect_uris": CALLBACK }),
        json!([]),
    ] {
        assert_eq!(
            Answer::of(server.register(bent.clone()).await).await.error(),
            (400, "invalid_client_metadata"),
            "{bent}"
        );
    }
    let none = Answer::of(server.register(json!({ "client_name": "x" })).await).await;
    assert_eq!(none.error(), (400, "invalid_redirect_uri"));

    // A web client gets a secret, and no token for itself with it.
    let metadata = json!({ "redirect_uris": ["https://client.example/callback"] });
    let web = Answer::of(server.register(metadata).await).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", web.text("client_id")),
        ("client_secret", web.text("client_secret")),
    ];
    assert_eq!(server.token(&form).await.error(), (400, "unauthorized_client"));
}

/// Submits `page`'s form with headers that a browser would send from elsewhere.
async fn sent_from(page: &Page, fields: &[(&str, &str)], cookie: &str, header: (&'static str, &str)) -> StatusCode {
    let (action, mut form) = page.form();
    for (name, value) in fields {
        form.insert((*name).to_owned(), (*value).to_owned());
    }
    let request = client(Client::builder()).post(action).form(&form).header("cookie", cookie);
    request.header(header.0, header.1).send().await.unwrap().status()
}

#[tokio::test]
async fn nobody_logs_in_or_agrees_by_a_form_of_somebody_else() {
    let server = Server::start().await;
    let client_id = server.native_client().await;
    let url = server.ask(&client_id, &[]);
    let (mallory, alice) = (Browser::new(), Browser::new());
    let mallorys = mallory.get(&url).await;
    let alices = alice.get(&url).await;
    let credentials = [("username", "alice"), ("password", "alice123")];
    // Mallory's token in Alice's browser, or none: login CSRF.
    let (_, form) = mallorys.form();
    for csrf in [form["csrf"].as_str(), "", "AAAA"] {
        stays(&alice.submit(&alices, &[&credentials[..], &[("csrf", csrf)]].concat()).await, 403);
    }
    // The right token, but from a page of another site.
    let cookie = alices.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    for header in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(sent_from(&alices, &credentials, &cookie, header).await, StatusCode::FORBIDDEN, "{header:?}");
    }
    assert_eq!(sent_from(&alices, &credentials, &cookie, ("origin", &server.base)).await, StatusCode::SEE_OTHER);

    let consent = alice.log_in(&alices, "alice", "alice123").await;
    let mallorys = mallory.log_in(&mallorys, "bob", "bob123").await;
    let (_, theirs) = mallorys.form();
    let (_, login_form) = alices.form();
    for csrf in [theirs["csrf"].as_str(), login_form["csrf"].as_str(), ""] {
        stays(&alice.submit(&consent, &[("csrf", csrf), ("decision", "allow")]).await, 403);
    }
    // The token of one request is none for another: not for a client or a scope that the page has not shown.
    let wider = server.ask(&client_id, &[("scope", "mcp:read mcp:tools mcp:run")]);
    stays(&alice.submit(&consent, &[("request", wider.query().unwrap()), ("decision", "allow")]).await, 403);
    assert!(alice.submit(&consent, &[("decision", "allow")]).await.answer().contains_key("code"));
}

#[tokio::test]
async fn a_session_that_was_planted_is_not_the_one_that_logs_in() {
    let server = Server::start().await;
    let url = server.ask(&server.native_client().await, &[]);
    let http = client(Client::builder());
    let cookie = |response: &reqwest::Response| {
        response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let planted = cookie(&http.get(url.clone()).send().await.unwrap());
    // Alice's browser has Mallory's cookie when she logs in.
    let page = Browser::new().get(&url).await;
    drop(page);
    let login = http.get(url.clone()).header("cookie", &planted).send().await.unwrap();
    assert!(login.headers().get(SET_COOKIE).is_none());
    let html = login.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [("request", url.query().unwrap()), ("csrf", &csrf), ("username", "alice"), ("password", "alice123")];
    let logged_in =
        http.post(format!("{}/login", server.base)).header("cookie", &planted).form(&form).send().await.unwrap();
    assert_eq!(logged_in.status(), StatusCode::SEE_OTHER);
    let hers = cookie(&logged_in);
    let page = |cookie: String| {
        let request = http.get(url.clone()).header("cookie", cookie);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    assert!(page(planted).await.contains("name=\"password\""), "Mallory is nobody still");
    assert!(page(hers).await.contains("value=\"allow\""));
}

#[tokio::test]
async fn pages_are_framed_by_nobody_and_run_nothing() {
    let server = Server::start().await;
    let client = server.native_client().await;
    let browser = Browser::new();
    let login = browser.get(&server.ask(&client, &[])).await;
    let wrong = browser.log_in(&login, "alice", "wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let consent = browser.log_in(&login, "alice", "alice123").await;
    let message = browser.get(&server.ask("nobody", &[])).await;
    for page in [&login, &wrong, &consent, &message] {
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers[X_FRAME_OPTIONS], "DENY");
        assert_eq!(page.headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(page.headers[REFERRER_POLICY], "same-origin");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(!page.html.contains("<script"), "{}", page.html);
    }
    let policy = consent.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:53211"),
        "Chromium holds it against the redirect: {policy}"
    );
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_text() {
    let server = Server::start().await;
    let name = "<script>alert(1)</script>\" onload=x <img src=x onerror=alert(1)>";
    let metadata = json!({ "client_name": name, "redirect_uris": [CALLBACK], "client_uri": "javascript:alert(1)" });
    let client: Value = server.register(metadata).await.json().await.unwrap();
    let client = client["client_id"].as_str().unwrap();
    let browser = Browser::new();
    let login = browser.get(&server.ask(client, &[("state", "\"><script>alert(1)</script>")])).await;
    let wrong = browser.log_in(&login, "\"><script>alert(1)</script>", "x").await;
    let consent = browser.log_in(&login, "alice", "alice123").await;
    let scope = browser.get(&server.ask(client, &[("scope", "<script>alert(1)</script>")])).await;
    let resource = browser.get(&server.ask(client, &[("resource", "<script>alert(1)</script>")])).await;
    let unknown = browser.get(&server.ask("<script>alert(1)</script>", &[])).await;
    for page in [&login, &wrong, &consent, &scope, &resource, &unknown] {
        assert!(!page.html.contains("<script") && !page.html.contains("<img"), "{}", page.html);
    }
    assert!(consent.html.contains("alert(1)"), "it is shown, as text");
}

#[tokio::test]
async fn guessing_a_password_gets_slower_and_slower() {
    let server = Server::start().await;
    let url = server.ask(&server.native_client().await, &[]);
    let browser = Browser::new();
    let login = browser.get(&url).await;
    for _ in 0..3 {
        assert_eq!(browser.log_in(&login, "alice", "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let slow = browser.log_in(&login, "alice", "alice123").await;
    assert_eq!(slow.status, StatusCode::TOO_MANY_REQUESTS, "also for the right one: it was not looked at");
    let after: u64 = slow.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&after), "{after}");
    // Somebody else at the same address does not notice, and an unknown name looks like a known one.
    assert_eq!(browser.log_in(&login, "nobody", "wrong").await.status, StatusCode::UNAUTHORIZED);
    let other = Browser::new();
    let page = other.get(&url).await;
    assert_eq!(other.log_in(&page, "bob", "bob123").await.status, StatusCode::OK);
    tokio::time::sleep(Duration::from_secs(after)).await;
    assert_eq!(browser.log_in(&login, "alice", "alice123").await.status, StatusCode::OK, "slower, never locked");
}

#[tokio::test]
async fn a_hundred_registrations_from_one_address_are_noticed_by_nobody_else() {
    let server = Server::start().await;
    let from = |address: [u8; 4]| client(Client::builder().local_address(IpAddr::from(address)));
    let (flood, other) = (from([127, 0, 0, 1]), from([127, 0, 0, 2]));
    let url = server.endpoint("registration").replace("localhost", "127.0.0.1");
    let body = json!({ "client_name": "x", "redirect_uris": [CALLBACK] });
    let mut statuses = Vec::new();
    for _ in 0..100 {
        let response = flood.post(&url).json(&body).send().await.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let after: u64 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
            assert!((1..=3).contains(&after), "{after}");
        }
        statuses.push(response.status());
    }
    let let_in = statuses.iter().filter(|status| **status == StatusCode::CREATED).count();
    assert!((20..=25).contains(&let_in), "{let_in}");
    assert_eq!(other.post(&url).json(&body).send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn who_asks_about_tokens_says_who_they_are_and_learns_of_their_own() {
    let server = Server::start().await;
    let (client_id, tokens) = server.tokens("alice", "mcp:read").await;
    let token = tokens.text("access_token");
    let ask = |form: Vec<(&'static str, String)>| server.http.post(server.endpoint("introspection")).form(&form).send();
    let mine = |name: &'static str, value: &str| (name, value.to_owned());
    for form in [
        vec![mine("token", token)],
        vec![mine("token", token), mine("client_id", &client_id)],
        vec![mine("token", token), mine("client_id", "echo-mcp-server")],
        vec![mine("token", token), mine("client_id", "echo-mcp-server"), mine("client_secret", "wrong")],
        vec![mine("token", token), mine("client_id", "nobody"), mine("client_secret", "x")],
    ] {
        let response = ask(form.clone()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{form:?}");
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
    }
    // A web client of its own, with a secret, is told nothing of somebody else's token.
    let metadata = json!({ "redirect_uris": ["https://client.example/callback"] });
    let web = Answer::of(server.register(metadata).await).await;
    let form = vec![
        mine("token", token),
        mine("client_id", web.text("client_id")),
        mine("client_secret", web.text("client_secret")),
    ];
    assert_eq!(ask(form).await.unwrap().json::<Value>().await.unwrap(), json!({ "active": false }));
}

#[tokio::test]
async fn only_what_was_issued_is_active() {
    let server = Server::start().await;
    let (_, tokens) = server.tokens("alice", "mcp:read").await;
    let token = tokens.text("access_token");
    let key = SigningKey::newest_or_new(server.keys.path(), Algorithm::ES256).unwrap();
    let mut claims = common::claims(token);
    claims["jti"] = json!("made by hand");
    let by_hand = key.sign(&claims).unwrap();
    claims["jti"] = common::claims(token)["jti"].clone();
    claims["iss"] = json!("http://evil.example");
    let elsewhere = key.sign(&claims).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    for bent in [&*by_hand, &*elsewhere, &format!("{signed}.AAAA"), signed, "", "a.b.c"] {
        if !bent.is_empty() {
            assert_eq!(server.introspect(bent).await, json!({ "active": false }), "{bent}");
        }
    }
}

#[tokio::test]
async fn parameters_stand_in_the_body_once() {
    let server = Server::start().await;
    let url = server.endpoint("token");
    let form = "grant_type=client_credentials&client_id=echo-mcp-server&client_secret=echo-mcp-server-secret";
    let send = |url: String, kind: &'static str, body: String| {
        let request = server.http.post(url).header("content-type", kind).body(body);
        async move { Answer::of(request.send().await.unwrap()).await }
    };
    let encoded = "application/x-www-form-urlencoded";
    assert_eq!(send(url.to_owned(), encoded, form.to_owned()).await.status, StatusCode::OK);
    for (url, kind, body) in [
        (url.to_owned(), encoded, format!("{form}&grant_type=password")),
        (url.to_owned(), encoded, format!("{form}&client_id=mcp-test-client")),
        (url.to_owned(), "application/json", json!({ "grant_type": "client_credentials" }).to_string()),
        (format!("{url}?{form}"), encoded, String::new()),
        (url.to_owned(), encoded, "x".repeat(70_000)),
    ] {
        assert_eq!(send(url.clone(), kind, body).await.error(), (400, "invalid_request"), "{url} {kind}");
    }
    let get = server.http.get(format!("{url}?{form}")).send().await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    let twice = format!("{}&client_id=other", server.ask(&server.native_client().await, &[]));
    stays(&Browser::new().get(&twice.parse().unwrap()).await, 400);
}

#[tokio::test]
async fn a_name_that_was_turned_to_this_machine_shows_no_page() {
    let server = Server::start().await;
    let url = server.ask(&server.native_client().await, &[]);
    for host in ["evil.example", "evil.example:9000", "localhost.evil.example"] {
        let response = server.http.get(url.clone()).header(HOST, host).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // Another name of this machine leads home, where the cookies are.
    let response = server.http.get(url.clone()).header(HOST, "127.0.0.1:1").send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &url.as_str().parse().unwrap())
    );
}

#[tokio::test]
async fn a_metadata_document_is_not_fetched_from_inside() {
    let server = Server::start().await;
    for id in [
        "http://client.example/metadata.json",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/client.json",
        "https://[::1]/client.json",
        "https://localhost/client.json",
        "https://[::ffff:10.0.0.1]/client.json",
        "https://client.example",
        "https://user@client.example/client.json",
    ] {
        let page = Browser::new().get(&server.ask(id, &[])).await;
        stays(&page, 400);
        let form = [("grant_type", "authorization_code"), ("client_id", id), ("code", "x"), ("code_verifier", "x")];
        let refused = server.token(&form).await;
        assert!(matches!(refused.error(), (401, "invalid_client")), "{id}: {refused:?}");
    }
}

#[tokio::test]
async fn one_decision_for_each_request() {
    let server = Server::start().await;
    let client = server.native_client().await;
    let url = server.ask(&client, &[]);
    let browser = Browser::new();
    let login = browser.get(&url).await;
    let consent = browser.log_in(&login, "alice", "alice123").await;
    let first = browser.submit(&consent, &[("decision", "allow")]).await;
    let second = browser.submit(&consent, &[("decision", "allow")]).await;
    assert_eq!(first.location(), second.location(), "a double click is one decision");
    let changed = browser.submit(&consent, &[("decision", "deny")]).await;
    assert_eq!(changed.location(), first.location());
    stays(&browser.get(&url).await, 409);
    // Whatever is not "allow" is no.
    let other = server.ask(&client, &[("state", "2")]);
    let consent = browser.get(&other).await;
    assert_eq!(browser.submit(&consent, &[("decision", "perhaps")]).await.answer()["error"], "access_denied");
}
