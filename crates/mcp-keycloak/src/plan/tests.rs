use serde_json::json;

use super::*;

const REALM: &str = include_str!("../../../../keycloak/mcp-realm-realm.json");

fn plan() -> RealmPlan {
    RealmPlan::from_json(REALM).unwrap()
}

/// The file with a change.
fn changed(change: impl FnOnce(&mut Value)) -> Result<RealmPlan, PlanError> {
    let mut file: Value = serde_json::from_str(REALM).unwrap();
    change(&mut file);
    RealmPlan::from_json(&file.to_string())
}

fn grant(plan: &RealmPlan, user: &str) -> Grant {
    let user = plan.users.iter().find(|other| other.name == user).unwrap();
    plan.grant(user, plan.password_client().unwrap())
}

#[test]
fn the_realm_of_this_repository() {
    let plan = plan();
    assert_eq!((plan.realm(), plan.audience()), ("mcp-realm", "http://localhost:9000/mcp"));
    assert_eq!(plan.scopes().collect::<Vec<_>>(), ["mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"]);
    assert_eq!(plan.password_client().unwrap().id, "mcp-test-client");
    assert_eq!(plan.introspection_client().unwrap().id, "echo-mcp-server");
    let users: Vec<_> = plan.sample_users().into_iter().map(|user| user.name.as_str()).collect();
    assert_eq!(users, ["mcp-admin", "mcp-user", "mcp-readonly", "guest"], "alice and bob are like two of them");
    assert_eq!(plan.policies.len(), 7);
    assert!(plan.clients.iter().all(|client| client.assigned.optional.len() == 5), "they have the realm's");
}

/// REALM.md's table.
#[test]
fn who_may_be_given_what() {
    let plan = plan();
    let all = ["mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"];
    for (user, scopes, role) in [
        ("mcp-admin", &all[..], "admin"),
        ("mcp-user", &all, "user"),
        ("alice", &all, "user"),
        ("mcp-readonly", &["mcp:read"], "readonly"),
        ("guest", &[], "guest"),
    ] {
        assert_eq!(
            grant(&plan, user),
            Grant { scopes: scopes.iter().map(ToString::to_string).collect(), roles: vec![role.to_owned()] }
        );
    }
}

#[test]
fn grants_follow_the_file() {
    let plan = changed(|file| {
        // A role inside of another; a scope for everybody; a client that shows the roles of its scopes alone.
        file["roles"]["realm"][3]["composites"] = json!({ "realm": ["readonly"] });
        file["scopeMappings"].as_array_mut().unwrap().retain(|mapping| mapping["clientScope"] != "mcp:run");
        file["clients"][0]["fullScopeAllowed"] = json!(false);
    })
    .unwrap();
    assert_eq!(
        grant(&plan, "guest"),
        Grant { scopes: vec!["mcp:read".into(), "mcp:run".into()], roles: vec!["readonly".into()] }
    );
    let plan = changed(|file| file["clients"][0]["optionalClientScopes"] = json!(["mcp:tools"])).unwrap();
    assert_eq!(
        grant(&plan, "mcp-user").scopes,
        ["mcp:tools"],
        "what the client may not ask for, nobody gets through it"
    );
}

#[test]
fn another_name_everywhere_it_is_mentioned() {
    let plan = changed(|file| {
        file["clients"][0]["baseUrl"] = json!("/realms/mcp-realm/account/");
        file["clients"][0]["rootUrl"] = json!("https://x.example/realms/mcp-realm-2");
    })
    .unwrap()
    .named("Other.1")
    .unwrap();
    let text = plan.file.to_string();
    assert_eq!(plan.realm(), "Other.1");
    assert_eq!(text.matches("default-roles-other.1").count(), 7, "of each user, in lower case as Keycloak has it");
    assert!(!text.contains("default-roles-mcp-realm"));
    assert_eq!(plan.clients[0].file["baseUrl"], "/realms/Other.1/account/");
    assert_eq!(plan.clients[0].file["rootUrl"], "https://x.example/realms/mcp-realm-2", "another realm");
    assert_eq!(grant(&plan, "mcp-user"), grant(&self::plan(), "mcp-user"));
    assert_eq!(plan.named("mcp-realm").unwrap().realm(), "mcp-realm");
}

