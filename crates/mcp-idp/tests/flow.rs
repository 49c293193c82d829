//! What works: every grant, in both shapes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{Browser, CALLBACK, Server, claims};
use mcp_auth::keys::{Algorithm, SigningKey};
use reqwest::{
    StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ORIGIN},
};
use serde_json::{Value, json};

#[tokio::test]
async fn from_registration_to_a_token_that_says_who_what_and_for_whom() {
    for server in [Server::start().await, Server::standalone(|builder| builder).await] {
        let client = server.native_client().await;
        let mut browser = Browser::new();
        let answer = browser.allow(&server.ask(&client, &[]), "alice").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.location().unwrap().as_str().starts_with(CALLBACK));
        let answer = answer.answer();
        assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("xyz", server.issuer.as_str()));

        let tokens = server.redeem(&client, &answer["code"], &[]).await;
        assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
        assert_eq!(tokens.headers[CACHE_CONTROL], "no-store");
        assert_eq!((tokens.text("token_type"), tokens.text("scope")), ("Bearer", "mcp:read mcp:tools"));
        assert_eq!((&tokens.body["expires_in"], &tokens.body["refresh_token"]), (&json!(300), &Value::Null));
        let token = claims(tokens.text("access_token"));
        assert_eq!(token["iss"], server.issuer);
        assert_eq!(token["aud"], server.resource);
        assert_eq!((&token["sub"], &token["preferred_username"]), (&json!("alice"), &json!("alice")));
        assert_eq!((&token["client_id"], &token["scope"]), (&json!(client), &json!("mcp:read mcp:tools")));
        assert!(token["realm_access"]["roles"].as_array().unwrap().contains(&json!("user")), "{token}");
        assert_eq!(token["exp"].as_u64().unwrap() - token["iat"].as_u64().unwrap(), 300);

        let told = server.introspect(tokens.text("access_token")).await;
        assert_eq!(
            (&told["active"], &told["username"], &told["realm_access"]),
            (&json!(true), &json!("alice"), &token["realm_access"])
        );
    }
}

#[tokio::test]
async fn metadata_at_each_url_where_clients_look() {
    let server = Server::standalone(|builder| builder.password_grant(true)).await;
    let at = |path: &str| server.http.get(format!("{}{path}", server.base)).header(ORIGIN, "https://inspector.example");
    for path in [
        "/.well-known/oauth-authorization-server/realms/mcp-realm",
        "/.well-known/openid-configuration/realms/mcp-realm",
        "/realms/mcp-realm/.well-known/openid-configuration",
    ] {
        let response = at(path).send().await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN]),
            (StatusCode::OK, &"*".parse().unwrap())
        );
        assert_eq!(response.json::<Value>().await.unwrap(), server.metadata);
    }
    let base = &server.issuer;
    assert_eq!(
        server.metadata,
        json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/protocol/openid-connect/auth"),
            "token_endpoint": format!("{base}/protocol/openid-connect/token"),
            "registration_endpoint": format!("{base}/clients-registrations/openid-connect"),
            "revocation_endpoint": format!("{base}/protocol/openid-connect/revoke"),
            "introspection_endpoint": format!("{base}/protocol/openid-connect/token/introspect"),
            "jwks_uri": format!("{base}/protocol/openid-connect/certs"),
            "scopes_supported": ["mcp:prompts", "mcp:read", "mcp:run", "mcp:tools", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "password"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
        })
    );
    // The Host header has no say.
    let elsewhere = at("/.well-known/oauth-authorization-server/realms/mcp-realm").header("host", "evil.example");
    assert_eq!(elsewhere.send().await.unwrap().json::<Value>().await.unwrap()["issuer"], *base);
}

#[tokio::test]
async fn a_refresh_token_only_for_who_may_stay() {
    let server = Server::start().await;
    let (client, tokens) = server.tokens("alice", "mcp:read mcp:tools offline_access").await;
    let refresh = |token: String, change: Vec<(&'static str, &'static str)>| {
        let (server, client) = (&server, client.clone());
        async move {
            let mut form = vec![("grant_type", "refresh_token"), ("client_id", &*client), ("refresh_token", &*token)];
            form.extend(change);
            server.token(&form).await
        }
    };
    let second = refresh(tokens.text("refresh_token").to_owned(), vec![]).await;
    assert_eq!(second.text("scope"), "mcp:read mcp:tools offline_access");
    assert_ne!(second.text("refresh_token"), tokens.text("refresh_token"), "it rotates");
    assert_eq!(claims(second.text("access_token"))["aud"], server.resource, "without a resource: that of the grant");
    let third = refresh(second.text("refresh_token").to_owned(), vec![("scope", "mcp:read")]).await;
    assert_eq!(third.text("scope"), "mcp:read");
    assert!(third.body["refresh_token"].is_string(), "a narrower token is no goodbye");
    let wider = refresh(third.text("refresh_token").to_owned(), vec![("scope", "mcp:read mcp:run")]).await;
    assert_eq!(wider.error(), (400, "invalid_scope"));
}

