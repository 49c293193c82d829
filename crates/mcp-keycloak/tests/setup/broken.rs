//! Realms that are not as they should be, in a real Keycloak: which check says so, and what it advises.

use std::future::Future;

use mcp_keycloak::Keycloak;
use reqwest::Method;
use serde_json::json;

use crate::common::{PASSWORD, Proxy, Realm, with_realm};

/// After `damage`, these checks fail and no other, each with these words.
async fn broken<F: Future<Output = ()> + Send + 'static>(
    damage: impl FnOnce(Realm) -> F + Send + 'static,
    expected: &'static [(&'static str, &'static [&'static str])],
) {
    with_realm(move |realm| async move {
        realm.fresh().await;
        damage(realm.clone()).await;
        let failures = realm.failures().await;
        let names: Vec<_> = failures.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for ((name, text), (_, words)) in failures.iter().zip(expected) {
            for word in *words {
                assert!(text.contains(word), "{name}: {text:?} lacks {word:?}");
            }
        }
    })
    .await;
}

macro_rules! broken {
    ($name:ident, |$realm:ident| $damage:block, $expected:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs KEYCLOAK_TEST_URL"]
        async fn $name() {
            broken(|$realm| async move { $damage }, $expected).await;
        }
    };
}

broken!(
    the_audience_mapper_is_gone,
    |realm| { realm.delete(&realm.mapper("mcp:read", "mcp server url").await).await },
    &[
        (
            "client scope mcp:read",
            &["no mapper puts http://localhost:9000/mcp-test-", "Client scopes > mcp:read > Mappers"]
        ),
        // The others have theirs from their other scopes.
        ("token of mcp-readonly", &["its aud is \"echo-mcp-server\"", "Included Custom Audience"]),
    ]
);

broken!(
    the_audience_is_another_server,
    |realm| {
        let mapper = realm.mapper("mcp:run", "mcp server url").await;
        realm
            .put(&mapper, |mapper| mapper["config"]["included.custom.audience"] = json!("http://other:9000/mcp"))
            .await;
    },
    &[(
        "client scope mcp:run",
        &["names another MCP server, http://other:9000/mcp", "Client scopes > mcp:run > Mappers > mcp server url"]
    )]
);

broken!(
    the_audience_is_not_in_access_tokens,
    |realm| {
        let mapper = realm.mapper("mcp:run", "mcp server url").await;
        realm.put(&mapper, |mapper| mapper["config"]["access.token.claim"] = json!("false")).await;
    },
    &[("client scope mcp:run", &["mcp server url > Add to access token: On"])]
);

broken!(
    the_client_audience_is_gone,
    |realm| {
        for scope in ["mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"] {
            realm.delete(&realm.mapper(scope, "mcp server client").await).await;
        }
    },
    &[
        ("client scope mcp:read", &["\"mcp server client\" (oidc-audience-mapper)"]),
        ("client scope mcp:tools", &[]),
        ("client scope mcp:prompts", &[]),
        ("client scope mcp:run", &[]),
        ("introspection", &["not active for echo-mcp-server", "Included Client Audience echo-mcp-server"]),
    ]
);

broken!(
    a_scope_is_gone,
    |realm| { realm.delete(&realm.scope("mcp:run").await).await },
    &[
        ("client scope mcp:run", &["it is not there"]),
        ("token of mcp-admin", &["400 Invalid scopes", "Clients > mcp-test-client > Client scopes"]),
        ("token of mcp-user", &["Invalid scopes"]),
        ("token of mcp-readonly", &["Invalid scopes"]),
        ("token of guest", &["Invalid scopes"]),
        ("introspection", &["no token to ask about"]),
        ("registration", &["may not ask for mcp:run", "Client scopes"]),
    ]
);

broken!(
    a_scope_is_everybodys,
    |realm| {
        let path = format!("{}/scope-mappings/realm", realm.scope("mcp:run").await);
        let roles = realm.get(&path).await;
        assert_eq!(realm.ask(Method::DELETE, &path, Some(roles)).await.0, 204);
    },
    &[
        ("client scope mcp:run", &["not mapped to admin, user; it may be given to everybody"]),
        ("token of mcp-readonly", &["\"mcp:read mcp:run\", expected \"mcp:read\"", "Client scopes > mcp:run > Scope"]),
        ("token of guest", &["expected \"\"", "Client scopes > mcp:run > Scope"]),
    ]
);

broken!(
    a_user_has_lost_a_role,
    |realm| {
        let path = format!("{}/role-mappings/realm", realm.user("mcp-admin").await);
        let role = realm.entry("/roles", "name", "admin").await;
        assert_eq!(realm.ask(Method::DELETE, &path, Some(json!([role]))).await.0, 204);
    },
    &[("token of mcp-admin", &["its scopes are \"\", expected", "a role of mcp-admin"])]
);