#[test]
fn names_that_no_realm_can_have() {
    for name in ["", ".", "..", "master", "a/b", "a b", "a%2fb", "réalm", "a?b", "a#b", "a\n"] {
        let error = plan().named(name).unwrap_err();
        assert!(matches!(&error, PlanError::Name { name: named, .. } if named == name), "{error}");
        assert!(changed(|file| file["realm"] = json!(name)).is_err(), "{name:?} in the file");
    }
}

#[test]
fn another_mcp_server_and_nothing_else() {
    let (old, new) = (plan(), plan().protecting("https://mcp.example.com/a").unwrap());
    assert_eq!(new.audience(), "https://mcp.example.com/a");
    let back = new.file.to_string().replace("https://mcp.example.com/a", "http://localhost:9000/mcp");
    assert_eq!(back, old.file.to_string());
    assert_eq!(new.file.to_string().matches("https://mcp.example.com/a").count(), 4);
    for url in ["", "mcp", "ftp://x/mcp", "http://x/mcp#f", "http://u@x/mcp", "http://x/m cp"] {
        let error = plan().protecting(url).unwrap_err();
        assert!(matches!(&error, PlanError::Resource { url: of, .. } if of == url), "{error}");
    }
}

#[test]
fn bad_files_say_where() {
    type Damage = fn(&mut Value);
    let cases: [(Damage, &str); 22] = [
        (|file| *file = json!([]), "the whole: expected an object, found a list"),
        (|file| file["realm"] = json!(7), "realm: expected a string, found a number"),
        (|file| file["realm"] = Value::Null, "the whole: realm is missing"),
        (|file| file["clientScopes"] = json!({}), "clientScopes: expected a list, found an object"),
        (|file| file["clientScopes"] = json!([]), "scopeMappings[0]: there is no client scope \"offline_access\""),
        (|file| file["clientScopes"][6]["name"] = json!(""), "clientScopes[6]: name is missing"),
        (|file| file["clientScopes"][7]["name"] = json!("mcp:read"), "clientScopes[7]: \"mcp:read\" is there twice"),
        (
            |file| file["clientScopes"][6]["protocolMappers"][1]["name"] = json!("mcp server url"),
            "clientScopes[6].protocolMappers[1]: \"mcp server url\" is there twice",
        ),
        (
            |file| {
                file["clientScopes"][7]["protocolMappers"][0]["config"]["included.custom.audience"] = json!("http://x/")
            },
            "clientScopes[7].protocolMappers[0]: the scope mcp:tools is for \"http://x/\", another one for \"http://localhost:9000/mcp\"",
        ),
        (
            |file| {
                file["clientScopes"][6]["protocolMappers"][1]["config"]["included.client.audience"] = json!("nobody")
            },
            "clientScopes[6].protocolMappers[1]: there is no client \"nobody\" for the audience of the scope mcp:read",
        ),
        (
            |file| file["clientScopes"][6]["protocolMappers"][0]["config"]["included.custom.audience"] = json!(true),
            "clientScopes[6].protocolMappers[0].config.included.custom.audience: expected a string, found a boolean",
        ),
        (
            |file| {
                file["clientScopes"]
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .for_each(|scope| scope["protocolMappers"] = json!([]))
            },
            "the whole: no client scope has an oidc-audience-mapper",
        ),
        (|file| file["roles"]["realm"][1]["name"] = json!("admin"), "roles.realm[1]: \"admin\" is there twice"),
        (
            |file| file["roles"]["realm"][0]["composites"] = json!({ "realm": ["user", "king"] }),
            "roles.realm[0].composites.realm[1]: there is no realm role \"king\"",
        ),
        (
            |file| file["scopeMappings"][1]["roles"][2] = json!("king"),
            "scopeMappings[1].roles[2]: there is no realm role \"king\"",
        ),
        (
            |file| file["scopeMappings"][1]["clientScope"] = json!("x"),
            "scopeMappings[1]: there is no client scope \"x\"",
        ),
        (
            |file| file["defaultOptionalClientScopes"][1] = json!("mcp:reed"),
            "defaultOptionalClientScopes[1]: there is no client scope \"mcp:reed\"",
        ),
        (
            |file| file["clients"][1]["clientId"] = json!("mcp-test-client"),
            "clients[1]: \"mcp-test-client\" is there twice",
        ),
        (
            |file| file["clients"][0]["publicClient"] = json!("true"),
            "clients[0].publicClient: expected true or false, found a string",
        ),
        (
            |file| file["users"][2]["realmRoles"][0] = json!("king"),
            "users[2].realmRoles[0]: there is no realm role \"king\"",
        ),
        (|file| file["users"][1]["username"] = json!("mcp-admin"), "users[1]: \"mcp-admin\" is there twice"),
        (
            |file| file["users"][6]["serviceAccountClientId"] = json!("x"),
            "users[6]: there is no client \"x\" for this service account",
        ),
    ];
    for (damage, expected) in cases {
        let error = changed(damage).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the realm file, {expected}")), "{error}\nexpected {expected}");
    }
    assert!(matches!(RealmPlan::from_json("{"), Err(PlanError::Syntax(_))));
}

