//! # Step 9: Keycloak
//!
//! The server has no keys and knows no people any more: Keycloak signs, and the server asks it for the public keys, keeps
//! them through outages, and follows when they change. The roles are Keycloak's too. What differs from one deployment to
//! the next is still in the code; env files are step 10. The chapter is `step9.md`.
//!
//! Run it:
//! ```sh
//! cargo run --bin step9 -- --setup
//! cargo run --bin step9
//! ```
//! Try it:
//! ```sh
//! TOKEN=$(curl -s http://localhost:8080/realms/mcp-realm/protocol/openid-connect/token -d grant_type=password \
//!   -d client_id=mcp-test-client -d username=alice -d password=alice123 -d 'scope=mcp:read mcp:tools' | jq -r .access_token)
//! curl -s http://localhost:9000/mcp -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
//!   -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}'
//! ```

use std::{
    future::IntoFuture,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Extensions, StatusCode, header::WWW_AUTHENTICATE},
    routing::get,
    serve::ListenerExt,
};
use clap::Parser;
use mcp_auth::{
    self as auth, Challenge, Guard, InitialScopes, JwtVerifier, Policy, Principal, ProtectedResource, RemoteKeySet,
    VerifiedTokens, cors,
};
use mcp_core::{
    Caller, McpServer, Tool,
    authorize::{Operation, Refusal},
    http::{DnsRebindingLayer, Endpoint},
    jsonrpc::{ErrorObject, code},
    logging::{self, LogFormat},
    prompts::{Greeting, Help},
    tools::{Add, Echo, GetTime, Multiply, ServerStats, WhoAmI},
};
use mcp_keycloak::{Keycloak, KeycloakError, RealmPlan};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, lookup_host},
    signal,
    task::JoinSet,
    time::sleep,
};
use tower::{Layer, util::MapRequestLayer};

/// How long running requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How many tokens are remembered as good; each takes a few kilobytes.
const REMEMBERED_TOKENS: usize = 10_000;
/// The people, clients and scopes that --setup makes in Keycloak.
const REALM: &str = include_str!("../keycloak/mcp-realm-realm.json");

/// Step 9: an MCP server whose authorization server is Keycloak.
#[derive(Parser)]
struct Args {
    /// Name or address to listen on; localhost is 127.0.0.1 and ::1.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// How to write the log: text or json. RUST_LOG says how much.
    #[arg(long, default_value = "text")]
    log_format: LogFormat,
    /// Where Keycloak is, without the realm.
    #[arg(long, default_value = "http://localhost:8080")]
    keycloak_url: String,
    /// The realm whose tokens are accepted.
    #[arg(long, default_value = "mcp-realm")]
    realm: String,
    /// Start Keycloak, make in it what this server needs, check all of it, and end.
    #[arg(long)]
    setup: bool,
    /// For --setup: the password of Keycloak's administrator `admin`. As a flag, everybody on this machine sees it.
    #[arg(long, env = "KEYCLOAK_ADMIN_PASSWORD", default_value = "admin", hide_env_values = true)]
    admin_password: String,
    /// Take the raw token in the header agent-session too, for agents that cannot set Authorization.
    #[arg(long)]
    agent_session: bool,
    /// Which scopes a client is told to ask for at first: all, since it can never ask for more at Keycloak, or least.
    #[arg(long, default_value_t = InitialScopes::All)]
    initial_scopes: InitialScopes,
    /// Write an audit event for each accepted request too, not for refused ones alone.
    #[arg(long)]
    audit_accepted: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    if args.setup {
        return set_up(&args).await;
    }
    let _log = logging::init(args.log_format);
    let (listeners, port) = listen(&args.host, args.port).await?;

    let policy = Policy::mcp().tool_scope("run_js", "mcp:run")?.tool_role(ServerStats::NAME, "admin");
    let deciding = policy.clone();
    let mcp = McpServer::builder("step9", env!("CARGO_PKG_VERSION"))
        .instructions("A tutorial server: echo, the time of day, arithmetic, and who you are.")
        .tool(Echo)
        .tool(GetTime)
        .tool(Add)
        .tool(Multiply)
        .tool(WhoAmI)
        .server_stats()
        .prompt(Greeting)
        .prompt(Help)
        .authorize(move |extensions, operation| permit(&deciding, extensions, operation))
        .build()?;

    // Configured strings, never taken from a request: Keycloak's realm has the same two.
    let issuer = format!("{}/realms/{}", args.keycloak_url.trim_end_matches('/'), args.realm);
    let audience = format!("http://localhost:{port}/mcp");
    let scopes = policy.initial_scopes(InitialScopes::All);
    let resource = ProtectedResource::new(&audience.parse()?, [&issuer], scopes.split(' '))?;
    // Fetched in the background: whether Keycloak is there yet or not, the server is.
    let keys = RemoteKeySet::of_issuer(&issuer)?.start();
    let verifier = JwtVerifier::with_key_set(Arc::clone(&keys), &issuer, &audience);
    let guard = Guard::new(VerifiedTokens::new(verifier, REMEMBERED_TOKENS))
        .protects(resource.clone())
        .challenge(Challenge::new().scope(&policy.initial_scopes(args.initial_scopes))?)
        .agent_session(args.agent_session)
        .audit_accepted(args.audit_accepted);

    let app = Router::new()
        .route("/health", get(health))
        .route_service("/mcp", (guard, MapRequestLayer::new(introduce)).layer(Endpoint::new(mcp).into_service()))
        .with_state((keys, audience, issuer))
        // Outermost, so that a page of another site reaches nothing at all; then the question whether a page may ask, which
        // comes without a token.
        .layer((DnsRebindingLayer::for_listener(&args.host), cors()))
        // Except what is for everybody to read.
        .merge(resource.into_router());