broken!(
    a_user_has_a_role_too_many,
    |realm| {
        let path = format!("{}/role-mappings/realm", realm.user("mcp-user").await);
        let role = realm.entry("/roles", "name", "admin").await;
        assert_eq!(realm.ask(Method::POST, &path, Some(json!([role]))).await.0, 204);
    },
    &[("token of mcp-user", &["its roles are \"admin user\", expected \"user\"", "Users > mcp-user > Role mapping"])]
);

broken!(
    the_subject_is_missing,
    |realm| { realm.delete(&realm.mapper("basic", "sub").await).await },
    &[
        ("token of mcp-admin", &["it has no sub", "Client scopes > basic > Mappers: Subject (sub)"]),
        ("token of mcp-user", &[]),
        ("token of mcp-readonly", &[]),
    ]
);

broken!(
    a_user_is_disabled,
    |realm| {
        let user = realm.user("mcp-user").await;
        realm.put(&user, |user| user["enabled"] = json!(false)).await;
    },
    &[("token of mcp-user", &["Account disabled", "Users > mcp-user > Enabled: On"])]
);

broken!(
    a_password_is_another,
    |realm| {
        let path = format!("{}/reset-password", realm.user("mcp-user").await);
        let password = json!({ "type": "password", "value": "another1", "temporary": false });
        assert_eq!(realm.ask(Method::PUT, &path, Some(password)).await.0, 204);
    },
    &[("token of mcp-user", &["Invalid user credentials", "Users > mcp-user > Credentials"])]
);

broken!(
    the_test_client_takes_no_passwords,
    |realm| {
        let client = realm.client("mcp-test-client").await;
        realm.put(&client, |client| client["directAccessGrantsEnabled"] = json!(false)).await;
    },
    &[
        ("token of mcp-admin", &["Clients > mcp-test-client > Settings > Direct access grants: On"]),
        ("token of mcp-user", &[]),
        ("token of mcp-readonly", &[]),
        ("token of guest", &[]),
        ("introspection", &["no token to ask about"]),
    ]
);

broken!(
    the_secret_is_another,
    |realm| {
        let client = realm.client("echo-mcp-server").await;
        realm.put(&client, |client| client["secret"] = json!("another")).await;
    },
    &[
        ("introspection", &["Keycloak refuses the client echo-mcp-server", "Clients > echo-mcp-server > Credentials"]),
        ("introspection of a made-up token", &["Clients > echo-mcp-server > Credentials"]),
    ]
);

broken!(
    nobody_may_register,
    |realm| {
        let policies = "/components?type=org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy";
        let path = format!("/components/{}", realm.id(policies, "providerId", "trusted-hosts").await);
        realm.put(&path, |policy| policy["config"]["trusted-hosts"] = json!(["10.9.8.7"])).await;
    },
    &[
        ("registration", &["403", "Anonymous access policies > Trusted Hosts"]),
        ("registration with a foreign redirect", &["not the redirect"]),
    ]
);

broken!(
    anybody_may_register,
    |realm| {
        let policies = "/components?type=org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy";
        realm.delete(&format!("/components/{}", realm.id(policies, "providerId", "trusted-hosts").await)).await;
    },
    &[("registration with a foreign redirect", &["a phisher's could", "Client URIs Must Match: On"])]
);

broken!(
    no_key_signs,
    |realm| {
        let providers = "/components?type=org.keycloak.keys.KeyProvider";
        realm
            .put(&format!("/components/{}", realm.id(providers, "providerId", "rsa-generated").await), |provider| {
                provider["config"]["enabled"] = json!(["false"]);
            })
            .await;
    },
    &[
        ("signing keys", &["no published key", "Realm settings > Keys"]),
        ("token of mcp-admin", &["Realm settings > Keys"]),
        ("token of mcp-user", &[]),
        ("token of mcp-readonly", &[]),
        ("token of guest", &[]),
    ]
);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn a_realm_that_is_not_there() {
    with_realm(|realm| async move {
        let failures = realm.failures().await;
        let [(name, text)] = &failures[..] else { panic!("{failures:?}") };
        assert_eq!(name, "metadata: openid-configuration");
        assert!(text.contains("Keycloak has no realm mcp-test-") && text.contains("set it up"), "{text}");
    })
    .await;
}

/// Keycloak under another name than its own: what `--hostname` is for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn another_issuer_is_explained() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let proxy = Proxy::start().await;
        let report = Keycloak::new(&proxy.url, "admin", PASSWORD).unwrap().verify(&realm.plan).await;
        println!("{report}");
        for (index, (name, failure)) in report.failures().take(3).enumerate() {
            assert_eq!(name, report.checks()[index].name);
            assert!(failure.found.contains(&realm.keycloak.issuer(realm.plan.realm())), "{failure:?}");
            assert!(failure.advice.contains(&format!("--hostname={}", proxy.url)), "{failure:?}");
        }
        let token = report.failures().find(|(name, _)| *name == "token of mcp-user").unwrap().1;
        assert!(token.found.contains("its iss is") && token.advice.contains("--hostname="), "{token:?}");
        assert!(!report.passed());
    })
    .await;
}
