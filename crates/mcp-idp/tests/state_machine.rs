//! What the crate `oauth-as` lets through by itself, so that it is clear why a guard of ours stands before it. A test
//! that goes red here after an update says that a guard may go.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use oauth_as::{
    AuthorizationRequest, AuthorizationServer, Client, ClientAuth, ClientId, ClientMetadata, GrantType, MemoryStorage,
    RegistrationAttempt, RegistrationConfig, RegistrationDecision, RegistrationPolicy, ScopeSet, ServerConfig,
    TokenRequest, UserApproval,
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Anybody;

impl RegistrationPolicy for Anybody {
    fn authorize(&self, _: &RegistrationAttempt<'_>) -> RegistrationDecision {
        RegistrationDecision::Allow
    }
}

fn server() -> AuthorizationServer<MemoryStorage> {
    let mut config = ServerConfig::new("http://localhost:9000", "http://localhost:9000");
    let mut registration = RegistrationConfig::new();
    registration.allowed_scopes = ScopeSet::parse("mcp:read mcp:tools").unwrap();
    config.registration = Some(Box::new(registration));
    AuthorizationServer::new(config, MemoryStorage::new()).with_registration_policy(Box::new(Anybody))
}

fn metadata(redirect_uri: &str) -> ClientMetadata {
    ClientMetadata {
        redirect_uris: vec![redirect_uri.to_owned()],
        token_endpoint_auth_method: Some("none".to_owned()),
        scope: Some("mcp:read".to_owned()),
        ..ClientMetadata::default()
    }
}

/// A public client with this redirect URI, known to a server.
async fn with_client(redirect_uri: &str) -> AuthorizationServer<MemoryStorage> {
    let server = server();
    let scopes = ScopeSet::parse("mcp:read").unwrap();
    let client = Client {
        client_id: ClientId::new("client"),
        auth: ClientAuth::Public,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![redirect_uri.to_owned()],
        allowed_scopes: scopes.clone(),
        default_scopes: scopes,
        name: None,
        registration: None,
    };
    server.register_client(client).await.unwrap();
    server
}

fn request<'a>(redirect_uri: &'a str, scope: &'a str) -> AuthorizationRequest<'a> {
    AuthorizationRequest::from_pairs([
        ("response_type", "code"),
        ("client_id", "client"),
        ("redirect_uri", redirect_uri),
        ("scope", scope),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ])
}

#[tokio::test]
async fn it_registers_a_script_as_a_redirect_uri() {
    for uri in ["javascript:alert(1)", "data:text/html,x", "http://evil.example/callback"] {
        let registered = server().register_dynamic_client(&metadata(uri), None).await;
        assert_eq!(registered.unwrap().metadata.redirect_uris, [uri], "redirect_uri.rs refuses it");
    }
}

#[tokio::test]
async fn it_makes_a_native_client_that_says_nothing_confidential() {
    let silent = ClientMetadata { token_endpoint_auth_method: None, ..metadata("http://127.0.0.1/callback") };
    let registered = server().register_dynamic_client(&silent, None).await.unwrap();
    assert!(registered.client_secret.is_some(), "registration.rs makes it a public one");
}

#[tokio::test]
async fn it_never_gives_a_client_more_than_it_registered_for() {
    let server = with_client("http://127.0.0.1:1/callback").await;
    let more =
        server.validate_authorization_request(&request("http://127.0.0.1:1/callback", "mcp:read mcp:tools")).await;
    assert!(more.is_err(), "registration.rs lets it ask for all there is, or it could not step up");
}

#[tokio::test]
async fn it_knows_no_port_of_localhost() {
    let server = with_client("http://localhost/callback").await;
    let asked = server.validate_authorization_request(&request("http://localhost:51234/callback", "mcp:read")).await;
    assert!(asked.is_err(), "redirect_uri.rs matches it");
}

#[tokio::test]
async fn it_lets_a_client_stay_that_nobody_agreed_may_stay() {
    let server = with_client("http://127.0.0.1:1/callback").await;
    let asked =
        server.validate_authorization_request(&request("http://127.0.0.1:1/callback", "mcp:read")).await.unwrap();
    let code = server.issue_authorization_code(UserApproval::granted(&asked, "alice")).await.unwrap().code;
    let redeemed = server.token(TokenRequest::AuthorizationCode {
        client_id: ClientId::new("client"),
        client_secret: None,
        code,
        redirect_uri: Some("http://127.0.0.1:1/callback".to_owned()),
        code_verifier: Some(VERIFIER.to_owned()),
    });
    assert!(redeemed.await.unwrap().refresh_token.is_some(), "token.rs takes it back");
}

#[tokio::test]
async fn it_advertises_grants_that_are_not_served() {
    let advertised = serde_json::to_value(server().metadata()).unwrap();
    assert!(advertised["device_authorization_endpoint"].is_string(), "metadata.rs writes its own");
}
