//! The authorization server on its own, with Keycloak's URLs: what runs against one runs against the other.
//!
//! ```sh
//! cargo run -p mcp-idp -- --realm-file keycloak/mcp-realm-realm.json
//! ```

use std::{
    future::IntoFuture,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::{Json, Router, routing::get};
use clap::Parser;
use mcp_auth::keys::{Algorithm, KeyDirectory};
use mcp_idp::{AuthorizationServer, Realm};
use serde_json::json;
use tokio::{
    net::{TcpListener, lookup_host},
    signal,
    task::JoinSet,
};
use tracing_subscriber::EnvFilter;

/// An OAuth authorization server for one machine, from a Keycloak realm export.
#[derive(Parser)]
struct Args {
    /// The realm: a file that Keycloak exports and imports.
    #[arg(long)]
    realm_file: PathBuf,
    /// Name or address to listen on; localhost is 127.0.0.1 and ::1.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The URL that clients reach this server at, without a path; http://localhost:PORT unless told otherwise. Limits
    /// are per address of the connection: behind a proxy all people are one.
    #[arg(long)]
    public_url: Option<String>,
    /// Directory of signing keys; one is made where there is none.
    #[arg(long, default_value = "keys")]
    key_dir: PathBuf,
    /// What access tokens are signed with: RS256, PS256, ES256 or EdDSA.
    #[arg(long, default_value = "RS256")]
    algorithm: Algorithm,
    /// How long an access token lives, in seconds; the realm's accessTokenLifespan unless told otherwise.
    #[arg(long)]
    access_token_lifetime: Option<u64>,
    /// Serve the password grant to clients of the realm that may use it. OAuth 2.1 has dropped it.
    #[arg(long)]
    allow_password_grant: bool,
    /// For development: client metadata documents may be on https on this machine, with a certificate from --dev-ca.
    #[arg(long, requires = "dev_ca")]
    dev: bool,
    /// A PEM file of certificates that metadata documents on this machine may be signed with.
    #[arg(long, requires = "dev")]
    dev_ca: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let path = &args.realm_file;
    let file = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let realm = Realm::from_json(&file).with_context(|| path.display().to_string())?;
    let (listeners, port) = listen(&args.host, args.port).await?;

    let url = args.public_url.unwrap_or_else(|| format!("http://localhost:{port}"));
    let issuer = format!("{url}/realms/{}", realm.name());
    let keys = Arc::new(KeyDirectory::open(&args.key_dir));
    keys.watch();
    let mut server = AuthorizationServer::builder(&issuer, realm, keys)
        .keycloak_urls()
        .algorithm(args.algorithm)
        .password_grant(args.allow_password_grant);
    if let Some(seconds) = args.access_token_lifetime {
        server = server.access_token_lifetime(Duration::from_secs(seconds));
    }
    if let Some(ca) = &args.dev_ca {
        let pem = std::fs::read(ca).with_context(|| format!("{} cannot be read", ca.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).context("--dev-ca holds no certificates")?;
        server = server.local_client_documents(certificates);
    }
    let server = server.build().await?;
    for notice in server.notices() {
        tracing::warn!("{}: {notice}", path.display());
    }

    let health = get(async || Json(json!({ "status": "healthy" })));
    let app = Router::new().route("/health", health).merge(server.into_router());
    let mut servers = JoinSet::new();
    for listener in listeners {
        let app = app.clone().into_make_service_with_connect_info::<SocketAddr>();
        servers.spawn(axum::serve(listener, app).with_graceful_shutdown(stop()).into_future());
    }
    tracing::info!("issuer {issuer}");
    let host = args.host.parse::<Ipv6Addr>().map_or(args.host, |address| format!("[{address}]"));
    tracing::info!("listening on http://{host}:{port}");
    servers.join_all().await;
    Ok(())
}

/// Both addresses of `localhost`, since a client may try either first.
async fn listen(host: &str, mut port: u16) -> anyhow::Result<(Vec<TcpListener>, u16)> {
    let addresses = match host {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        _ => {
            let found =
                lookup_host((host, port)).await.with_context(|| format!("{host} is no address or known name"))?;
            found.map(|address| address.ip()).collect()
        }
    };
    let mut listeners = Vec::new();
    for address in addresses {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // Such as ::1 on a machine without IPv6.
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {}
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