#[tokio::test]
async fn a_client_for_itself_gets_what_it_is_assigned() {
    let server = Server::start().await;
    let secret = ("client_secret", "echo-mcp-server-secret");
    let ask = [("grant_type", "client_credentials"), ("client_id", "echo-mcp-server"), secret];
    let all = server.token(&ask).await;
    assert_eq!(all.text("scope"), "mcp:prompts mcp:read mcp:run mcp:tools");
    let token = claims(all.text("access_token"));
    assert_eq!((&token["sub"], &token["aud"]), (&json!("service-account-echo-mcp-server"), &json!(server.resource)));
    assert!(token["realm_access"]["roles"].as_array().unwrap().contains(&json!("user")), "{token}");
    let some =
        server.token(&[&ask[..], &[("scope", "openid mcp:read"), ("resource", &server.resource)]].concat()).await;
    assert_eq!(some.text("scope"), "mcp:read");
    for (change, error) in [
        (("client_secret", "wrong"), (401, "invalid_client")),
        (("scope", "mcp:everything"), (400, "invalid_scope")),
        (("resource", "http://localhost:1/mcp"), (400, "invalid_target")),
    ] {
        let mut form = ask.to_vec();
        form.retain(|(name, _)| *name != change.0);
        form.push(change);
        assert_eq!(server.token(&form).await.error(), error, "{change:?}");
    }
    // Python's SDK sends Basic and the client_id in the body.
    let basic = server.http.post(server.endpoint("token")).basic_auth("echo-mcp-server", Some(secret.1));
    let form = [("grant_type", "client_credentials"), ("client_id", "echo-mcp-server")];
    assert_eq!(basic.form(&form).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_password_grant_of_the_tutorial() {
    let form = [
        ("grant_type", "password"),
        ("client_id", "mcp-test-client"),
        ("username", "mcp-admin"),
        ("password", "admin123"),
        ("scope", "openid profile email mcp:read mcp:tools mcp:prompts"),
    ];
    let off = Server::standalone(|builder| builder).await;
    assert_eq!(off.token(&form).await.error(), (400, "unsupported_grant_type"));
    let server = Server::standalone(|builder| builder.password_grant(true)).await;
    let answer = server.token(&form).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.text("scope"), "mcp:prompts mcp:read mcp:tools");
    let token = claims(answer.text("access_token"));
    assert_eq!((&token["preferred_username"], &token["aud"]), (&json!("mcp-admin"), &json!(server.resource)));
    assert_eq!(server.introspect(answer.text("access_token")).await["active"], json!(true));

    let changed =
        |name: &'static str, value: &'static str| form.map(|(n, v)| if n == name { (n, value) } else { (n, v) });
    assert_eq!(server.token(&changed("password", "wrong")).await.error(), (400, "invalid_grant"));
    assert_eq!(server.token(&changed("client_id", "nobody")).await.error(), (401, "invalid_client"));
    assert_eq!(server.token(&changed("scope", "mcp:everything")).await.error(), (400, "invalid_scope"));
    let registered = server.native_client().await;
    let theirs = form.map(|(n, v)| if n == "client_id" { (n, registered.as_str()) } else { (n, v) });
    assert_eq!(server.token(&theirs).await.error(), (400, "unauthorized_client"), "not for who registered itself");
}

/// A server for the realm as `bend` has changed it.
async fn bent_realm(bend: impl FnOnce(&mut Value)) -> Server {
    let mut realm: Value = serde_json::from_str(common::REALM).unwrap();
    bend(&mut realm);
    Server::start_as("", &realm.to_string(), |builder| builder.password_grant(true)).await
}

fn named<'a>(list: &'a mut Value, member: &str, name: &str) -> &'a mut Value {
    list.as_array_mut().unwrap().iter_mut().find(|entry| entry[member] == name).unwrap()
}

