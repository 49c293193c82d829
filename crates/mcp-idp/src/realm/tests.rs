//! Whole files: the one that this repository hands to Keycloak, what Keycloak makes of it, and bent ones.

use std::{sync::LazyLock, time::Duration};

use serde_json::{Value, json};

use super::*;

const FILE: &str = include_str!("../../../../keycloak/mcp-realm-realm.json");
/// What Keycloak 26.7.4 exports after it has imported that file; only its private keys are taken out.
const EXPORT: &str = include_str!("testdata/keycloak_export.json");

static REALM: LazyLock<Realm> = LazyLock::new(|| Realm::from_json(FILE).unwrap());

const MCP_SCOPES: [&str; 4] = ["mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"];

/// Users, the first letter of the scopes that each may be given (of `MCP_SCOPES`), and their roles.
const PEOPLE: [(&str, &str, &str); 7] = [
    ("mcp-admin", "rtpx", "admin"),
    ("mcp-user", "rtpx", "user"),
    ("mcp-readonly", "r", "readonly"),
    ("alice", "rtpx", "user"),
    ("bob", "r", "readonly"),
    ("guest", "", "guest"),
    ("service-account-echo-mcp-server", "rtpx", "user"),
];

/// A small realm, with these members besides or instead.
fn bent(members: Value) -> Value {
    let mut file = json!({
        "realm": "lab",
        "enabled": true,
        "roles": {"realm": [{"name": "user"}, {"name": "staff", "composites": {"realm": ["user"]}}]},
        "clientScopes": [{
            "name": "api:read",
            "protocol": "openid-connect",
            "protocolMappers": [{
                "name": "audience",
                "protocolMapper": "oidc-audience-mapper",
                "config": {"included.custom.audience": "https://api.example", "access.token.claim": "true"},
            }],
        }],
    });
    file.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    file
}

fn realm(members: Value) -> Realm {
    Realm::from_json(&bent(members).to_string()).unwrap()
}

fn notices(members: Value) -> Vec<String> {
    realm(members).notices().to_vec()
}

fn error(members: Value) -> String {
    Realm::from_json(&bent(members).to_string()).unwrap_err().to_string()
}

fn client(members: Value) -> Value {
    let mut client = json!({"clientId": "shop", "publicClient": true});
    client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({"clients": [client]})
}

fn user(members: Value) -> Value {
    let mut user =
        json!({"username": "carol", "enabled": true, "credentials": [{"type": "password", "value": "secret"}]});
    user.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({"users": [user]})
}

#[test]
fn our_realm_asks_for_nothing_that_is_not_honoured() {
    assert_eq!(REALM.notices(), [""; 0]);
    assert_eq!(REALM.name(), "mcp-realm");
    assert_eq!(REALM.access_token_lifetime(), Some(Duration::from_secs(300)));
}

#[test]
fn the_catalogue_is_what_leads_to_an_api() {
    let names: Vec<&str> = REALM.scopes().iter().map(Scope::name).collect();
    assert_eq!(names, ["offline_access", "mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"]);
    for scope in MCP_SCOPES.map(|name| REALM.scope(name).unwrap()) {
        assert_eq!(scope.audiences(), ["http://localhost:9000/mcp"]);
        assert_eq!(scope.introspectors(), ["echo-mcp-server"]);
    }
    let offline = REALM.scope("offline_access").unwrap();
    assert!(offline.audiences().is_empty() && offline.introspectors().is_empty());
    assert_eq!(REALM.scope("mcp:run").unwrap().text(), "Run JavaScript for you, in a sandbox");
    assert_eq!(REALM.default_scopes().count(), 0);
    for left_out in ["openid", "profile", "email", "basic", "roles", "web-origins", "mcp", ""] {
        assert!(REALM.scope(left_out).is_none(), "{left_out}");
    }
}

#[test]
fn who_may_be_given_what() {
    for (name, letters, role) in PEOPLE {
        let user = REALM.user(name).unwrap();
        let given = ["r", "t", "p", "x"].into_iter().zip(MCP_SCOPES).filter(|(_, scope)| {
            let scope = REALM.scope(scope).unwrap();
            scope.permitted_to(user)
        });
        assert_eq!(given.map(|(letter, _)| letter).collect::<String>(), letters, "{name}");
        assert!(REALM.scope("offline_access").unwrap().permitted_to(user), "{name}");
        assert_eq!(user.roles(), [role, "default-roles-mcp-realm", "offline_access", "uma_authorization"], "{name}");
    }
}

