//! # Step 4: dispatched
//!
//! The tools run. What a client sends is checked against the tool's schema first; what a tool reports on the way
//! reaches the client as a stream; a client that hangs up ends its call. Anybody who reaches the port can do all of
//! this: that is what the steps from 5 on are about. The chapter is `step4.md`.
//!
//! Run it:
//! ```sh
//! cargo run --bin step4
//! ```
//! Try it:
//! ```sh
//! curl -s http://localhost:9000/mcp -H 'Content-Type: application/json' \
//!   -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":40}}}'
//! ```

use std::{
    future::IntoFuture,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::{Json, Router, routing::get, serve::ListenerExt};
use clap::Parser;
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

/// Step 4: an MCP server whose tools run.
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

    let mcp = McpServer::builder("step4", env!("CARGO_PKG_VERSION"))
        .instructions("A tutorial server: echo, the time of day, and arithmetic.")
        .tool(Echo)
        .tool(GetTime)
        .tool(Add)
        .tool(Multiply)
        .prompt(Greeting)
        .prompt(Help)
        .build()?;

    let app = Router::new()
        .route("/health", get(health))
        .route("/mcp", Endpoint::new(mcp).into_route())
        // Outermost, so that a page of another site reaches nothing at all.
        .layer(DnsRebindingLayer::for_listener(&args.host));

    serve(app, listeners, &args.host, port).await
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "healthy" }))
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
