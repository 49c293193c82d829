//! A real Keycloak, with a realm for each test.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mcp_keycloak::{Keycloak, RealmPlan};
use reqwest::Method;
use serde_json::Value;

pub const REALM: &str = include_str!("../../../../keycloak/mcp-realm-realm.json");
pub const POLICIES: &str = "/components?type=org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy";
pub const PASSWORD: &str = "admin";

/// The Keycloak of this run, whose administrator is admin, admin.
pub fn keycloak_url() -> String {
    std::env::var("KEYCLOAK_TEST_URL")
        .expect("KEYCLOAK_TEST_URL names no Keycloak; without --ignored these tests are skipped")
}

/// A realm of a test's own.
#[derive(Clone)]
pub struct Realm {
    pub keycloak: Arc<Keycloak>,
    pub plan: RealmPlan,
    http: reqwest::Client,
}

/// Runs a test with a realm that is not there yet, and deletes it however that ends.
pub async fn with_realm<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Realm) -> F) {
    let name = format!("mcp-test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let plan = RealmPlan::from_json(REALM).unwrap().named(&name).unwrap();
    let plan = plan.protecting(&format!("http://localhost:9000/{name}/mcp")).unwrap();
    let keycloak = Arc::new(Keycloak::new(&keycloak_url(), "admin", PASSWORD).unwrap());
    let realm = Realm { keycloak, plan, http: reqwest::Client::new() };
    let outcome = tokio::spawn(test(realm.clone())).await;
    realm.delete("").await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

impl Realm {
    /// A request of the administrator's, below the realm.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let base = keycloak_url();
        let form =
            [("grant_type", "password"), ("client_id", "admin-cli"), ("username", "admin"), ("password", PASSWORD)];
        let token = self.http.post(format!("{base}/realms/master/protocol/openid-connect/token")).form(&form);
        let token: Value = token.send().await.unwrap().json().await.unwrap();
        // Else another realm's, or the list of them.
        let url = match path.strip_prefix("//") {
            Some("") => format!("{base}/admin/realms"),
            Some(path) => format!("{base}/admin/realms/{path}"),
            None => format!("{base}/admin/realms/{}{path}", self.plan.realm()),
        };
        let mut request = self.http.request(method, url).bearer_auth(token["access_token"].as_str().unwrap());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}");
        value
    }

    /// The entry of a list.
    pub async fn entry(&self, path: &str, member: &str, name: &str) -> Value {
        let list = self.get(path).await;
        let entry = list.as_array().unwrap().iter().find(|entry| entry[member] == name).cloned();
        entry.unwrap_or_else(|| panic!("no {name} in {path}"))
    }

    pub async fn id(&self, path: &str, member: &str, name: &str) -> String {
        self.entry(path, member, name).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn client(&self, id: &str) -> String {
        format!("/clients/{}", self.id(&format!("/clients?clientId={id}"), "clientId", id).await)
    }

    pub async fn user(&self, name: &str) -> String {
        format!("/users/{}", self.id(&format!("/users?username={name}&exact=true"), "username", name).await)
    }

    pub async fn scope(&self, name: &str) -> String {
        format!("/client-scopes/{}", self.id("/client-scopes", "name", name).await)
    }

    pub async fn mapper(&self, scope: &str, name: &str) -> String {
        let path = format!("{}/protocol-mappers/models", self.scope(scope).await);
        format!("{path}/{}", self.id(&path, "name", name).await)
    }

    pub async fn put(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut value = self.get(path).await;
        change(&mut value);
        let (status, answer) = self.ask(Method::PUT, path, Some(value)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
    }

    pub async fn delete(&self, path: &str) {
        let (status, answer) = self.ask(Method::DELETE, path, None).await;
        assert!(status == 204 || (path.is_empty() && status == 404), "{path}: {status} {answer}");
    }

    /// What a run made.
    pub async fn set_up(&self) -> Vec<String> {
        self.keycloak.set_up(&self.plan).await.unwrap().iter().map(ToString::to_string).collect()
    }

    /// A realm as it should be.
    pub async fn fresh(&self) {
        assert_eq!(self.set_up().await, [format!("realm {}", self.plan.realm())]);
    }

    /// The one check that fails with each of these names, and what they found and advise.
    pub async fn failures(&self) -> Vec<(String, String)> {
        let report = self.keycloak.verify(&self.plan).await;
        println!("{report}\n");
        let text = |(name, failure): (&str, &mcp_keycloak::Failure)| {
            (name.to_owned(), format!("{} > {}", failure.found, failure.advice))
        };
        report.failures().map(text).collect()
    }
}

/// Stands in front of Keycloak and counts.
pub struct Proxy {
    pub url: String,
    /// Method and path.
    pub requests: Arc<Mutex<Vec<(String, String)>>>,
    /// How many requests to the Admin REST API are answered with 401 next.
    pub refuse: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn start() -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let refuse = Arc::new(AtomicUsize::new(0));
        let (seen, refusals) = (Arc::clone(&requests), Arc::clone(&refuse));
        let http = reqwest::Client::new();
        let url = serve(Router::new().fallback(move |request: Request| {
            let (seen, refusals, http) = (Arc::clone(&seen), Arc::clone(&refusals), http.clone());
            async move {
                let path = request.uri().path_and_query().unwrap().to_string();
                seen.lock().unwrap().push((request.method().to_string(), path.clone()));
                let less = |left: usize| left.checked_sub(1);
                if path.starts_with("/admin/")
                    && refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
                {
                    return StatusCode::UNAUTHORIZED.into_response();
                }
                pass(&http, request, &path).await
            }
        }))
        .await;
        Self { url, requests, refuse }
    }

    /// What was asked, but for tokens.
    pub fn writes(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let writes = requests.iter().filter(|(method, path)| method != "GET" && !path.ends_with("/token"));
        writes.map(|(method, path)| format!("{method} {path}")).collect()
    }

    pub fn logins(&self) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(_, path)| path == "/realms/master/protocol/openid-connect/token").count()
    }
}

async fn pass(http: &reqwest::Client, request: Request, path: &str) -> Response {
    let (parts, body) = request.into_parts();
    let mut passed = http.request(parts.method, format!("{}{path}", keycloak_url()));
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            passed = passed.header(name, value);
        }
    }
    let answer = passed.body(to_bytes(body, usize::MAX).await.unwrap()).send().await.unwrap();
    let status = answer.status();
    (status, Body::from(answer.bytes().await.unwrap())).into_response()
}

/// A server on a port of its own, until the test's runtime ends.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}
