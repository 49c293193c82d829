//! Against a real Keycloak: `KEYCLOAK_TEST_URL=http://localhost:8080 cargo test -p mcp-keycloak -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod common;

use std::sync::atomic::Ordering;

use mcp_keycloak::{Keycloak, KeycloakError};
use reqwest::Method;
use serde_json::json;

use self::common::{PASSWORD, POLICIES, Proxy, keycloak_url, with_realm};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn a_fresh_realm_is_fit_and_a_second_run_writes_nothing() {
    with_realm(|realm| async move {
        realm.fresh().await;
        assert_eq!(realm.failures().await, []);
        let report = realm.keycloak.verify(&realm.plan).await;
        assert!(report.passed());
        let names: Vec<_> = report.checks().iter().map(|check| check.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "metadata: openid-configuration",
                "metadata: oauth-authorization-server",
                "metadata: oauth-authorization-server (RFC 8414)",
                "signing keys",
                "client scope mcp:read",
                "client scope mcp:tools",
                "client scope mcp:prompts",
                "client scope mcp:run",
                "client scopes of new clients",
                "token of mcp-admin",
                "token of mcp-user",
                "token of mcp-readonly",
                "token of guest",
                "introspection",
                "introspection of a made-up token",
                "registration",
                "registration with a foreign redirect",
            ]
        );
        let clients = realm.get("/clients").await;
        let ids: Vec<_> =
            clients.as_array().unwrap().iter().map(|client| client["clientId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 8, "those that registered are gone: {ids:?}");

        let proxy = Proxy::start().await;
        let keycloak = Keycloak::new(&proxy.url, "admin", PASSWORD).unwrap();
        assert_eq!(keycloak.set_up(&realm.plan).await.unwrap(), []);
        assert_eq!(proxy.writes(), [""; 0]);
        assert!(proxy.requests.lock().unwrap().len() > 15, "it did look");
        assert_eq!(proxy.logins(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn what_is_missing_is_made_again_and_nothing_else() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let cases: [(String, &[&str]); 8] = [
            // Nobody who had them has them again, and no client scope is for them again.
            ("/roles/guest".into(), &["role guest"]),
            ("/roles/readonly".into(), &["role readonly"]),
            (
                realm.scope("mcp:run").await,
                &[
                    "client scope mcp:run",
                    "role admin in the scope of client scope mcp:run",
                    "role user in the scope of client scope mcp:run",
                    "optional client scope mcp:run of the realm",
                ],
            ),
            (
                realm.mapper("mcp:prompts", "mcp server url").await,
                &["mapper mcp server url of client scope mcp:prompts"],
            ),
            (realm.client("mcp-test-client").await, &["client mcp-test-client"]),
            (
                realm.client("echo-mcp-server").await,
                &["client echo-mcp-server", "role user of user service-account-echo-mcp-server"],
            ),
            (
                format!("/components/{}", realm.id(POLICIES, "providerId", "trusted-hosts").await),
                &["client registration policy Trusted Hosts"],
            ),
            (realm.user("alice").await, &["user alice", "role user of user alice"]),
        ];
        for (path, expected) in cases {
            realm.delete(&path).await;
            assert_eq!(realm.set_up().await, expected, "{path}");
            assert_eq!(realm.set_up().await, [""; 0], "{path}");
        }
        let failures = realm.failures().await;
        let names: Vec<_> = failures.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["client scope mcp:read", "token of mcp-readonly"]);
        assert!(failures[1].1.contains("a role of mcp-readonly"), "{failures:?}");
    })
    .await;
}

/// Somebody was demoted: the next run must not be the way back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn what_was_taken_away_is_not_given_back() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let role = async |name| {
            let role = realm.entry("/roles", "name", name).await;
            Some(json!([{ "id": role["id"], "name": role["name"] }]))
        };
        let scope = async |name| realm.id("/client-scopes", "name", name).await;
        let (basic, prompts, tools, run) =
            (scope("basic").await, scope("mcp:prompts").await, scope("mcp:tools").await, scope("mcp:run").await);
        let account = format!("{}/service-account-user", realm.client("echo-mcp-server").await);
        let account = realm.get(&account).await["id"].as_str().unwrap().to_owned();
        let test_client = realm.client("mcp-test-client").await;
        let cases = [
            (format!("{}/role-mappings/realm", realm.user("mcp-admin").await), role("admin").await),
            (format!("/users/{account}/role-mappings/realm"), role("user").await),
            (format!("/client-scopes/{run}/scope-mappings/realm"), role("user").await),
            (format!("{test_client}/optional-client-scopes/{run}"), None),
            (format!("{test_client}/default-client-scopes/{basic}"), None),
            (format!("/default-optional-client-scopes/{tools}"), None),
            (format!("/default-default-client-scopes/{basic}"), None),
        ];
        for (path, body) in cases {
            let (status, answer) = realm.ask(Method::DELETE, &path, body).await;
            assert_eq!(status, 204, "{path}: {answer}");
            assert_eq!(realm.set_up().await, [""; 0], "{path}");
        }
        // For everybody, on purpose or by mistake.
        let path = format!("/client-scopes/{prompts}/scope-mappings/realm");
        let mapped = realm.get(&path).await;
        assert_eq!(realm.ask(Method::DELETE, &path, Some(mapped)).await.0, 204);
        // Whoever is given the role again must not get mcp:run with it.
        realm.delete("/roles/user").await;
        assert_eq!(realm.set_up().await, ["role user"]);

        let failures = realm.failures().await;
        for (name, words) in [
            ("client scope mcp:prompts", "everybody > Client scopes > mcp:prompts > Scope > Assign role"),
            ("client scopes of new clients", "basic as Default, mcp:tools as Optional"),
            ("token of mcp-admin", "Clients > mcp-test-client > Client scopes > Add client scope, as Optional"),
        ] {
            let found = failures.iter().find(|(failed, _)| failed == name);
            assert!(found.is_some_and(|(_, text)| text.contains(words)), "{name}: {words:?} of {failures:?}");
        }
    })
    .await;
}