#[test]
fn the_clients_of_our_realm() {
    let [public, confidential] = REALM.clients() else { panic!("two clients") };
    assert_eq!((public.id(), public.name(), public.secret()), ("mcp-test-client", "MCP test client", None));
    assert_eq!(public.redirect_uris(), ["http://localhost/callback", "http://127.0.0.1/callback"]);
    assert!(public.standard_flow() && public.direct_access_grants());
    assert!(!public.service_account() && !public.consent_required());
    assert_eq!(public.scopes(), ["offline_access", "mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"]);
    assert_eq!(public.default_scopes(), [""; 0]);

    assert_eq!((confidential.id(), confidential.secret()), ("echo-mcp-server", Some("echo-mcp-server-secret")));
    assert!(!confidential.standard_flow() && !confidential.direct_access_grants());
    assert_eq!(REALM.service_account("echo-mcp-server").unwrap().username(), "service-account-echo-mcp-server");
    assert!(REALM.service_account("mcp-test-client").is_none());
    assert!(REALM.service_account("nobody").is_none());
    assert!(REALM.client("MCP-test-client").is_none());
}

#[test]
fn the_passwords_of_our_realm() {
    for (name, ..) in &PEOPLE[..6] {
        let password = format!("{}123", name.trim_start_matches("mcp-"));
        assert!(REALM.check_password(name, "wrong").is_none(), "{name}");
        assert_eq!(REALM.check_password(name, &password).unwrap().username(), *name);
        assert_eq!(REALM.check_password(&name.to_uppercase(), &password).unwrap().username(), *name);
        assert!(REALM.check_password(name, &password.to_uppercase()).is_none(), "{name}");
        assert!(REALM.check_password(name, "").is_none(), "{name}");
    }
    assert!(REALM.check_password("mallory", "alice123").is_none());
    assert!(REALM.check_password("service-account-echo-mcp-server", "").is_none());
}

#[test]
fn what_a_token_says_about_alice() {
    let alice = REALM.user("Alice").unwrap();
    assert_eq!(
        (alice.subject(), alice.display_name(), alice.email()),
        ("alice", "Alice Archer", Some("alice@example.com"))
    );
    assert_eq!(REALM.user_by_subject("alice").unwrap().username(), "alice");
    assert_eq!(
        Value::Object(REALM.claims(alice, &["mcp:read", "mcp:tools"])),
        json!({
            "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
            "realm_access": {"roles": ["user", "default-roles-mcp-realm", "offline_access", "uma_authorization"]},
        })
    );
}

/// The same file in, the same realm out, though Keycloak has spelled out two hundred settings and hashed the passwords.
#[test]
fn what_keycloak_exports_reads_the_same() {
    let export = Realm::from_json(EXPORT).unwrap();
    // One client had registered itself meanwhile.
    let [registered] = export.clients().iter().filter(|client| client.consent_required()).collect::<Vec<_>>()[..]
    else {
        panic!("one client that registered itself")
    };
    assert_eq!(export.notices(), [format!("client {}: without effect here: fullScopeAllowed", registered.id())]);
    assert_eq!(registered.redirect_uris(), ["http://127.0.0.1:4711/callback"]);
    assert_eq!(registered.secret(), None);
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    for scope in REALM.scopes() {
        let other = export.scope(scope.name()).unwrap();
        assert_eq!((scope.text(), scope.audiences()), (other.text(), other.audiences()));
        assert_eq!(scope.introspectors(), other.introspectors());
        for (name, ..) in PEOPLE {
            assert_eq!(scope.permitted_to(REALM.user(name).unwrap()), other.permitted_to(export.user(name).unwrap()));
        }
    }
    assert_eq!(REALM.scopes().len(), export.scopes().len());
    assert_eq!(export.clients().len(), 3, "without Keycloak's own");
    for client in REALM.clients() {
        let other = export.client(client.id()).unwrap();
        assert_eq!((client.name(), client.secret()), (other.name(), other.secret()));
        assert_eq!(sorted(client.redirect_uris()), sorted(other.redirect_uris()));
        assert_eq!(sorted(client.scopes()), sorted(other.scopes()));
    }
    for (name, ..) in PEOPLE {
        let (user, other) = (REALM.user(name).unwrap(), export.user(name).unwrap());
        assert_eq!(sorted(user.roles()), sorted(other.roles()));
        assert_eq!(other.subject().len(), 36, "an id of Keycloak's");
        assert!(Arc::ptr_eq(export.user_by_subject(other.subject()).unwrap(), other));
    }
    assert!(export.check_password("alice", "alice123").is_some());
    assert!(export.check_password("alice", "alice124").is_none());
}

