//! The server: what its handlers share, and its routes.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mcp_auth::{
    ResourceUri,
    keys::{Algorithm, KeyDirectory, KeyError},
};
use moka::{policy::EvictionPolicy, sync::Cache};
use oauth_as::{
    Client, ClientAuth, ClientId, GrantType, MemoryStorage, RegistrationConfig, ResourceServerRegistration, ScopeSet,
    SecretHash, ServerConfig, Storage,
};
use tokio::sync::{Mutex, Semaphore};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::{
    audit::Audit,
    authorize::{authorize, redirect},
    cimd::{self, Documents},
    consent::{Answer, consent},
    endpoints::{At, Endpoints, IssuerError, Layout},
    introspection::{introspect, revoke},
    login::{CHECKS, login},
    pages,
    realm::{Realm, RealmClient},
    registration::{Decided, Registrations, register},
    resources::Resources,
    session::Sessions,
    signer::Signer,
    throttle::{LoginDelays, PerAddress},
    token::token,
};

/// In memory. Another store is another type here.
pub(crate) type Engine = oauth_as::AuthorizationServer<MemoryStorage>;

/// An access token lives this long where the realm does not say.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// A grant ends then, however often it was refreshed.
const REFRESH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A new key is published this long before it signs.
const ANNOUNCE: Duration = Duration::from_secs(5 * 60);
const SWEEP: Duration = Duration::from_secs(30);
/// One address may register so many clients at once, and then one more in each pause.
const REGISTRATIONS: (NonZeroU32, Duration) = (NonZeroU32::new(20).expect("not 0"), Duration::from_secs(3));
/// So many refreshes at once from one address, and then one more in each pause.
const REFRESHES: (NonZeroU32, Duration) = (NonZeroU32::new(60).expect("not 0"), Duration::from_secs(1));
/// For longer than a page of ours is good.
const ANSWERS: Duration = Duration::from_secs(60 * 60);

/// An authorization server that is being set up.
pub struct Builder {
    issuer: String,
    realm: Realm,
    keys: Arc<KeyDirectory>,
    layout: Layout,
    resource: Option<String>,
    algorithm: Algorithm,
    lifetime: Option<Duration>,
    announce: Duration,
    password_grant: bool,
    documents: cimd::Settings,
}

/// Why a server cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A resource, of the realm or of the settings.
    #[error("{0} is no resource: {1}")]
    Resource(String, mcp_auth::ResourceUriError),
    /// The signing key.
    #[error("no signing key: {0}")]
    Key(#[from] KeyError),
    /// A client of the realm.
    #[error("a client of the realm: {0}")]
    Client(String),
    /// The client that fetches metadata documents.
    #[error("{0}")]
    Documents(String),
}

/// An authorization server.
pub struct AuthorizationServer(Arc<Idp>);

pub(crate) struct Settings {
    pub(crate) password_grant: bool,
    resource: Option<String>,
}

/// What the handlers share.
pub(crate) struct Idp {
    pub(crate) settings: Settings,
    pub(crate) endpoints: Endpoints,
    pub(crate) style_url: String,
    pub(crate) realm: Realm,
    pub(crate) catalogue: ScopeSet,
    pub(crate) default_scopes: ScopeSet,
    pub(crate) engine: Engine,
    pub(crate) signer: Arc<Signer>,
    pub(crate) resources: Resources,
    pub(crate) documents: Documents,
    pub(crate) registrations: Registrations,
    pub(crate) refreshes: PerAddress,
    pub(crate) sessions: Sessions,
    pub(crate) answers: Cache<[u8; 32], Answer>,
    pub(crate) deciding: Mutex<()>,
    pub(crate) delays: LoginDelays,
    pub(crate) checks: Arc<Semaphore>,
}

impl AuthorizationServer {
    /// A server with this issuer, for the people, clients and scopes of a realm. It signs with the keys of a directory
    /// and makes one where there is none.
    pub fn builder(issuer: &str, realm: Realm, keys: Arc<KeyDirectory>) -> Builder {
        Builder {
            issuer: issuer.to_owned(),
            realm,
            keys,
            layout: Layout::default(),
            resource: None,
            algorithm: Algorithm::RS256,
            lifetime: None,
            announce: ANNOUNCE,
            password_grant: false,
            documents: cimd::Settings::default(),
        }
    }

