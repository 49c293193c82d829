//! Servers on real sockets, and a client before them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{Extensions, StatusCode, header::WWW_AUTHENTICATE},
};
use mcp_auth::{
    Challenge, Guard, JwtVerifier, Policy, Principal, ProtectedResource, VerifiedTokens,
    keys::{Algorithm, KeyDirectory},
};
use mcp_client::{Approval, Cache, ClientChoice, Error, Exchange, Observer, Person, Session, Settings, Step};
use mcp_core::{
    Caller, McpServer,
    authorize::{Operation, Refusal},
    http::Endpoint,
    jsonrpc::ErrorObject,
    tools::{Add, Echo, WhoAmI},
};
use mcp_idp::{AuthorizationServer, Realm};
use rmcp::{
    RoleClient,
    model::CallToolRequestParams,
    service::{RunningService, ServiceError},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::{Layer, util::MapRequestLayer};

const REALM: &str = include_str!("../../../../keycloak/mcp-realm-realm.json");

/// Serves on a free port; the URL says `localhost`.
pub async fn serve(app: impl FnOnce(&str) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let app = app(&origin);
    tokio::spawn(async move {
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    origin
}

/// A protected server and its authorization server, at one origin.
pub struct World {
    pub url: String,
    pub issuer: String,
    _keys: TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with_lifetime(Duration::from_secs(300)).await
    }

    pub async fn with_lifetime(lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let keys = tempfile::tempdir().unwrap();
        let directory = Arc::new(KeyDirectory::open(keys.path()));
        directory.watch();
        let url = format!("{issuer}/mcp");
        let scopes = ["mcp:read", "mcp:tools", "mcp:prompts"];
        let resource = ProtectedResource::new(&url.parse().unwrap(), [&issuer], scopes).unwrap();
        let idp = AuthorizationServer::builder(&issuer, Realm::from_json(REALM).unwrap(), Arc::clone(&directory))
            .resource(&url)
            .algorithm(Algorithm::ES256)
            .access_token_lifetime(lifetime)
            .build()
            .await
            .unwrap();
        let verifier = JwtVerifier::with_directory(directory, &issuer, &url);
        let guard = Guard::new(VerifiedTokens::new(verifier, 100))
            .protects(resource.clone())
            .challenge(Challenge::new().scope("mcp:read").unwrap());
        let mcp = McpServer::builder("world", "1").tool(Echo).tool(Add).tool(WhoAmI).authorize(permit).build().unwrap();
        let app = Router::new()
            .route_service("/mcp", (guard, MapRequestLayer::new(introduce)).layer(Endpoint::new(mcp).into_service()))
            .merge(resource.into_router())
            .merge(idp.into_router());
        tokio::spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
        Self { url, issuer, _keys: keys }
    }
}

fn introduce(mut request: Request) -> Request {
    if let Some(principal) = request.extensions().get::<Principal>() {
        let caller = Caller { issuer: principal.issuer.clone(), subject: principal.subject.clone(), name: None };
        request.extensions_mut().insert(caller);
    }
    request
}

fn permit(extensions: &Extensions, operation: Operation<'_>) -> Result<(), Refusal> {
    let principal = extensions.get::<Principal>().unwrap();
    let operation = mcp_auth::Operation::new(operation.method(), operation.name());
    Policy::mcp().decide(principal, operation).map_err(|denied| {
        let refusal = Refusal::new(StatusCode::FORBIDDEN, ErrorObject::new(403, denied.to_string()));
        match denied.challenge() {
            Some(challenge) => refusal.with_header(WWW_AUTHENTICATE, challenge),
            None => refusal,
        }
    })
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Witness {
    pub exchanges: Mutex<Vec<Exchange>>,
    pub notices: Mutex<Vec<String>>,
}

impl Observer for Witness {
    fn exchange(&self, exchange: &Exchange) {
        self.exchanges.lock().unwrap().push(exchange.clone());
    }

    fn notice(&self, sentence: &str) {
        self.notices.lock().unwrap().push(sentence.to_owned());
    }
}

impl Witness {
    /// How often that was done.
    pub fn count(&self, step: Step) -> usize {
        self.exchanges.lock().unwrap().iter().filter(|exchange| exchange.step == step).count()
    }

    /// What was sent by that name, each time.
    pub fn sent(&self, step: Step, name: &str) -> Vec<String> {
        let exchanges = self.exchanges.lock().unwrap();
        let of_step = exchanges.iter().filter(|exchange| exchange.step == step);
        of_step.filter_map(|exchange| Some(exchange.sent.iter().find(|(other, _)| other == name)?.1.clone())).collect()
    }
}

pub fn alice() -> Approval {
    Approval::Person(Person { username: "alice".into(), password: "alice123".into(), allows: true })
}

/// A client, and what it told.
pub fn client(url: &str, set: impl FnOnce(&mut Settings)) -> (Session, Arc<Witness>) {
    let (session, witness) = try_client(url, set);
    (session.unwrap(), witness)
}

pub fn try_client(url: &str, set: impl FnOnce(&mut Settings)) -> (Result<Session, Error>, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    let mut settings = Settings {
        server: url.parse().unwrap(),
        client: ClientChoice { name: "test".to_owned(), ..ClientChoice::default() },
        approval: alice(),
        client_credentials: false,
        callback_port: 0,
        cache: None,
        private_network: false,
        deadline: Duration::from_secs(30),
        call_deadline: Duration::from_secs(60),
        observer: Arc::clone(&witness) as Arc<dyn Observer>,
    };
    set(&mut settings);
    (Session::new(settings), witness)
}

/// A client with a secret, which asks in its own name.
pub fn own_name(settings: &mut Settings, id: &str, secret: &str, issuer: &str) {
    settings.client.given = Some((id.to_owned(), Some(secret.to_owned())));
    settings.client.issuer = Some(issuer.to_owned());
    settings.client_credentials = true;
}

pub fn cached(directory: &TempDir) -> impl FnOnce(&mut Settings) {
    let cache = Cache::at(directory.path().join("tokens"));
    move |settings| settings.cache = Some(cache)
}

pub type Connection = RunningService<RoleClient, ()>;

pub async fn connect(session: &Session) -> Result<Connection, Error> {
    session.open().await?;
    Ok(session.connect().await.unwrap())
}

pub async fn call(client: &Connection, name: &'static str, arguments: Value) -> Result<Value, ServiceError> {
    let Value::Object(arguments) = arguments else { panic!() };
    let result = client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await?;
    let result = serde_json::to_value(result).unwrap();
    Ok(if result["structuredContent"].is_null() {
        result["content"][0]["text"].clone()
    } else {
        result["structuredContent"].clone()
    })
}

pub async fn add(client: &Connection) -> Result<Value, ServiceError> {
    call(client, "add", json!({ "a": 2, "b": 40 })).await
}