#[tokio::test]
async fn a_client_for_itself_gets_no_more_than_its_account_and_its_assignment() {
    let ask = [
        ("grant_type", "client_credentials"),
        ("client_id", "echo-mcp-server"),
        ("client_secret", "echo-mcp-server-secret"),
    ];
    let readonly = bent_realm(|realm| {
        let account = named(&mut realm["users"], "username", "service-account-echo-mcp-server");
        account["realmRoles"] = json!(["readonly"]);
    });
    assert_eq!(readonly.await.token(&ask).await.text("scope"), "mcp:read");
    let nothing = bent_realm(|realm| {
        let account = named(&mut realm["users"], "username", "service-account-echo-mcp-server");
        account["realmRoles"] = json!(["guest"]);
    });
    assert_eq!(nothing.await.token(&ask).await.error(), (400, "invalid_scope"));
    let assigned = bent_realm(|realm| {
        let client = named(&mut realm["clients"], "clientId", "echo-mcp-server");
        client["optionalClientScopes"] = json!(["mcp:read", "mcp:tools"]);
    });
    let assigned = assigned.await;
    assert_eq!(assigned.token(&ask).await.text("scope"), "mcp:read mcp:tools");
    let more = [&ask[..], &[("scope", "mcp:read mcp:run")]].concat();
    assert_eq!(assigned.token(&more).await.text("scope"), "mcp:read");
}

#[tokio::test]
async fn the_password_grant_is_no_way_round_secrets_and_roles() {
    let server = bent_realm(|realm| {
        named(&mut realm["clients"], "clientId", "echo-mcp-server")["directAccessGrantsEnabled"] = json!(true);
    });
    let server = server.await;
    let ask = |secret: &'static str| {
        [
            ("grant_type", "password"),
            ("client_id", "echo-mcp-server"),
            ("client_secret", secret),
            ("username", "bob"),
            ("password", "bob123"),
            ("scope", "mcp:read mcp:tools"),
        ]
    };
    assert_eq!(
        server.token(&ask("echo-mcp-server-secret")).await.text("scope"),
        "mcp:read",
        "bob's role allows no more"
    );
    assert_eq!(server.token(&ask("wrong")).await.error(), (401, "invalid_client"));
    let guest = ask("echo-mcp-server-secret").map(|(name, value)| match name {
        "username" => (name, "guest"),
        "password" => (name, "guest123"),
        _ => (name, value),
    });
    assert_eq!(server.token(&guest).await.error(), (400, "invalid_scope"), "not even an empty one for the resource");
    let resource = [&ask("echo-mcp-server-secret")[..], &[("resource", "http://localhost:1/mcp")]].concat();
    assert_eq!(server.token(&resource).await.error(), (400, "invalid_target"));
}

#[tokio::test]
async fn nobody_gets_more_than_the_person_may() {
    let server = Server::start().await;
    let every = "mcp:prompts mcp:read mcp:run mcp:tools";
    for (username, granted) in
        [("mcp-admin", every), ("alice", every), ("bob", "mcp:read"), ("mcp-readonly", "mcp:read")]
    {
        let (_, tokens) = server.tokens(username, every).await;
        assert_eq!(tokens.text("scope"), granted, "{username}");
        assert_eq!(claims(tokens.text("access_token"))["scope"], granted, "{username}");
    }
    let client = server.native_client().await;
    // Python's SDK adds offline_access, which a guest may have; it is nothing by itself.
    for scope in ["mcp:read", "mcp:read offline_access", "offline_access"] {
        let denied = Browser::new().allow(&server.ask(&client, &[("scope", scope)]), "guest").await;
        assert_eq!(denied.answer()["error"], "access_denied", "nothing of it is for a guest, whatever the button says");
    }
}

#[tokio::test]
async fn a_client_may_come_back_for_more_than_it_registered_for() {
    let server = Server::start().await;
    let client = server.native_client().await;
    let mut browser = Browser::new();
    let unsaid = browser.code(&server.ask(&client, &[("scope", "")]), "alice").await;
    assert_eq!(server.redeem(&client, &unsaid, &[]).await.text("scope"), "mcp:read", "what it registered for");
    let url = server.ask(&client, &[("scope", "openid mcp:read mcp:run"), ("state", "2")]);
    let consent = browser.get(&url).await;
    let more = browser.submit(&consent, &[("decision", "allow")]).await;
    let tokens = server.redeem(&client, &more.answer()["code"], &[]).await;
    assert_eq!(tokens.text("scope"), "mcp:read mcp:run");
    let unknown = browser.get(&server.ask(&client, &[("scope", "mcp:read mcp:root")])).await;
    assert_eq!(unknown.answer()["error"], "invalid_scope");
}

