//! # Step 7: well-known metadata
//!
//! A client that is refused finds its own way: the challenge leads to the metadata of this resource, that to the
//! authorization server, and that to a login page and a token. The authorization server runs in the same process. What
//! a token lets its bearer do is step 8. The chapter is `step7.md`.
//!
//! Run it:
//! ```sh
//! cargo run --bin step7
//! ```
//! Try it:
//! ```sh
//! curl -si http://localhost:9000/mcp | grep -i www-authenticate
//! curl -s http://localhost:9000/.well-known/oauth-protected-resource/mcp
//! curl -s http://localhost:9000/.well-known/oauth-authorization-server
//! ```

use std::{
    future::IntoFuture,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::{
    Json, Router,
    extract::{Request, State},
    routing::get,
    serve::ListenerExt,
};
use clap::Parser;
use mcp_auth::{Challenge, Guard, JwtVerifier, Principal, ProtectedResource, VerifiedTokens, cors, keys::KeyDirectory};
use mcp_core::{
    Caller, McpServer,
    http::{DnsRebindingLayer, Endpoint},
    logging::{self, LogFormat},
    prompts::{Greeting, Help},
    tools::{Add, Echo, GetTime, Multiply, WhoAmI},
};
use mcp_idp::{AuthorizationServer, Realm};
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
/// The people, clients and scopes of the authorization server; Keycloak imports the same file.
const REALM: &str = include_str!("../keycloak/mcp-realm-realm.json");
/// What there is to ask for, the least of it first.
const SCOPES: [&str; 3] = ["mcp:read", "mcp:tools", "mcp:prompts"];

/// Step 7: an MCP server that tells a client where to get its token, and gives it one.
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
    /// Directory of keys: the private ones sign, the public ones are published.
    #[arg(long, default_value = "keys")]
    key_dir: PathBuf,
    /// How long an access token of the authorization server lives, in seconds.
    #[arg(long, default_value_t = 300)]
    access_token_lifetime: u64,
    /// Take the raw token in the header agent-session too, for agents that cannot set Authorization.
    #[arg(long)]
    agent_session: bool,
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
    let _log = logging::init(args.log_format);
    let (listeners, port) = listen(&args.host, args.port).await?;

    let mcp = McpServer::builder("step7", env!("CARGO_PKG_VERSION"))
        .instructions("A tutorial server: echo, the time of day, arithmetic, and who you are.")
        .tool(Echo)
        .tool(GetTime)
        .tool(Add)
        .tool(Multiply)
        .tool(WhoAmI)
        .prompt(Greeting)
        .prompt(Help)
        .build()?;

    // Watched, so that a new key needs no restart, and the first one no particular order.
    let keys = Arc::new(KeyDirectory::open(&args.key_dir));
    keys.watch();

    // Configured strings, never taken from a request: gen-token's --server makes the same two of the same URL.
    let issuer = format!("http://localhost:{port}");
    let audience = format!("{issuer}/mcp");
    let resource = ProtectedResource::new(&audience.parse()?, [&issuer], SCOPES)?;
    let idp = AuthorizationServer::builder(&issuer, Realm::from_json(REALM)?, Arc::clone(&keys))
        .resource(&audience)
        .access_token_lifetime(Duration::from_secs(args.access_token_lifetime))
        .build()
        .await?;
    let verifier = JwtVerifier::with_directory(Arc::clone(&keys), &issuer, &audience);
    let guard = Guard::new(VerifiedTokens::new(verifier, REMEMBERED_TOKENS))
        .protects(resource.clone())
        .challenge(Challenge::new().scope(SCOPES[0])?)
        .agent_session(args.agent_session)
        .audit_accepted(args.audit_accepted);

    let app = Router::new()
        .route("/health", get(health))
        .route_service("/mcp", (guard, MapRequestLayer::new(introduce)).layer(Endpoint::new(mcp).into_service()))
        .with_state((keys, issuer))
        // Outermost, so that a page of another site reaches nothing at all; then the question whether a page may ask, which
        // comes without a token.
        .layer((DnsRebindingLayer::for_listener(&args.host), cors()))
        // Except what is for everybody to read, and pages that look for themselves who asks.
        .merge(resource.into_router())
        .merge(idp.into_router());

    serve(app, listeners, &args.host, port).await
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

async fn health(State((keys, issuer)): State<(Arc<KeyDirectory>, String)>) -> Json<Value> {
    let available = !keys.public_keys().keys().is_empty();
    Json(json!({
        "status": "healthy",
        "jwt_enabled": true,
        "jwks_available": available,
        "protected_resource_metadata": format!("{issuer}/.well-known/oauth-protected-resource/mcp"),
        "authorization_server_metadata": format!("{issuer}/.well-known/oauth-authorization-server"),
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
