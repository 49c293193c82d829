//! Realms that are not as they should be, in a real Keycloak: which check says so, and what it advises.

use std::future::Future;

use mcp_keycloak::Keycloak;
use reqwest::Method;
use serde_json::json;

use crate::common::{PASSWORD, POLICIES, Proxy, Realm, with_realm};

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
    audiences,
    |realm| {
        realm.delete(&realm.mapper("mcp:read", "mcp server url").await).await;
        let mapper = realm.mapper("mcp:tools", "mcp server url").await;
        realm
            .put(&mapper, |mapper| mapper["config"]["included.custom.audience"] = json!("http://other:9000/mcp"))
            .await;
        let mapper = realm.mapper("mcp:run", "mcp server url").await;
        realm.put(&mapper, |mapper| mapper["config"]["access.token.claim"] = json!("false")).await;
    },
    &[
        (
            "client scope mcp:read",
            &["no mapper puts http://localhost:9000/mcp-test-", "Client scopes > mcp:read > Mappers"]
        ),
        (
            "client scope mcp:tools",
            &[
                "names another MCP server, http://other:9000/mcp",
                "Client scopes > mcp:tools > Mappers > mcp server url"
            ]
        ),
        ("client scope mcp:run", &["mcp server url > Add to access token: On"]),
        // The others have it from mcp:prompts.
        ("token of mcp-readonly", &["its aud is \"echo-mcp-server\"", "Included Custom Audience"]),
    ]
);

broken!(
    no_audience_for_introspection_and_none_may_register,
    |realm| {
        for scope in ["mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"] {
            realm.delete(&realm.mapper(scope, "mcp server client").await).await;
        }
        let path = format!("/components/{}", realm.id(POLICIES, "providerId", "trusted-hosts").await);
        realm.put(&path, |policy| policy["config"]["trusted-hosts"] = json!(["10.9.8.7"])).await;
    },
    &[
        ("client scope mcp:read", &["\"mcp server client\" (oidc-audience-mapper)"]),
        ("client scope mcp:tools", &[]),
        ("client scope mcp:prompts", &[]),
        ("client scope mcp:run", &[]),
        ("introspection", &["not active for echo-mcp-server", "Included Client Audience echo-mcp-server"]),
        ("registration", &["403", "Anonymous access policies > Trusted Hosts"]),
        ("registration with a foreign redirect", &["not the redirect"]),
    ]
);

broken!(
    a_scope_is_gone,
    |realm| { realm.delete(&realm.scope("mcp:run").await).await },
    &[
        ("client scope mcp:run", &["it is not there"]),
        ("client scopes of new clients", &["they have not got mcp:run as Optional"]),
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
        ("token of guest", &["\"mcp:run\", expected \"\"", "Client scopes > mcp:run > Scope"]),
    ]
);

broken!(
    users_who_are_not_as_they_were,
    |realm| {
        let path = format!("{}/role-mappings/realm", realm.user("mcp-admin").await);
        let roles = [realm.entry("/roles", "name", "admin").await, realm.entry("/roles", "name", "readonly").await];
        assert_eq!(realm.ask(Method::DELETE, &path, Some(json!([roles[0]]))).await.0, 204);
        let user = realm.user("mcp-user").await;
        realm.put(&user, |user| user["enabled"] = json!(false)).await;
        let readonly = realm.user("mcp-readonly").await;
        let password = json!({ "type": "password", "value": "another1", "temporary": false });
        assert_eq!(realm.ask(Method::PUT, &format!("{readonly}/reset-password"), Some(password)).await.0, 204);
        let path = format!("{}/role-mappings/realm", realm.user("guest").await);
        assert_eq!(realm.ask(Method::POST, &path, Some(json!([roles[1]]))).await.0, 204);
    },
    &[
        ("token of mcp-admin", &["its scopes are \"\", expected \"mcp:read mcp:tools", "a role of mcp-admin"]),
        ("token of mcp-user", &["Account disabled", "Users > mcp-user > Enabled: On"]),
        ("token of mcp-readonly", &["Invalid user credentials", "Users > mcp-readonly > Credentials"]),
        ("token of guest", &["\"mcp:read\", expected \"\""]),
        ("introspection", &["a good token is not active"]),
    ]
);

broken!(
    a_role_too_many_an_audience_for_all_and_another_secret,
    |realm| {
        let mapper = realm.get(&realm.mapper("mcp:read", "mcp server url").await).await;
        let mapper = json!({
            "name": "for all", "protocol": mapper["protocol"], "protocolMapper": mapper["protocolMapper"],
            "config": mapper["config"],
        });
        let path = format!("{}/protocol-mappers/models", realm.scope("profile").await);
        assert_eq!(realm.ask(Method::POST, &path, Some(mapper)).await.0, 201);
        let path = format!("{}/role-mappings/realm", realm.user("mcp-user").await);
        let role = realm.entry("/roles", "name", "admin").await;
        assert_eq!(realm.ask(Method::POST, &path, Some(json!([role]))).await.0, 204);
        let client = realm.client("echo-mcp-server").await;
        realm.put(&client, |client| client["secret"] = json!("another")).await;
    },
    &[
        ("token of mcp-user", &["its roles are \"admin user\", expected \"user\"", "Users > mcp-user > Role mapping"]),
        ("token of guest", &["without any of its scopes", "none of kind Audience"]),
        ("introspection", &["Keycloak refuses the client echo-mcp-server", "Clients > echo-mcp-server > Credentials"]),
        ("introspection of a made-up token", &["Clients > echo-mcp-server > Credentials"]),
    ]
);

broken!(
    no_subject_and_anybody_may_register,
    |realm| {
        realm.delete(&realm.mapper("basic", "sub").await).await;
        realm.delete(&format!("/components/{}", realm.id(POLICIES, "providerId", "trusted-hosts").await)).await;
    },
    &[
        ("token of mcp-admin", &["it has no sub", "Client scopes > basic > Mappers: Subject (sub)"]),
        ("token of mcp-user", &[]),
        ("token of mcp-readonly", &[]),
        ("registration with a foreign redirect", &["a phisher's could", "Client URIs Must Match: On"]),
    ]
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn no_key_signs() {
    with_realm(|realm| async move {
        realm.fresh().await;
        let providers = "/components?type=org.keycloak.keys.KeyProvider";
        let path = format!("/components/{}", realm.id(providers, "providerId", "rsa-generated").await);
        realm.put(&path, |provider| provider["config"]["enabled"] = json!(["false"])).await;
        // Asked for a token, Keycloak makes a key of last resort: the other checks may find that.
        let (name, text) = realm.failures().await.swap_remove(0);
        assert_eq!(name, "signing keys");
        assert!(text.contains("no published key") && text.contains("Realm settings > Keys"), "{text}");
    })
    .await;
}

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