#[test]
fn nothing_shows_passwords_and_secrets() {
    let shown = format!("{:?}", plan());
    assert!(shown.contains("mcp:run") && !shown.contains("123") && !shown.contains("secret"), "{shown}");
    type Damage = fn(&mut Value);
    let cases: [Damage; 4] = [
        |file| file["users"][0]["credentials"] = json!("hunter2"),
        |file| file["users"][0]["credentials"][0] = json!("hunter2"),
        |file| file["users"][0]["credentials"][0]["value"] = json!(["hunter2"]),
        |file| file["clients"][1]["secret"] = json!({ "hunter2": "hunter2" }),
    ];
    for damage in cases {
        let error = changed(damage).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

/// What is left mentions nobody who is not.
#[test]
fn without_what_everybody_knows() {
    let plan = changed(|file| {
        let clients = file["clients"].as_array_mut().unwrap();
        clients.push(json!({ "clientId": "web", "publicClient": true, "redirectUris": ["https://web.example/"] }));
        clients.push(json!({ "clientId": "job", "serviceAccountsEnabled": true }));
        clients.push(json!({ "clientId": "masked", "secret": "**********" }));
        let users = file["users"].as_array_mut().unwrap();
        users.push(
            json!({ "username": "service-account-job", "serviceAccountClientId": "job", "realmRoles": ["user"] }),
        );
        users.push(json!({ "username": "carol", "clientRoles": { "echo-mcp-server": ["x"], "web": ["y"] } }));
        users.push(json!({ "username": "hashed", "credentials": [{ "type": "password", "secretData": "{}" }] }));
        file["roles"]["client"] = json!({ "echo-mcp-server": [{ "name": "x" }], "web": [{ "name": "y" }] });
        file["roles"]["realm"][0]["composites"] = json!({ "client": { "echo-mcp-server": ["x"], "web": ["y"] } });
        file["clientScopeMappings"] = json!({ "mcp-test-client": [{ "client": "web", "roles": ["y"] }] });
        let mappings = file["scopeMappings"].as_array_mut().unwrap();
        mappings.push(json!({ "client": "mcp-test-client", "roles": ["user"] }));
        mappings.push(json!({ "client": "web", "roles": ["user"] }));
    })
    .unwrap();
    let left = plan.without_known_credentials();
    let in_file = |list: &str, member: &str| -> Vec<String> {
        left.file[list].as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(left.clients.iter().map(|client| &client.id).collect::<Vec<_>>(), ["web", "job"]);
    assert_eq!(in_file("clients", "clientId"), ["web", "job"]);
    assert_eq!(left.users.iter().map(|user| &user.name).collect::<Vec<_>>(), ["service-account-job", "carol"]);
    assert_eq!(in_file("users", "username"), ["service-account-job", "carol"]);
    assert_eq!(left.file["roles"]["client"], json!({ "web": [{ "name": "y" }] }));
    assert_eq!(left.file["roles"]["realm"][0]["composites"]["client"], json!({ "web": ["y"] }));
    assert_eq!(left.file["users"][1]["clientRoles"], json!({ "web": ["y"] }));
    assert_eq!(left.file["clientScopeMappings"], json!({}));
    assert_eq!(left.file["scopeMappings"].as_array().unwrap().len(), 6);
    assert!(plan.file.to_string().contains("admin123"), "it was there");
    for known in ["admin123", "echo-mcp-server-secret", "\"credentials\"", "\"secret\"", "mcp-test-client"] {
        assert!(!left.file.to_string().contains(known), "{known}");
    }
    assert_eq!(left.scopes().collect::<Vec<_>>(), plan.scopes().collect::<Vec<_>>());
}