    /// The routes: metadata, JWKS, the endpoints of OAuth, and the pages. They stand at their full paths; serve them with
    /// `into_make_service_with_connect_info::<SocketAddr>()`, since limits are per address.
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let idp = self.0;
        // Clients in browsers ask from anywhere, and are known by what they send, never by a cookie.
        let cors = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .max_age(Duration::from_secs(3600));
        let endpoints = &idp.endpoints;
        let mut open = Router::new()
            .route(&endpoints.jwks, get(jwks))
            .route(&endpoints.token, post(token))
            .route(&endpoints.introspect, post(introspect))
            .route(&endpoints.revoke, post(revoke))
            .route(&endpoints.register, post(register));
        for path in &endpoints.metadata {
            open = open.route(path, get(metadata));
        }
        Router::new()
            .route(&endpoints.authorize, get(authorize))
            .route(&endpoints.login, post(login))
            .route(&endpoints.consent, post(consent))
            .layer(from_fn_with_state(Arc::clone(&idp), only_at_our_host))
            .route(&endpoints.style, get(style))
            .merge(open.layer(cors))
            .with_state(idp)
    }

    /// What the realm's file asks for and this server does not do.
    pub fn notices(&self) -> &[String] {
        self.0.realm.notices()
    }
}

impl Builder {
    /// Keycloak's URLs instead of short ones.
    #[must_use]
    pub fn keycloak_urls(mut self) -> Self {
        self.layout = Layout::Keycloak;
        self
    }

    /// Tokens are for this resource, whatever the realm's mappers say: its file cannot know where a server will stand.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// The algorithm to sign with; RS256 unless told otherwise.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// How long an access token lives, instead of what the realm says (five minutes if it says nothing).
    #[must_use]
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How long a new key is published before it signs; five minutes unless told otherwise.
    #[must_use]
    pub fn announce_keys_for(mut self, announce: Duration) -> Self {
        self.announce = announce;
        self
    }

    /// Whether clients of the realm that may use it get the password grant. OAuth 2.1 has none: a client that sees
    /// passwords can do anything its people can.
    #[must_use]
    pub fn password_grant(mut self, allowed: bool) -> Self {
        self.password_grant = allowed;
        self
    }

    /// For tests on one machine: client metadata documents may also be on https loopback, with a certificate of these.
    #[must_use]
    pub fn local_client_documents(mut self, certificates: Vec<reqwest::Certificate>) -> Self {
        self.documents.loopback = true;
        self.documents.root_certificates = certificates;
        self
    }

    /// # Errors
    /// When the issuer, a resource or a client of the realm cannot be used, or there is no key to sign with.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn build(self) -> Result<AuthorizationServer, BuildError> {
        let endpoints = Endpoints::new(&self.issuer, self.layout)?;
        if endpoints.https() {
            tracing::warn!("limits are per address of the connection: behind a proxy all people are one");
        }
        let realm = self.realm;
        let catalogue = ScopeSet::from_tokens(realm.scopes().iter().map(|scope| scope.name()))
            .map_err(|error| BuildError::Client(error.to_string()))?;
        // A client that never names a scope gets the realm's default ones, or, where there are none, what its person may.
        let defaults: Vec<&str> = match realm.default_scopes().collect::<Vec<_>>() {
            none if none.is_empty() => realm.scopes().iter().map(|scope| scope.name()).collect(),
            defaults => defaults,
        };
        let defaults = defaults.into_iter().filter(|scope| *scope != "offline_access");
        let default_scopes = ScopeSet::from_tokens(defaults).map_err(|error| BuildError::Client(error.to_string()))?;

        let settings = Settings { password_grant: self.password_grant, resource: self.resource };
        let audiences = |scope: &str| audiences(&settings, &realm, scope);
        let mut known = Vec::new();
        for audience in realm.scopes().iter().flat_map(|scope| audiences(scope.name())) {
            let resource = audience.parse::<ResourceUri>().map_err(|why| BuildError::Resource(audience, why))?;
            if !known.contains(&resource) {
                known.push(resource);
            }
        }

        let mut config = ServerConfig::new(&self.issuer, &self.issuer);
        config.access_token_ttl = self.lifetime.or(realm.access_token_lifetime()).unwrap_or(LIFETIME);
        config.refresh_token_ttl = Some(REFRESH);
        config.registration = Some(Box::new(registration()));
        config.resource_servers = Some(resource_servers(&realm, audiences).into());
        let engine = Engine::new(config, MemoryStorage::new())
            .with_event_sink(Box::new(Audit))
            .with_registration_policy(Box::new(Decided));
        for client in realm.clients() {
            let client = of_realm(client).map_err(|why| BuildError::Client(format!("{}: {why}", client.id())))?;
            engine.register_client(client).await.map_err(|error| BuildError::Client(error.to_string()))?;
        }

