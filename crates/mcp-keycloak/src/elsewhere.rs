//! A Keycloak that is not on this machine. It is one that is, under a name that only these tests resolve.

use reqwest::Client;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::{Change, Keycloak, RealmPlan};

const REALM: &str = include_str!("../../../keycloak/mcp-realm-realm.json");

fn admin(url: &str) -> Keycloak {
    Keycloak::new(url, "admin", "admin").unwrap()
}

#[test]
fn which_keycloaks_are_local() {
    for url in ["http://localhost:8080", "https://localhost", "http://127.0.0.1:8080/", "http://[::1]:1/auth"] {
        assert!(admin(url).is_local(), "{url}");
    }
    for url in [
        "https://id.example.com",
        "https://localhost.example.com",
        "https://example.com/localhost",
        "https://10.0.0.1",
        "https://0.0.0.0",
        "https://[::2]",
        "https://127.0.0.1.nip.example",
    ] {
        assert!(!admin(url).is_local(), "{url}");
    }
}

/// Makes a realm and verifies it, at this Keycloak; gives what was made, the realm's clients and users, and the report.
async fn run(
    keycloak: &Keycloak,
    plan: &RealmPlan,
    exists: bool,
) -> (Vec<Change>, Vec<String>, Vec<String>, Vec<String>) {
    let here = admin(&std::env::var("KEYCLOAK_TEST_URL").unwrap());
    let path = format!("/{}", plan.realm());
    if exists {
        let empty = serde_json::json!({ "realm": plan.realm(), "enabled": true });
        here.make("make a realm", "", &empty).await.unwrap();
    }
    let made = keycloak.set_up(plan).await;
    let again = keycloak.set_up(plan).await;
    let report = keycloak.verify(plan).await;
    println!("{report}");
    let names = |things: Vec<Value>, member: &str| -> Vec<String> {
        things.iter().map(|thing| thing[member].as_str().unwrap().to_owned()).collect()
    };
    let clients = here.list("list clients", &format!("{path}/clients"), &[]).await.unwrap();
    let users = here.list("list users", &format!("{path}/users"), &[]).await.unwrap();
    here.delete(&path).await;
    assert_eq!(again.unwrap(), []);
    let failures = report.failures().map(|(name, failure)| format!("{name}: {} > {}", failure.found, failure.advice));
    (made.unwrap(), names(clients, "clientId"), names(users, "username"), failures.collect())
}

impl Keycloak {
    async fn delete(&self, path: &str) {
        let token = self.admin_token().await.unwrap();
        let url = format!("{}/admin/realms{path}", self.url());
        assert_eq!(self.client.delete(url).bearer_auth(token).send().await.unwrap().status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs KEYCLOAK_TEST_URL"]
async fn no_known_credentials_elsewhere() {
    let mut base = Url::parse(&std::env::var("KEYCLOAK_TEST_URL").unwrap()).unwrap();
    let address = base.socket_addrs(|| None).unwrap()[0];
    base.set_host(Some("keycloak.example")).unwrap();
    let client = Client::builder().no_proxy().resolve("keycloak.example", address).build().unwrap();
    let (user, password) = ("admin".to_owned(), "admin".to_owned());
    let elsewhere = Keycloak { base, client, user, password, token: Mutex::default() };
    assert!(!elsewhere.is_local());
    for exists in [false, true] {
        let name = format!("mcp-test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let plan = RealmPlan::from_json(REALM).unwrap().named(&name).unwrap();
        let (made, clients, users, failures) = run(&elsewhere, &plan, exists).await;
        assert_eq!(users, [""; 0], "exists: {exists}");
        assert_eq!(clients.len(), 6, "Keycloak's own: {clients:?}");
        assert!(!clients.iter().any(|id| id == "mcp-test-client" || id == "echo-mcp-server"), "{clients:?}");
        let (realm, scope) = (Change::Realm(name), Change::Scope("mcp:run".to_owned()));
        assert!(made == [realm] || exists && made.contains(&scope), "{made:?}");
        for said in [
            "tokens: no client mcp-test-client here: it is for people whose passwords stand in a public file > make one",
            "introspection: no client echo-mcp-server here: its secret stands in a public file > make one of your own",
        ] {
            assert!(failures.iter().any(|failure| failure.starts_with(said)), "{said}: {failures:?}");
        }
        assert!(!failures.iter().any(|failure| failure.starts_with("client scope")), "{failures:?}");
    }
}