/// A realm that is others', with things that are called like the file's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn nobody_who_was_there_gains_by_a_name() {
    with_realm(|realm| async move {
        let theirs = json!({
            "realm": realm.plan.realm(), "enabled": true,
            "roles": { "realm": [{ "name": "admin" }] },
            "users": [{ "username": "mcp-admin", "enabled": true }],
        });
        assert_eq!(realm.ask(Method::POST, "//", Some(theirs)).await.0, 201);
        let scope = json!({ "name": "mcp:read", "protocol": "openid-connect" });
        assert_eq!(realm.ask(Method::POST, "/client-scopes", Some(scope)).await.0, 201);
        let clients = [
            json!({ "clientId": "mcp-test-client", "publicClient": true, "optionalClientScopes": [] }),
            json!({ "clientId": "echo-mcp-server", "serviceAccountsEnabled": true, "secret": "theirs" }),
        ];
        for client in clients {
            assert_eq!(realm.ask(Method::POST, "/clients", Some(client)).await.0, 201);
        }
        let test_client = realm.client("mcp-test-client").await;
        let account = format!("{}/service-account-user", realm.client("echo-mcp-server").await);
        let account = realm.get(&account).await["id"].as_str().unwrap().to_owned();
        let paths = [
            format!("{}/role-mappings/realm", realm.user("mcp-admin").await),
            format!("{}/credentials", realm.user("mcp-admin").await),
            format!("/users/{account}/role-mappings/realm"),
            format!("{}/scope-mappings/realm", realm.scope("mcp:read").await),
            format!("{test_client}/default-client-scopes"),
            format!("{test_client}/optional-client-scopes"),
            test_client,
        ];
        let mut before = Vec::new();
        for path in &paths {
            before.push(realm.get(path).await);
        }
        let made = realm.set_up().await;
        for (path, before) in paths.iter().zip(before) {
            assert_eq!(realm.get(path).await, before, "{path}: {made:?}");
        }
        for one in ["user alice", "role user of user alice", "role admin in the scope of client scope mcp:run"] {
            assert!(made.iter().any(|other| other == one), "{one} of {made:?}");
        }
        assert_eq!(realm.set_up().await, [""; 0]);
    })
    .await;
}

