//! What people usually write: an rmcp server behind an axum middleware with a plain `jsonwebtoken::decode`. It is not
//! ours; `scripts/attack.sh` tells what it lets through.
//!
//! Run it:
//! ```sh
//! cargo run -p mcp-attack --example rmcp_plain -- --port 9100 --key-dir keys --issuer http://localhost:9000 --audience http://localhost:9000/mcp
//! ```

use std::{collections::HashMap, fs, path::PathBuf, sync::Arc};

use anyhow::Context;
use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use clap::Parser;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::Jwk};
use rmcp::{
    ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::{ServerCapabilities, ServerConfig},
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde::Deserialize;
use tokio::net::TcpListener;

/// An rmcp server as people usually protect it.
#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Directory of public keys.
    #[arg(long, default_value = "keys")]
    key_dir: PathBuf,
    /// Who issues tokens.
    #[arg(long)]
    issuer: String,
    /// What they are for.
    #[arg(long)]
    audience: String,
}

#[derive(Clone)]
struct Echo {
    tool_router: ToolRouter<Self>,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct EchoInput {
    message: String,
}

#[tool_router]
impl Echo {
    #[tool(description = "Says what it is told")]
    fn echo(&self, Parameters(EchoInput { message }): Parameters<EchoInput>) -> String {
        message
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

struct Auth {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a handler would go on with")]
struct Claims {
    sub: String,
    exp: u64,
}

/// The middleware of the tutorials: the header, the kid, the key, `decode`.
async fn authenticate(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = token.and_then(|value| value.strip_prefix("Bearer ")) else {
        return (StatusCode::UNAUTHORIZED, "missing token").into_response();
    };
    let key = decode_header(token).ok().and_then(|header| auth.keys.get(&header.kid?));
    match key.map(|key| decode::<Claims>(token, key, &auth.validation)) {
        Some(Ok(_)) => next.run(request).await,
        _ => (StatusCode::UNAUTHORIZED, "invalid token").into_response(),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut keys = HashMap::new();
    for entry in fs::read_dir(&args.key_dir).with_context(|| format!("no keys in {}", args.key_dir.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".jwk.json") {
            let jwk: Jwk = serde_json::from_str(&fs::read_to_string(&path)?)?;
            let kid = jwk.common.key_id.clone().context("a key without kid")?;
            keys.insert(kid, DecodingKey::from_jwk(&jwk)?);
        }
    }
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[&args.issuer]);
    validation.set_audience(&[&args.audience]);

    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(
        || Ok(Echo { tool_router: Echo::tool_router() }),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let app = Router::new()
        .nest_service("/mcp", service)
        .layer(middleware::from_fn_with_state(Arc::new(Auth { keys, validation }), authenticate));
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
    println!("listening on http://localhost:{}", listener.local_addr()?.port());
    axum::serve(listener, app).await?;
    Ok(())
}