    serve(app, listeners, &args.host, port).await
}

/// Makes what is missing of the realm, and checks the whole of it. What is there stays as it is, and gets no rights. A
/// Keycloak that is not on this machine gets none of the passwords and secrets, which everybody knows.
async fn set_up(args: &Args) -> anyhow::Result<()> {
    let keycloak = Keycloak::new(&args.keycloak_url, "admin", &args.admin_password)?;
    let resource = format!("http://localhost:{}/mcp", args.port);
    let plan = RealmPlan::from_json(REALM)?.named(&args.realm)?.protecting(&resource)?;
    let mut made = keycloak.set_up(&plan).await;
    if let (Err(KeycloakError::Unreachable { .. }), Some(port)) = (&made, port_here(&args.keycloak_url)) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/keycloak.sh");
        let started = Command::new(script).args(["start", "--port", port]).status().context(script)?;
        ensure!(started.success(), "there is no Keycloak at {}, and none could be started", args.keycloak_url);
        made = keycloak.set_up(&plan).await;
    }
    for change in made? {
        println!("made {change}");
    }
    let report = keycloak.verify(&plan).await;
    println!("{report}");
    ensure!(report.passed(), "the realm {} is not as this server needs it", args.realm);
    Ok(())
}

/// The port, if Keycloak is on this machine, where it can be started.
fn port_here(url: &str) -> Option<&str> {
    url.trim_end_matches('/').strip_prefix("http://localhost:").filter(|port| port.parse::<u16>().is_ok())
}

/// Tells mcp-core in its own words whom the guard has let in: the two crates do not know each other.
fn introduce(mut request: Request) -> Request {
    if let Some(principal) = request.extensions().get::<Principal>() {
        let caller = Caller {
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            name: principal.username.clone(),
        };
        request.extensions_mut().insert(caller);
    }
    request
}

/// Asks mcp-auth's policy about what mcp-core has understood: what is permitted is what will be executed.
fn permit(policy: &Policy, extensions: &Extensions, operation: Operation<'_>) -> Result<(), Refusal> {
    let Some(principal) = extensions.get::<Principal>() else {
        let error = ErrorObject::new(code::INTERNAL_ERROR, "no guard has said who is calling");
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error));
    };
    let operation = auth::Operation::new(operation.method(), operation.name());
    policy.decide(principal, operation).map_err(|denied| {
        let error = ErrorObject::new(403, denied.to_string()).with_data(denied.data());
        let refusal = Refusal::new(StatusCode::FORBIDDEN, error);
        match denied.challenge() {
            Some(challenge) => refusal.with_header(WWW_AUTHENTICATE, challenge),
            None => refusal,
        }
    })
}

async fn health(State((keys, audience, issuer)): State<(Arc<RemoteKeySet>, String, String)>) -> Json<Value> {
    let available = !keys.public_keys().keys().is_empty();
    Json(json!({
        "status": "healthy",
        "jwt_enabled": true,
        "jwks_available": available,
        "scope_based_auth": true,
        "protected_resource_metadata": audience.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"),
        "authorization_server_metadata": format!("{issuer}/.well-known/openid-configuration"),
    }))
}

/// Serves `app` on every address of the host until Ctrl-C or SIGTERM.
async fn serve(app: Router, listeners: Vec<TcpListener>, host: &str, port: u16) -> anyhow::Result<()> {
    let mut servers = JoinSet::new();
    for listener in listeners {
        // Progress is small packets one after another: without this, each waits for the last to be acknowledged.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        // With the peer's address, for the audit.
        let app = app.clone().into_make_service_with_connect_info::<SocketAddr>();
        servers.spawn(axum::serve(listener, app).with_graceful_shutdown(stop()).into_future());
    }
    let host = host.parse::<Ipv6Addr>().map_or_else(|_| host.to_owned(), |address| format!("[{address}]"));
    tracing::info!("listening on http://{host}:{port}");

    tokio::select! {
        _ = servers.join_all() => tracing::info!("stopped"),
        () = async { stop().await; sleep(GRACE).await } => tracing::warn!("stopped with requests still running"),
    }
    Ok(())
}

/// A client may try either address of `localhost` first, so the server has to be on both.
async fn listen(host: &str, mut port: u16) -> anyhow::Result<(Vec<TcpListener>, u16)> {
    let addresses: Vec<IpAddr> = match host {
        // Whatever the hosts file says: browsers and clients take both for granted.
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        _ => lookup_host((host, port))
            .await
            .with_context(|| format!("{host} is no address or known name"))?
            .map(|address| address.ip())
            .collect(),
    };
    let mut listeners = Vec::new();
    for address in addresses {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                bail!("port {port} is in use; stop the program that has it, or choose another with --port");
            }
            // Such as ::1 on a machine without IPv6.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {host}, port {port}")),
        }
    }
    if listeners.is_empty() {
        bail!("{host} is not an address of this machine; choose another with --host");
    }
    Ok((listeners, port))
}

/// Resolves on Ctrl-C, and on the SIGTERM that a service manager sends.
async fn stop() {
    let ctrl_c = async { signal::ctrl_c().await.expect("Ctrl-C can be listened for") };
    #[cfg(unix)]
    let terminate = async {
        let kind = signal::unix::SignalKind::terminate();
        signal::unix::signal(kind).expect("SIGTERM can be listened for").recv().await;
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! { () = ctrl_c => {}, () = terminate => {} }
}
