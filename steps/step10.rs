//! # Step 10: env files
//!
//! One program, many environments: which identity provider, for which URL, how tokens are checked, stands in a file, in the
//! environment or on the command line, and is checked before anything listens. `--print-config` shows what won, and from
//! where. The program on the other side, a client that finds its way through all this, is step 11. The chapter is
//! `step10.md`.
//!
//! Run it:
//! ```sh
//! cargo run --bin step10 -- --env envs/embedded.env
//! ```
//! Try it:
//! ```sh
//! cargo run --bin step10 -- --env envs/embedded.env --port 9999 --print-config
//! ```

use std::{
    future::IntoFuture,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Extensions, StatusCode, header::WWW_AUTHENTICATE},
    routing::get,
    serve::ListenerExt,
};
use clap::Parser;
use mcp_auth::{
    self as auth, Challenge, ClientCredentials, Either, Guard, InitialScopes, Introspection, JwtVerifier, Policy,
    Principal, ProtectedResource, RemoteKeySet, TokenVerifier, VerifiedTokens, cors, keys::PublicKey,
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
use mcp_settings::{Flags, KeySource, Settings, Verification};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, lookup_host},
    signal,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{Layer, util::MapRequestLayer};

/// How long running requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How many tokens are remembered as good; each takes a few kilobytes.
const REMEMBERED_TOKENS: usize = 10_000;
/// How long the server waits at its start for the identity provider to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What configures the server where nothing else is named.
const DEFAULT_ENV: &str = "envs/keycloak_direct.env";

/// Step 10: an MCP server that is configured by flags, the environment and an env file, in this order.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    /// How to write the log: text or json. RUST_LOG says how much.
    #[arg(long, default_value = "text")]
    log_format: LogFormat,
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
    let _log = logging::init(args.log_format);
    let settings = args.flags.load(DEFAULT_ENV)?;
    if args.flags.print_config {
        println!("{settings}");
        return Ok(());
    }
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    let (listeners, port) = listen(&settings.host, settings.port).await?;
    let settings = settings.listening_on(port);

    // Strict: who may only read gets no prompt. With a scope of its own, everything needs that one.
    let policy = match &settings.one_scope {
        Some(scope) => Policy::one_scope(scope)?,
        None => Policy::strict().tool_scope("run_js", "mcp:run")?,
    };
    let policy = policy.tool_role(ServerStats::NAME, "admin");
    let deciding = policy.clone();
    let mcp = McpServer::builder("step10", env!("CARGO_PKG_VERSION"))
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

    let scopes = policy.initial_scopes(InitialScopes::All);
    let resource = ProtectedResource::new(&settings.resource.parse()?, [&settings.issuer], scopes.split(' '))?;
    let verifier = Arc::new(verifier(&settings, &policy.initial_scopes(InitialScopes::Least)).await?);
    let guard = Guard::new(Arc::clone(&verifier))
        .protects(resource.clone())
        .challenge(Challenge::new().scope(&policy.initial_scopes(args.initial_scopes))?)
        .agent_session(args.agent_session)
        .audit_accepted(args.audit_accepted);

    // By its public name too: behind a proxy that is what clients say.
    let hosts = DnsRebindingLayer::for_listener(&settings.host).allow_host(&settings.public_host());
    let app = Router::new()
        .route("/health", get(health))
        .route_service(
            &settings.path,
            (guard, MapRequestLayer::new(introduce)).layer(Endpoint::new(mcp).into_service()),
        )
        .with_state((verifier, settings.clone()))
        // Outermost, so that a page of another site reaches nothing at all; then the question whether a page may ask, which
        // comes without a token.
        .layer((hosts, cors()))
        // Except what is for everybody to read.
        .merge(resource.into_router());

    serve(app, listeners, &settings.host, port).await
}

type Verifier = Either<Introspection, VerifiedTokens<JwtVerifier>>;

/// Introspection where the server has a client's id and secret for it, signatures otherwise.
async fn verifier(settings: &Settings, scope: &str) -> anyhow::Result<Verifier> {
    let (issuer, audience) = (settings.issuer.as_str(), settings.audience.as_str());
    let keys = match &settings.verification {
        Verification::Introspection { client_id, client_secret } => {
            let client = ClientCredentials::new(client_id, client_secret.expose());
            let introspection = Introspection::builder(issuer, audience, client)?.start();
            // Before anybody else's token depends on it.
            match timeout(PATIENCE, introspection.self_test(Some(scope))).await {
                Ok(Ok(())) => tracing::info!("the identity provider answers about tokens"),
                Ok(Err(problem)) if problem.is_final() => return Err(problem.into()),
                Ok(Err(problem)) => tracing::warn!("{problem}"),
                Err(_) => tracing::warn!("the identity provider has not answered about tokens yet"),
            }
            return Ok(Either::Left(introspection));
        }
        Verification::Keys(keys) => keys,
    };
    let verifier = match keys {
        KeySource::Issuer => JwtVerifier::with_key_set(RemoteKeySet::of_issuer(issuer)?.start(), issuer, audience),
        KeySource::Url(url) => {
            JwtVerifier::with_key_set(RemoteKeySet::builder(url.as_str())?.start(), issuer, audience)
        }
        KeySource::Pem(pem) => JwtVerifier::with_public_key(PublicKey::from_pem(pem.as_bytes())?, issuer, audience),
    };
    Ok(Either::Right(VerifiedTokens::new(verifier, REMEMBERED_TOKENS)))
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

async fn health(State((verifier, settings)): State<(Arc<Verifier>, Settings)>) -> Json<Value> {
    // Why it cannot be reached is for the log.
    let provider = verifier.provider();
    Json(json!({
        "status": "healthy",
        "jwt_enabled": true,
        "scope_based_auth": true,
        "resource": settings.resource,
        "identity_provider": {
            "issuer": settings.issuer,
            "checked_by": if matches!(*verifier, Either::Left(_)) { "introspection" } else { "signature" },
            "reachable": provider.as_ref().map(|provider| provider.reachable),
            "age_seconds": provider.and_then(|provider| provider.age).map(|age| age.as_secs()),
        },
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