        let idp = Arc::new(Idp {
            sessions: Sessions::new(&endpoints),
            // The style is kept for ever, so another one has another URL.
            style_url: format!("{}?{}", endpoints.style, pages::style_hash()),
            signer: Signer::new(self.keys, self.algorithm, self.announce).await?,
            documents: Documents::new(self.documents).map_err(|error| BuildError::Documents(error.to_string()))?,
            registrations: Registrations::new(PerAddress::new(REGISTRATIONS.0, REGISTRATIONS.1)),
            refreshes: PerAddress::new(REFRESHES.0, REFRESHES.1),
            resources: Resources::new(known),
            answers: Cache::builder()
                .max_capacity(10_000)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(ANSWERS)
                .build(),
            deciding: Mutex::default(),
            delays: LoginDelays::new(),
            checks: Arc::new(Semaphore::new(CHECKS)),
            settings,
            endpoints,
            realm,
            catalogue,
            default_scopes,
            engine,
        });
        let swept = Arc::downgrade(&idp);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(idp) = swept.upgrade() else { break };
                if let Err(error) = idp.engine.store().sweep_expired(SystemTime::now()).await {
                    tracing::warn!(%error, "what has expired stays");
                }
                idp.registrations.sweep(idp.engine.store()).await;
            }
        });
        Ok(AuthorizationServer(idp))
    }
}

impl Idp {
    pub(crate) fn audiences_of(&self, scope: &str) -> Vec<String> {
        audiences(&self.settings, &self.realm, scope)
    }
}

/// Which resources a scope is for.
fn audiences(settings: &Settings, realm: &Realm, scope: &str) -> Vec<String> {
    let Some(scope) = realm.scope(scope) else { return Vec::new() };
    match &settings.resource {
        // One that is for nothing (offline_access) stays so.
        Some(resource) if !scope.audiences().is_empty() => vec![resource.clone()],
        _ => scope.audiences().to_vec(),
    }
}

/// Registration offers what a public client needs. Everything else (client credentials above all) would make this
/// server one where anybody gets a token.
fn registration() -> RegistrationConfig {
    let mut config = RegistrationConfig::new();
    config.allowed_grant_types = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
    config.management_enabled = false;
    config
}

/// Who may ask about tokens for which resource: the clients that the realm's audience mappers name beside it.
fn resource_servers(realm: &Realm, audiences: impl Fn(&str) -> Vec<String>) -> Vec<ResourceServerRegistration> {
    let mut servers: Vec<ResourceServerRegistration> = Vec::new();
    for scope in realm.scopes() {
        // As clients may spell them, since that is what their tokens say.
        let spelled = |audience: String| audience.parse::<ResourceUri>().map_or(vec![audience], |uri| uri.spellings());
        let resources: Vec<String> = audiences(scope.name()).into_iter().flat_map(spelled).collect();
        for client in scope.introspectors() {
            match servers.iter_mut().find(|server| server.client_id.as_str() == client.as_str()) {
                Some(server) => server.resources.extend(resources.clone()),
                None => {
                    servers.push(ResourceServerRegistration::new(ClientId::new(client.as_str()), resources.clone()))
                }
            }
        }
    }
    servers
}

fn of_realm(client: &RealmClient) -> Result<Client, oauth_as::scope::InvalidScopeToken> {
    let mut grant_types = Vec::new();
    if client.standard_flow() {
        grant_types.extend([GrantType::AuthorizationCode, GrantType::RefreshToken]);
    }
    if client.service_account() && client.secret().is_some() {
        grant_types.push(GrantType::ClientCredentials);
    }
    Ok(Client {
        client_id: ClientId::new(client.id()),
        auth: match client.secret() {
            Some(secret) => ClientAuth::ConfidentialSecretHash { hash: SecretHash::sha256(secret) },
            None => ClientAuth::Public,
        },
        grant_types,
        redirect_uris: client.redirect_uris().to_vec(),
        allowed_scopes: ScopeSet::from_tokens(client.scopes().iter().map(String::as_str))?,
        default_scopes: ScopeSet::from_tokens(client.default_scopes().iter().map(String::as_str))?,
        name: Some(client.name().to_owned()),
        registration: None,
    })
}

/// Keeps pages from a site that has made its name one of this machine.
async fn only_at_our_host(State(idp): State<Arc<Idp>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(|authority| authority.as_str())).unwrap_or_default();
    match idp.endpoints.at(host) {
        At::Home => return next.run(request).await,
        At::OtherName if request.method() == Method::GET => {
            // Where its cookies are, and its forms are taken.
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            return redirect(&idp.endpoints.url(path));
        }
        At::OtherName | At::Elsewhere => {}
    }
    let why = format!("This server is at {}.", idp.endpoints.issuer);
    idp.message(StatusCode::MISDIRECTED_REQUEST, "There is no such server here", &why, None)
}

async fn metadata(State(idp): State<Arc<Idp>>) -> Response {
    ([(CACHE_CONTROL, "public, max-age=300")], Json(idp.metadata())).into_response()
}

async fn jwks(State(idp): State<Arc<Idp>>) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=60")], idp.signer.jwks()).into_response()
}

async fn style() -> Response {
    pages::style_response()
}
