//! The client comes without a token and finds its way to one, and to another where the first is not enough.

use std::{process::Output, sync::Mutex, time::Duration};

use reqwest::StatusCode;
use rmcp::{
    model::CallToolRequestParams,
    service::{ClientServiceExt, ServiceError},
    transport::{
        AuthClient, AuthError, AuthorizationManager, StreamableHttpClientTransport,
        auth::{AuthorizationCallback, AuthorizationRequest, ClientCredentialsConfig, OAuthState},
        streamable_http_client::{InsufficientScopeError, StreamableHttpClientTransportConfig},
    },
};
use serde_json::{Value, json};
use tokio::{process::Command, time::sleep};

use super::{Client, Connection, Server, call, connect, lifecycles};

const PERSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/clients/person.sh");
/// Nobody listens there: the test is the browser.
const CALLBACK: &str = "http://localhost:53211/callback";
const STEP7: &str = env!("CARGO_BIN_EXE_step7");

/// Who is asked, and what they say the first time and from then on.
struct Person {
    name: &'static str,
    decides: [&'static str; 2],
    asked: Mutex<Vec<String>>,
}

impl Person {
    fn new(name: &'static str, decides: [&'static str; 2]) -> Self {
        Self { name, decides, asked: Mutex::default() }
    }

    /// Opens an authorization URL; returns the one that the browser is sent to.
    async fn visit(&self, url: &str) -> String {
        let earlier = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(url.to_owned());
            asked.len() - 1
        };
        let decision = self.decides[earlier.min(1)];
        let mut person = Command::new(PERSON);
        person.arg(url).env("PERSON", self.name).env("PERSON_DECIDES", decision).env_remove("PERSON_VISITS");
        let Output { status, stdout, stderr } = person.env("NO_PROXY", "localhost").output().await.unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim().to_owned()
    }

    /// The scopes that they were asked for, each time.
    fn asked(&self) -> Vec<String> {
        let scope = |url: &String| {
            let query = url.split(['?', '&']).find_map(|pair| pair.strip_prefix("scope=")).unwrap();
            sorted(&query.replace("%3A", ":").replace('+', " "))
        };
        self.asked.lock().unwrap().iter().map(scope).collect()
    }
}

/// Is refused, goes where the challenge leads, registers, has the person decide, and redeems the code.
async fn log_in(server: &Server, person: &Person) -> AuthorizationManager {
    let url = server.url("localhost");
    let [_, (auto, _), _] = lifecycles();
    let refused = connect(&url, None, auto, &Client::default()).await.err().unwrap();
    assert!(refused.is_authorization_required(), "{refused:?}");
    let challenge = refused.auth_challenge().unwrap();

    let mut state = OAuthState::new(&url, None).await.unwrap();
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("rmcp").with_initial_scope_selection();
    state.start_authorization(request.with_challenge(challenge)).await.unwrap();
    let callback = person.visit(&state.get_authorization_url().await.unwrap()).await;
    state.handle_callback_url(&callback).await.unwrap();
    state.into_authorization_manager().unwrap()
}

/// A connection, and what puts the token into its requests.
async fn connect_as(manager: AuthorizationManager, server: &Server) -> (Connection, AuthClient<reqwest::Client>) {
    let auth = AuthClient::new(reqwest::Client::default(), manager);
    let config = StreamableHttpClientTransportConfig::with_uri(server.url("localhost"));
    let transport = StreamableHttpClientTransport::with_client(auth.clone(), config);
    let [_, (auto, _), _] = lifecycles();
    (Client::default().serve_with_lifecycle(transport, auto).await.unwrap(), auth)
}

/// The client's id, and what it holds.
async fn held(auth: &AuthClient<reqwest::Client>) -> (String, Value) {
    let (id, token) = auth.auth_manager.lock().await.get_credentials().await.unwrap();
    (id, serde_json::to_value(token.unwrap()).unwrap())
}

async fn everything(client: &Connection, subject: &str) {
    lists(client).await;
    assert_eq!(call(client, "echo", json!({ "message": "hi" })).await, (json!("hi"), false));
    let (known, _) = call(client, "whoami", json!({})).await;
    assert_eq!(known["subject"], subject);
}

async fn lists(client: &Connection) {
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, ["echo", "get_time", "add", "multiply", "whoami"]);
}

fn sorted(scopes: &str) -> String {
    let mut scopes: Vec<_> = scopes.split(' ').collect();
    scopes.sort_unstable();
    scopes.join(" ")
}

async fn start(program: &str, args: &[&str]) -> (Server, tempfile::TempDir) {
    let keys = tempfile::tempdir().unwrap();
    let args = [&["--key-dir", keys.path().to_str().unwrap()], args].concat();
    (Server::start(program, &args).await, keys)
}

#[tokio::test]
async fn rmcp_finds_its_way_to_a_token_which_is_good_until_it_is_revoked() {
    let (server, _keys) = start(STEP7, &[]).await;
    let person = Person::new("alice", ["allow"; 2]);
    let (client, auth) = connect_as(log_in(&server, &person).await, &server).await;
    everything(&client, "alice").await;
    assert_eq!(person.asked(), ["mcp:read offline_access"]);
    let (id, held) = held(&auth).await;
    assert_eq!(sorted(held["scope"].as_str().unwrap()), "mcp:read offline_access");
    assert!(held["refresh_token"].is_string());

    let http = reqwest::Client::default();
    let post = |path: &str| http.post(format!("http://localhost:{}{path}", server.port));
    let token = held["access_token"].as_str().unwrap();
    let introspect = async || {
        let request = post("/introspect").basic_auth("echo-mcp-server", Some("echo-mcp-server-secret"));
        request.form(&[("token", token)]).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let before = introspect().await;
    assert_eq!((&before["active"], &before["username"]), (&json!(true), &json!("alice")));
    let revoked = post("/revoke").form(&[("token", token), ("client_id", &id)]).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::OK);
    assert_eq!(introspect().await, json!({ "active": false }));
}