#[test]
fn no_secret_is_printed() {
    let printed = format!("{REALM:?} {:?} {:?}", Realm::from_json(EXPORT).unwrap(), REALM.clients());
    let hash = "secretData";
    for secret in ["echo-mcp-server-secret", "alice123", hash] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[test]
fn a_user_who_may_not_log_in_with_a_password_alone_does_not() {
    assert!(realm(user(json!({}))).check_password("carol", "secret").is_some());
    for (members, why) in [
        (json!({"requiredActions": ["UPDATE_PASSWORD"]}), "it has required actions (UPDATE_PASSWORD)"),
        (json!({"totp": true}), "it has a one-time password (totp)"),
        (
            json!({"credentials": [{"type": "password", "value": "secret"}, {"type": "otp", "secretData": "{}"}]}),
            "it has a credential of the type otp",
        ),
        (
            json!({"credentials": [{"type": "webauthn"}, {"type": "password", "value": "secret"}]}),
            "it has a credential of the type webauthn",
        ),
        (
            json!({"credentials": [{"type": "password", "value": "secret", "temporary": true}]}),
            "its password is to be changed (temporary)",
        ),
        (
            json!({"credentials": [{"type": "password", "value": "secret"}, {"type": "password", "value": "other"}]}),
            "it has several passwords",
        ),
        (json!({"credentials": [{"type": "password", "value": ""}]}), "its password is empty"),
        (json!({"credentials": [{"type": "password"}]}), "its password is not in the file"),
        (json!({"serviceAccountClientId": "shop"}), "it is a service account"),
    ] {
        let mut file = user(members);
        file["clients"] = json!([{"clientId": "shop", "secret": "s", "serviceAccountsEnabled": true}]);
        let realm = realm(file);
        assert_eq!(realm.notices(), [format!("user carol: {why}; the password is no login")]);
        assert!(realm.check_password("carol", "secret").is_none(), "{why}");
        assert!(realm.check_password("carol", "").is_none(), "{why}");
        assert!(realm.user("carol").is_some(), "{why}");
    }
    let mut unverified = user(json!({}));
    unverified["verifyEmail"] = json!(true);
    let unverified = realm(unverified);
    assert!(unverified.check_password("carol", "secret").is_none());
    assert_eq!(unverified.notices().len(), 1);
    let history = json!({"credentials": [{"type": "password", "value": "secret"}, {"type": "password-history"}]});
    assert!(realm(user(history)).check_password("carol", "secret").is_some());
}

#[test]
fn a_disabled_user_is_known_and_gets_nothing() {
    let disabled = realm(user(json!({"enabled": false})));
    assert_eq!(disabled.notices(), [""; 0]);
    assert!(!disabled.user("carol").unwrap().is_enabled());
    assert!(disabled.check_password("carol", "secret").is_none());

    let unsaid = realm(user(json!({"enabled": null})));
    assert!(unsaid.check_password("carol", "secret").is_none());
    let notice = "user carol: enabled is missing, and Keycloak takes that for false; so it is here";
    assert_eq!(unsaid.notices(), [notice]);
}

#[test]
fn a_service_account_without_a_user_in_the_file() {
    let confidential =
        |members| client(json!({"publicClient": false, "secret": "s", "serviceAccountsEnabled": members}));
    let on = realm(confidential(true));
    let account = on.service_account("shop").unwrap();
    assert_eq!((account.username(), account.subject()), ("service-account-shop", "service-account-shop"));
    assert_eq!(account.roles(), ["user"]);
    assert!(on.user_by_subject("service-account-shop").is_some());
    assert!(on.check_password("service-account-shop", "").is_none());
    assert!(realm(confidential(false)).service_account("shop").is_none());

    let mut without_role = confidential(true);
    without_role["roles"] = json!({"realm": [{"name": "staff"}]});
    assert_eq!(realm(without_role).service_account("shop").unwrap().roles(), [""; 0]);

    let mut disabled = confidential(true);
    disabled["users"] = json!([{"username": "robot", "enabled": false, "serviceAccountClientId": "shop"}]);
    let disabled = realm(disabled);
    assert!(disabled.service_account("shop").is_none());
    assert!(disabled.user("service-account-shop").is_none());

    let public = client(json!({"serviceAccountsEnabled": true}));
    assert!(realm(public).service_account("shop").is_none(), "whoever says its name would be it");
}

#[test]
fn clients_that_are_left_out() {
    for (members, why) in [
        (json!({"enabled": false}), "it is disabled"),
        (json!({"protocol": "saml"}), "it speaks saml"),
        (json!({"publicClient": false}), "it is confidential and its secret is not in the file"),
        (json!({"publicClient": false, "secret": ""}), "it is confidential and its secret is not in the file"),
        (json!({"publicClient": null}), "it is confidential and its secret is not in the file"),
        (
            json!({"publicClient": false, "secret": "**********"}),
            "its secret is masked in the file, as in a partial export",
        ),
        (json!({"publicClient": false, "secret": "${vault.shop}"}), "its secret is in a vault"),
        (
            json!({"publicClient": false, "secret": "s", "clientAuthenticatorType": "client-jwt"}),
            "it authenticates by client-jwt",
        ),
    ] {
        let realm = realm(client(members));
        assert_eq!(realm.notices(), [format!("client shop: {why}; left out")]);
        assert!(realm.client("shop").is_none());
    }
    let keycloaks_own = realm(json!({"clients": [
        {"clientId": "admin-cli", "publicClient": true, "directAccessGrantsEnabled": true},
    ]}));
    assert!(keycloaks_own.clients().is_empty() && keycloaks_own.notices().is_empty());
    let bearer_only = realm(client(json!({"publicClient": false, "secret": "s", "bearerOnly": true})));
    let bearer_only = bearer_only.client("shop").unwrap();
    assert!(!bearer_only.standard_flow() && !bearer_only.direct_access_grants() && !bearer_only.service_account());
}

#[test]
fn a_redirect_uri_is_one_uri() {
    let uris = [
        ("http://localhost/*", "is a pattern"),
        ("http://localhost:*/callback", "is a pattern"),
        ("*", "is a pattern"),
        ("/callback", "is not absolute"),
        ("", "is not absolute"),
        ("https://shop.example/#top", "has a fragment"),
        ("javascript:alert(1)", "has a scheme that is no address"),
        ("data:text/html,x", "has a scheme that is no address"),
    ];
    let exact = ["https://shop.example/callback?from=here", "com.example.shop:/callback", "http://127.0.0.1:7000/"];
    let all: Vec<&str> = uris.iter().map(|(uri, _)| *uri).chain(exact).collect();
    let realm = realm(client(json!({"redirectUris": all})));
    assert_eq!(realm.client("shop").unwrap().redirect_uris(), exact);
    let expected: Vec<String> =
        uris.iter().map(|(uri, why)| format!("client shop: redirect URI {uri} {why}; left out")).collect();
    assert_eq!(realm.notices(), expected);
}

#[test]
fn the_scopes_of_a_client() {
    let scopes = |members: Value| {
        let mut file = client(members);
        file["defaultDefaultClientScopes"] = json!(["profile", "api:read"]);
        file["defaultOptionalClientScopes"] = json!(["offline_access"]);
        let mut scopes = bent(json!({}))["clientScopes"].clone();
        scopes.as_array_mut().unwrap().push(json!({"name": "offline_access", "protocol": "openid-connect"}));
        file["clientScopes"] = scopes;
        let realm = realm(file);
        let client = realm.client("shop").unwrap();
        (client.scopes().to_vec().join(" "), client.default_scopes().join(" "), realm.notices().to_vec())
    };
    assert_eq!(scopes(json!({})), ("api:read offline_access".into(), "api:read".into(), vec![]));
    // Whoever names one list has nothing of the realm's other.
    let optional = json!({"optionalClientScopes": ["api:read", "api:read", "email"]});
    assert_eq!(scopes(optional), ("api:read".into(), String::new(), vec![]));
    let unknown = json!({"defaultClientScopes": ["api:rad"]});
    let notice = "client shop: there is no client scope api:rad".to_owned();
    assert_eq!(scopes(unknown), (String::new(), String::new(), vec![notice]));
}

#[test]
fn a_scope_is_for_the_roles_that_it_is_mapped_to() {
    let realm = |mappings: Value| {
        let mut file = user(json!({"realmRoles": ["user"]}));
        file["scopeMappings"] = mappings;
        realm(file)
    };
    let permitted = |realm: &Realm| realm.scope("api:read").unwrap().permitted_to(realm.user("carol").unwrap());
    assert!(permitted(&realm(json!([]))), "mapped to none: for everybody");
    assert!(!permitted(&realm(json!([{"clientScope": "api:read", "roles": ["admin"]}]))));
    assert!(!permitted(&realm(json!([{"clientScope": "api:read", "roles": []}]))));
    assert!(permitted(&realm(json!([{"clientScope": "api:read", "roles": ["admin", "user"]}]))));
    // Keycloak 26.7.4 opens composite roles on both sides.
    assert!(permitted(&realm(json!([{"clientScope": "api:read", "roles": ["staff"]}]))));
    assert!(permitted(&realm(json!([{"client": "shop", "roles": ["admin"]}]))));

    let by_client_role = super::tests::realm(json!({
        "users": user(json!({"realmRoles": ["user"]}))["users"],
        "clientScopeMappings": {"shop": [{"clientScope": "api:read", "roles": ["buyer"]}]},
    }));
    assert!(!permitted(&by_client_role));
    assert_eq!(by_client_role.notices(), ["client scope api:read: roles of the client shop permit nothing here"]);
}

#[test]
fn offline_access_is_for_holders_of_the_role() {
    let realm = |roles: Value| {
        let mut file = user(json!({"realmRoles": roles}));
        file["clientScopes"] = json!([{"name": "offline_access", "protocol": "openid-connect"}]);
        let realm = realm(file);
        realm.scope("offline_access").unwrap().permitted_to(realm.user("carol").unwrap())
    };
    assert!(!realm(json!(["user"])));
    assert!(realm(json!(["offline_access"])));
    assert!(realm(json!(["default-roles-lab"])));
}

#[test]
fn what_is_there_twice_is_an_error() {
    let scope = json!({"name": "a", "protocol": "openid-connect"});
    for (members, expected) in [
        (
            json!({"clients": [{"clientId": "a"}, {"clientId": "a"}]}),
            "clients[1].clientId: there is another client of this name",
        ),
        (json!({"clientScopes": [scope, scope]}), "clientScopes[1].name: there is another client scope a"),
        (json!({"roles": {"realm": [{"name": "a"}, {"name": "a"}]}}), "roles.realm[1].name: there is another role a"),
        (
            json!({"users": [{"username": "A", "enabled": true}, {"username": "a", "enabled": true}]}),
            "users[1].username: there is another user a",
        ),
        (
            json!({"users": [{"username": "a", "enabled": true, "id": "1"}, {"username": "b", "enabled": true, "id": "1"}]}),
            "users[1].id: there is another user 1",
        ),
        (
            json!({"users": [{"username": "a", "enabled": true}, {"username": "b", "enabled": true, "id": "a"}]}),
            "users[1].id: there is another user a",
        ),
        (
            json!({"users": [
                {"username": "a", "enabled": true, "serviceAccountClientId": "shop"},
                {"username": "b", "enabled": true, "serviceAccountClientId": "shop"},
            ]}),
            "users[1].serviceAccountClientId: there is another service account of shop",
        ),
        (
            json!({
                "clients": [{"clientId": "Shop", "secret": "s", "serviceAccountsEnabled": true}],
                "users": [{"username": "service-account-shop", "enabled": true}],
            }),
            "users: there is another user service-account-shop, and client Shop needs it",
        ),
    ] {
        assert_eq!(error(members), format!("the realm file, {expected}"));
    }
}

#[test]
fn what_is_no_realm() {
    assert!(Realm::from_json("").unwrap_err().to_string().starts_with("the realm file is not JSON: EOF"));
    assert!(Realm::from_json(&"[".repeat(100_000)).is_err());
    for (file, expected) in [
        ("[]", "the whole: expected an object, found a list"),
        ("{}", "realm: is missing"),
        (r#"{"realm": null}"#, "realm: is missing"),
        (r#"{"realm": ""}"#, "realm: is empty"),
        (r#"{"realm": 7}"#, "realm: expected a string, found a number"),
        (r#"{"realm": "a/b"}"#, "realm: is no name for a part of a URL: letters, digits, - . _ ~"),
        (r#"{"realm": ".."}"#, "realm: is no name for a part of a URL: letters, digits, - . _ ~"),
        (r#"{"realm": "a", "enabled": false}"#, "enabled: the realm is disabled"),
        (r#"{"realm": "a", "enabled": "yes"}"#, "enabled: expected true or false, found a string"),
    ] {
        assert_eq!(Realm::from_json(file).unwrap_err().to_string(), format!("the realm file, {expected}"), "{file}");
    }
    for (members, expected) in [
        (json!({"accessTokenLifespan": 0}), "accessTokenLifespan: expected a whole number above 0, found a number"),
        (json!({"accessTokenLifespan": -1}), "accessTokenLifespan: expected a whole number above 0, found a number"),
        (json!({"accessTokenLifespan": 1.5}), "accessTokenLifespan: expected a whole number above 0, found a number"),
        (json!({"accessTokenLifespan": 1e30}), "accessTokenLifespan: expected a whole number above 0, found a number"),
        (json!({"users": {}}), "users: expected a list, found an object"),
        (json!({"users": [null]}), "users[0]: expected an object, found null"),
        (json!({"users": [{}]}), "users[0].username: is missing"),
        (json!({"users": [{"username": " "}]}), "users[0].username: is empty"),
        (user(json!({"id": ""})), "users[0].id: is empty"),
        (user(json!({"realmRoles": ["a", 7]})), "users[0].realmRoles[1]: expected a string, found a number"),
        (user(json!({"attributes": {"a": 7}})), "users[0].attributes.a: expected a list, found a number"),
        (user(json!({"credentials": [{}]})), "users[0].credentials[0].type: is missing"),
        (client(json!({"clientId": ""})), "clients[0].clientId: is empty"),
        (client(json!({"redirectUris": "http://a"})), "clients[0].redirectUris: expected a list, found a string"),
        (client(json!({"publicClient": "true"})), "clients[0].publicClient: expected true or false, found a string"),
        (
            json!({"clientScopes": [{"name": "a", "protocol": "openid-connect", "protocolMappers": [{}]}]}),
            "clientScopes[0].protocolMappers[0].protocolMapper: is missing",
        ),
    ] {
        assert_eq!(error(members), format!("the realm file, {expected}"));
    }
}

/// Each value of our own file in turn is exchanged for something else; nothing may panic.
#[test]
fn no_bent_file_panics() {
    fn paths(value: &Value, path: String, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    paths(value, format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(index, value)| paths(value, format!("{path}/{index}"), found));
            }
            _ => {}
        }
        found.push(path);
    }
    let mut file: Value = serde_json::from_str(FILE).unwrap();
    // The scopes of the API are built alike: one is enough.
    file["clientScopes"].as_array_mut().unwrap().truncate(7);
    let mut found = Vec::new();
    paths(&file, String::new(), &mut found);
    assert!(found.len() > 300, "{}", found.len());
    let mut refused = 0;
    for path in &found {
        for other in [json!(null), json!(true), json!(""), json!("*"), json!([[]]), json!({"": {}})] {
            let mut bent = file.clone();
            *bent.pointer_mut(path).unwrap() = other;
            refused += usize::from(Realm::from_value(&bent).is_err());
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn settings_that_have_no_effect_are_named_once() {
    assert_eq!(
        notices(json!({
            "bruteForceProtected": true,
            "ssoSessionIdleTimeout": 60,
            "revokeRefreshToken": false,
            "loginTheme": "ours",
            "passwordPolicy": "length(8)",
            "acessTokenLifespan": 60,
            "identityProviders": [{"alias": "github"}, {"alias": "google"}],
            "groups": [{"name": "makers"}],
            "clientPolicies": {"policies": [{"name": "strict"}]},
            "attributes": {"frontendUrl": "https://login.example", "cibaInterval": "5"},
        })),
        [
            "realm: without effect here: bruteForceProtected, ssoSessionIdleTimeout, passwordPolicy, acessTokenLifespan, \
          identityProviders (github, google), groups (makers), clientPolicies (strict), attributes.frontendUrl"
        ]
    );
    assert_eq!(
        notices(json!({"components": {
            "org.keycloak.storage.UserStorageProvider": [{"name": "ldap", "providerId": "ldap-generated"}],
            "org.keycloak.keys.KeyProvider": [
                {"name": "made", "providerId": "rsa-generated"}, {"name": "brought", "providerId": "rsa"},
            ],
            "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy": [{"name": "Trusted Hosts"}],
        }})),
        [
            "components: without effect here: UserStorageProvider (ldap)",
            "components: without effect here: KeyProvider (brought)",
        ]
    );
    let client_roles = json!({"client": {"account": [{"name": "a"}], "shop": [{"name": "buyer"}], "empty": []}});
    assert_eq!(notices(json!({"roles": client_roles})), ["roles: without effect here: client roles (shop)"]);
}

/// A second factor for everybody is the setting that must not vanish without a word.
#[test]
fn a_login_that_asks_for_more_is_reported() {
    let mut export: Value = serde_json::from_str(EXPORT).unwrap();
    let flows = export["authenticationFlows"].as_array_mut().unwrap();
    let forms = flows.iter_mut().find(|flow| flow["alias"] == "forms").unwrap();
    assert_eq!(forms["authenticationExecutions"][1]["flowAlias"], "Browser - Conditional 2FA");
    forms["authenticationExecutions"][1]["requirement"] = json!("REQUIRED");
    let realm = Realm::from_json(&export.to_string()).unwrap();
    let expected = "authenticationFlows: a login is a username and a password here, whatever is in: forms";
    assert!(realm.notices().iter().any(|notice| notice == expected), "{:?}", realm.notices());
    assert_eq!(notices(json!({"browserFlow": "with cards"})), ["realm: without effect here: browserFlow"]);
}

#[test]
fn what_a_client_or_a_user_asks_for_in_vain() {
    assert_eq!(
        notices(client(json!({
            "implicitFlowEnabled": true,
            "fullScopeAllowed": false,
            "authenticationFlowBindingOverrides": {"browser": "x"},
            "attributes": {
                "dpop.bound.access.tokens": "true", "use.refresh.tokens": "false", "access.token.lifespan": "60",
                "oauth2.device.authorization.grant.enabled": "false", "pkce.code.challenge.method": "S256",
            },
            "protocolMappers": [
                {"name": "locale", "protocolMapper": "oidc-usermodel-attribute-mapper"},
                {"name": "resolve", "protocolMapper": "oidc-audience-resolve-mapper"},
            ],
        }))),
        [
            "client shop: without effect here: implicitFlowEnabled, fullScopeAllowed, authenticationFlowBindingOverrides, \
          attributes.dpop.bound.access.tokens, attributes.use.refresh.tokens, attributes.access.token.lifespan, \
          mapper locale"
        ]
    );
    assert_eq!(
        notices(user(json!({"groups": ["/makers"], "clientRoles": {"shop": ["buyer"]}, "federatedIdentities": []}))),
        ["user carol: without effect here: groups, clientRoles"]
    );
    assert_eq!(notices(user(json!({"clientRoles": {"account": ["view-profile"]}}))), [""; 0]);
    assert_eq!(
        notices(user(json!({"serviceAccountClientId": "shop", "credentials": []}))),
        ["user carol: there is no client shop here"]
    );
}