/// What Keycloak puts in a new realm stays as well, its idea of who may register among it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn a_realm_that_was_made_by_hand() {
    with_realm(|realm| async move {
        let empty = json!({ "realm": realm.plan.realm(), "enabled": true });
        assert_eq!(realm.ask(Method::POST, "//", Some(empty)).await.0, 201);
        let made = realm.set_up().await;
        for one in
            ["role admin", "client scope mcp:run", "client mcp-test-client", "user bob", "role readonly of user bob"]
        {
            assert!(made.iter().any(|other| other == one), "{one} of {made:?}");
        }
        assert!(!made.contains(&"client scope profile".to_owned()), "Keycloak has one: {made:?}");
        assert_eq!(realm.set_up().await, [""; 0]);
        let failures = realm.failures().await;
        let names: Vec<_> = failures.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["registration", "registration with a foreign redirect"]);
        assert!(failures[0].1.contains("Anonymous access policies > "), "{failures:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn what_is_there_stays_as_it_is() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let user = realm.user("mcp-user").await;
        let credential = json!({ "type": "password", "value": "another1", "temporary": false });
        let (status, _) = realm.ask(Method::PUT, &format!("{user}/reset-password"), Some(credential)).await;
        assert_eq!(status, 204);
        let bob = realm.user("bob").await;
        realm.put(&bob, |user| user["enabled"] = json!(false)).await;
        let mapper = realm.mapper("mcp:read", "mcp server url").await;
        realm.put(&mapper, |mapper| mapper["config"]["included.custom.audience"] = json!("http://other/mcp")).await;
        let client = realm.client("echo-mcp-server").await;
        realm.put(&client, |client| client["secret"] = json!("another")).await;

        assert_eq!(realm.set_up().await, [""; 0]);
        assert_eq!(realm.get(&bob).await["enabled"], false);
        assert_eq!(realm.get(&mapper).await["config"]["included.custom.audience"], "http://other/mcp");
        assert_eq!(realm.get(&client).await["secret"], "another");
        let failed: Vec<_> = realm.failures().await.into_iter().map(|(name, _)| name).collect();
        assert!(failed.contains(&"token of mcp-user".to_owned()), "the password is still the other one: {failed:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn a_lost_login_is_made_again_once() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let proxy = Proxy::start().await;
        let keycloak = Keycloak::new(&proxy.url, "admin", PASSWORD).unwrap();
        proxy.refuse.store(1, Ordering::SeqCst);
        assert_eq!(keycloak.set_up(&realm.plan).await.unwrap(), []);
        assert_eq!(proxy.logins(), 2);
        proxy.refuse.store(usize::MAX, Ordering::SeqCst);
        let error = keycloak.set_up(&realm.plan).await.unwrap_err();
        assert!(matches!(error, KeycloakError::Refused { status: 401, .. }), "{error}");
        assert_eq!(proxy.logins(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn an_administrator_who_is_none() {
    with_realm(|realm| async move {
        let wrong = Keycloak::new(&keycloak_url(), "admin", "not-the-password").unwrap();
        let error = wrong.set_up(&realm.plan).await.unwrap_err();
        assert!(matches!(&error, KeycloakError::Credentials { user, .. } if user == "admin"), "{error}");
        assert!(!error.to_string().contains("not-the-password"), "{error}");
        // In the realm master, but without its role admin.
        let name = realm.plan.realm().to_owned();
        let user = json!({ "username": name, "enabled": true, "credentials": [{ "type": "password", "value": "pw-of-nobody" }] });
        let (status, _) = realm.ask(Method::POST, "//master/users", Some(user)).await;
        assert_eq!(status, 201);
        let nobody = Keycloak::new(&keycloak_url(), &name, "pw-of-nobody").unwrap();
        let absent = nobody.set_up(&realm.plan).await.unwrap_err();
        realm.fresh().await;
        let present = nobody.set_up(&realm.plan).await.unwrap_err();
        let report = nobody.verify(&realm.plan).await;
        let users = realm.get(&format!("//master/users?username={name}&exact=true")).await;
        realm.delete(&format!("//master/users/{}", users[0]["id"].as_str().unwrap())).await;
        for (error, action) in [(absent, "make realm"), (present, "show the realm")] {
            assert!(matches!(&error, KeycloakError::Forbidden { action: a, .. } if a.starts_with(action)), "{error}");
        }
        let failed: Vec<_> = report.failures().map(|(name, _)| name).collect();
        assert_eq!(failed, ["client scopes"], "the others need no administrator");
    })
    .await;
}