#[tokio::test]
async fn rmcp_refreshes_what_expires() {
    let (server, _keys) = start(STEP7, &["--access-token-lifetime", "2"]).await;
    let person = Person::new("alice", ["allow"; 2]);
    let (client, auth) = connect_as(log_in(&server, &person).await, &server).await;
    everything(&client, "alice").await;
    let (_, before) = held(&auth).await;
    sleep(Duration::from_secs(3)).await;
    everything(&client, "alice").await;
    let (_, after) = held(&auth).await;
    assert_ne!(before["access_token"], after["access_token"]);
    assert_ne!(before["refresh_token"], after["refresh_token"]);
    assert_eq!(person.asked().len(), 1);
}

#[tokio::test]
async fn rmcp_speaks_for_itself() {
    let (server, _keys) = start(STEP7, &[]).await;
    let (client, auth) = connect_as(credentials(&server, "mcp:read").await, &server).await;
    everything(&client, "service-account-echo-mcp-server").await;
    assert_eq!(held(&auth).await.1["scope"], "mcp:read");
}

async fn credentials(server: &Server, scope: &str) -> AuthorizationManager {
    let url = server.url("localhost");
    let config = ClientCredentialsConfig::ClientSecret {
        client_id: "echo-mcp-server".to_owned(),
        client_secret: "echo-mcp-server-secret".to_owned(),
        scopes: scope.split(' ').map(str::to_owned).collect(),
        resource: Some(url.clone()),
    };
    let mut state = OAuthState::new(&url, None).await.unwrap();
    state.authenticate_client_credentials(config).await.unwrap();
    state.into_authorization_manager().unwrap()
}

/// The step that enforces scopes, once there is one.
const STEP8: Option<&str> = option_env!("CARGO_BIN_EXE_step8");

/// Calls a tool; where the token is not enough, asks for what is, once, and calls it once more. This is the
/// application's part: rmcp says what is missing, and keeps what was granted.
async fn step_up(
    client: &Connection,
    auth: &AuthClient<reqwest::Client>,
    person: &Person,
) -> Result<(), Box<dyn std::error::Error>> {
    let echo = || {
        let Value::Object(arguments) = json!({ "message": "hi" }) else { panic!() };
        client.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments))
    };
    let missing = match echo().await {
        Ok(_) => return Ok(()),
        Err(error) => missing_scope(&error).ok_or(error)?,
    };
    let manager = auth.auth_manager.lock().await;
    let url = manager.request_scope_upgrade(&missing).await?;
    let answer = AuthorizationCallback::from_redirect_url(&person.visit(&url).await)?;
    manager.exchange_code_for_token_with_issuer(&answer.code, &answer.csrf_token, answer.issuer.as_deref()).await?;
    drop(manager);
    echo().await?;
    Ok(())
}

/// What the server says that a call needs.
fn missing_scope(error: &ServiceError) -> Option<String> {
    let ServiceError::TransportSend(sent) = error else { return None };
    let mut error: Option<&(dyn std::error::Error + 'static)> = Some(sent.error.as_ref());
    while let Some(current) = error {
        if let Some(insufficient) = current.downcast_ref::<InsufficientScopeError>() {
            return insufficient.required_scope.clone();
        }
        error = current.source();
    }
    None
}

#[tokio::test]
async fn rmcp_steps_up_once() {
    let Some(step8) = STEP8 else { return };
    let (server, _keys) = start(step8, &[]).await;
    let person = Person::new("alice", ["allow"; 2]);
    let (client, auth) = connect_as(log_in(&server, &person).await, &server).await;
    lists(&client).await;
    step_up(&client, &auth, &person).await.unwrap();
    everything(&client, "alice").await;
    assert_eq!(person.asked(), ["mcp:read offline_access", "mcp:read mcp:tools offline_access"]);
    assert_eq!(sorted(held(&auth).await.1["scope"].as_str().unwrap()), "mcp:read mcp:tools offline_access");
}

#[tokio::test]
async fn rmcp_keeps_what_it_has_where_more_is_denied() {
    let Some(step8) = STEP8 else { return };
    let (server, _keys) = start(step8, &[]).await;
    // The one says no; the other says yes, to what their account may not have.
    for person in [Person::new("alice", ["allow", "deny"]), Person::new("bob", ["allow"; 2])] {
        let (client, auth) = connect_as(log_in(&server, &person).await, &server).await;
        lists(&client).await;
        let error = step_up(&client, &auth, &person).await.unwrap_err();
        match person.name {
            "alice" => assert!(matches!(error.downcast_ref(), Some(AuthError::AuthorizationFailed(_))), "{error:?}"),
            _ => assert!(missing_scope(error.downcast_ref().unwrap()).is_some(), "{error:?}"),
        }
        assert_eq!(person.asked().len(), 2);
        lists(&client).await;
    }
}
