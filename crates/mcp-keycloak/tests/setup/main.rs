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
        assert!(proxy.requests.lock().unwrap().len() > 30, "it did look");
        assert_eq!(proxy.logins(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn what_is_missing_is_made_again_and_nothing_else() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let read = realm.scope("mcp:read").await;
        let basic = realm.id("/client-scopes", "name", "basic").await;
        let readonly = realm.entry("/roles", "name", "readonly").await;
        let test_client = realm.client("mcp-test-client").await;

        let tools = realm.id("/client-scopes", "name", "mcp:tools").await;
        let cases: [(String, Option<serde_json::Value>, &[&str]); 12] = [
            ("/roles/guest".into(), None, &["role guest", "role guest of user guest"]),
            (
                "/roles/readonly".into(),
                None,
                &[
                    "role readonly",
                    "role readonly in the scope of client scope mcp:read",
                    "role readonly of user mcp-readonly",
                    "role readonly of user bob",
                ],
            ),
            (
                realm.scope("mcp:run").await,
                None,
                &[
                    "client scope mcp:run",
                    "role admin in the scope of client scope mcp:run",
                    "role user in the scope of client scope mcp:run",
                    "optional client scope mcp:run of the realm",
                    "optional client scope mcp:run of client mcp-test-client",
                    "optional client scope mcp:run of client echo-mcp-server",
                ],
            ),
            (
                realm.mapper("mcp:prompts", "mcp server url").await,
                None,
                &["mapper mcp server url of client scope mcp:prompts"],
            ),
            (
                format!("{read}/scope-mappings/realm"),
                Some(json!([{ "id": readonly["id"], "name": "readonly" }])),
                &["role readonly in the scope of client scope mcp:read"],
            ),
            (format!("/default-default-client-scopes/{basic}"), None, &["default client scope basic of the realm"]),
            (
                format!("/default-optional-client-scopes/{tools}"),
                None,
                &["optional client scope mcp:tools of the realm"],
            ),
            (
                format!("{test_client}/optional-client-scopes/{tools}"),
                None,
                &["optional client scope mcp:tools of client mcp-test-client"],
            ),
            (test_client, None, &["client mcp-test-client"]),
            (
                realm.client("echo-mcp-server").await,
                None,
                &["client echo-mcp-server", "role user of user service-account-echo-mcp-server"],
            ),
            (
                format!("/components/{}", realm.id(POLICIES, "providerId", "trusted-hosts").await),
                None,
                &["client registration policy Trusted Hosts"],
            ),
            (realm.user("alice").await, None, &["user alice", "role user of user alice"]),
        ];
        for (path, body, expected) in cases {
            // The role was deleted and made again: it has another id now.
            let body = match body {
                Some(_) => Some(json!([realm.entry("/roles", "name", "readonly").await])),
                None => None,
            };
            let (status, answer) = realm.ask(Method::DELETE, &path, body).await;
            assert_eq!(status, 204, "{path}: {answer}");
            assert_eq!(realm.set_up().await, expected, "{path}");
            assert_eq!(realm.set_up().await, [""; 0], "{path}");
        }
        assert_eq!(realm.failures().await, []);
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