#[tokio::test]
async fn the_loopback_port_is_the_clients_own_affair() {
    let server = Server::start().await;
    let metadata = json!({ "client_name": "Port", "redirect_uris": ["http://localhost/callback"] });
    let registered: Value = server.register(metadata).await.json().await.unwrap();
    assert_eq!(registered["token_endpoint_auth_method"], "none");
    assert_eq!(registered["client_secret"], Value::Null);
    let client = registered["client_id"].as_str().unwrap();
    let to = [("redirect_uri", "http://localhost:40123/callback")];
    let code = Browser::new().code(&server.ask(client, &to), "alice").await;
    assert_eq!(server.redeem(client, &code, &to).await.status, StatusCode::OK);
    // Also of an answer that is no.
    let wrong = Browser::new().get(&server.ask(client, &[to[0], ("scope", "mcp:root")])).await;
    assert_eq!((wrong.location().unwrap().port(), &*wrong.answer()["error"]), (Some(40123), "invalid_scope"));
    let wrong = Browser::new().get(&server.ask(client, &[to[0], ("resource", "https://evil.example/")])).await;
    assert_eq!((wrong.location().unwrap().port(), &*wrong.answer()["error"]), (Some(40123), "invalid_target"));
}

#[tokio::test]
async fn the_resource_as_the_client_spells_it() {
    let server = Server::start().await;
    let spelled = server.resource.replace("localhost", "127.0.0.1");
    let client = server.native_client().await;
    let to = [("resource", spelled.as_str())];
    let code = Browser::new().code(&server.ask(&client, &to), "alice").await;
    let tokens = server.redeem(&client, &code, &to).await;
    assert_eq!(claims(tokens.text("access_token"))["aud"], spelled);
    assert_eq!(server.introspect(tokens.text("access_token")).await["active"], json!(true), "it is the same resource");
    // In one spelling where only letters differ; said at the token endpoint alone, or in another case, it is the same.
    let slash = format!("{}/", server.resource.replace("http://localhost", "HTTP://LocalHost"));
    let code = Browser::new().code(&server.ask(&client, &[("resource", &slash)]), "alice").await;
    let tokens = server.redeem(&client, &code, &[]).await;
    assert_eq!(claims(tokens.text("access_token"))["aud"], server.resource, "{:?}", tokens.body);
    assert_eq!(server.introspect(tokens.text("access_token")).await["active"], json!(true));
    let unsaid = [("resource", "")];
    let code = Browser::new().code(&server.ask(&client, &unsaid), "alice").await;
    let tokens = server.redeem(&client, &code, &unsaid).await;
    assert_eq!(claims(tokens.text("access_token"))["aud"], server.resource, "unsaid: what the scopes are for");
}

#[tokio::test]
async fn revoked_is_inactive_and_a_name_is_no_token() {
    let server = Server::start().await;
    let (client, tokens) = server.tokens("alice", "mcp:read offline_access").await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let revoke = |token: String| {
        let form = [("client_id", client.clone()), ("token", token)];
        server.http.post(server.endpoint("revocation")).form(&form).send()
    };
    let jti = claims(access)["jti"].as_str().unwrap().to_owned();
    assert_eq!(server.introspect(&jti).await, json!({ "active": false }));
    assert_eq!(revoke(jti).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.introspect(access).await["active"], json!(true));
    assert_eq!(revoke(access.to_owned()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.introspect(access).await, json!({ "active": false }));

    let form = [("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", refresh)];
    let again = server.token(&form).await;
    assert_eq!(revoke(again.text("refresh_token").to_owned()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.introspect(again.text("access_token")).await, json!({ "active": false }), "the whole grant ends");
    assert_eq!(revoke("nonsense".to_owned()).await.unwrap().status(), StatusCode::OK, "RFC 7009 §2.2");
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs() {
    let server = Server::start_with(|builder| builder.announce_keys_for(Duration::from_secs(3600))).await;
    let kid = |token: &str| {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()
    };
    let (_, first) = server.tokens("alice", "mcp:read").await;
    let first = kid(first.text("access_token"));
    assert_eq!((&first["typ"], &first["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let new = SigningKey::create(server.keys.path(), Algorithm::ES256).unwrap();
    let published = async || {
        let jwks: Value =
            server.http.get(server.metadata["jwks_uri"].as_str().unwrap()).send().await.unwrap().json().await.unwrap();
        jwks["keys"].as_array().unwrap().iter().map(|key| (key["kid"].clone(), key["alg"].clone())).collect::<Vec<_>>()
    };
    while !published().await.contains(&(json!(new.public().kid()), json!("ES256"))) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Longer than the server takes to look.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (_, second) = server.tokens("alice", "mcp:read").await;
    assert_eq!(kid(second.text("access_token"))["kid"], first["kid"]);
}
