//! # Step 5: keys and JWKS
//!
//! Before a server can tell whose token it is shown, it needs the keys that tokens are signed with: the public halves.
//! This step loads them from a directory and publishes them as a JWK Set. `gen-token` holds the private halves and signs.
//! Nothing is enforced yet. The chapter is `step5.md`.
//!
//! Run it:
//! ```sh
//! cargo run --bin step5
//! ```
//! Try it:
//! ```sh
//! cargo run -q --bin gen-token
//! curl -s http://localhost:9000/.well-known/jwks.json
//! ```

use std::{
    future::IntoFuture,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::{
    Json, Router,
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use clap::Parser;
use mcp_auth::keys::KeyDirectory;
use mcp_core::{
    McpServer,
    http::{DnsRebindingLayer, Endpoint},
    logging::{self, LogFormat},
    prompts::{Greeting, Help},
    tools::{Add, Echo, GetTime, Multiply},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, lookup_host},
    signal,
    task::JoinSet,
    time::sleep,
};

/// How long running requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Step 5: an MCP server that knows the keys tokens are signed with.
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
    /// Directory of public keys; gen-token makes them.
    #[arg(long, default_value = "keys")]
    key_dir: PathBuf,
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

    let mcp = McpServer::builder("step5", env!("CARGO_PKG_VERSION"))
        .instructions("A tutorial server: echo, the time of day, and arithmetic.")
        .tool(Echo)
        .tool(GetTime)
        .tool(Add)
        .tool(Multiply)
        .prompt(Greeting)
        .prompt(Help)
        .build()?;

    // Watched, so that a new key needs no restart, and the first one no particular order.
    let keys = Arc::new(KeyDirectory::open(&args.key_dir));
    keys.watch();

    let app = Router::new()
        .route("/health", get(health))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/mcp", Endpoint::new(mcp).into_route())
        .with_state(keys)
        // Outermost, so that a page of another site reaches nothing at all.
        .layer(DnsRebindingLayer::for_listener(&args.host));

    serve(app, listeners, &args.host, port).await
}

async fn health(State(keys): State<Arc<KeyDirectory>>) -> Json<Value> {
    let available = !keys.public_keys().keys().is_empty();
    Json(json!({ "status": "healthy", "jwt_enabled": true, "jwks_available": available }))
}

/// The public keys, for whoever wants to verify a token (RFC 7517 §5).
async fn jwks(State(keys): State<Arc<KeyDirectory>>) -> Response {
    let current = keys.public_keys();
    if current.keys().is_empty() {
        let reason = format!("there is no public key in {} yet; gen-token makes one", keys.path().display());
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(json!({ "error": reason })))
            .into_response();
    }
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=60")];
    (headers, current.jwks()).into_response()
}

/// Serves `app` on every address of the host until Ctrl-C or SIGTERM.
async fn serve(app: Router, listeners: Vec<TcpListener>, host: &str, port: u16) -> anyhow::Result<()> {
    let mut servers = JoinSet::new();
    for listener in listeners {
        // Progress is small packets one after another: without this, each waits for the last to be acknowledged.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        servers.spawn(axum::serve(listener, app.clone()).with_graceful_shutdown(stop()).into_future());
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
