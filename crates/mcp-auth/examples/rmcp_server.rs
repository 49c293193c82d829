//! An MCP server built with rmcp, protected: nobody calls a tool without a valid access token and the scope `mcp:tools`,
//! and `whoami` knows who does. What protects it is the lines in [`protect`].
//!
//! Run it:
//! ```sh
//! cargo run -p mcp-auth --example rmcp_server
//! ```
//! Try it:
//! ```sh
//! TOKEN=$(cargo run -q --bin gen-token -- --raw)
//! curl -s http://localhost:9000/mcp -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
//!   -H 'Accept: application/json, text/event-stream' \
//!   -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}'
//! ```
//! Without the token the answer is 401; with one of `gen-token --scopes mcp:read` it is 403. With
//! `-H 'Mcp-Name: echo'` it is 400: a gateway that looks at the header must not see another tool than the one that is
//! called.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::Router;
use http::request::Parts;
use mcp_auth::{
    Guard, JwtVerifier, Policy, PolicyLayer, Principal, TokenVerifier, VerifiedTokens, cors, keys::KeyDirectory,
    strict::StrictJsonRpcLayer,
};
use rmcp::{
    ErrorData, ServerHandler,
    handler::server::{common::Extension, wrapper::Parameters},
    schemars::{self, JsonSchema},
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde::Deserialize;
use tokio::net::TcpListener;

/// How many tokens are remembered as good.
const REMEMBERED_TOKENS: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let keys = Arc::new(KeyDirectory::open("keys"));
    keys.watch();
    let verifier = JwtVerifier::with_directory(keys, "http://localhost:9000", "http://localhost:9000/mcp");

    let listener = TcpListener::bind("127.0.0.1:9000").await?;
    tracing::info!("listening on http://localhost:9000");
    axum::serve(listener, protect(mcp(Tools::default()), verifier)).await?;
    Ok(())
}

/// The way of a request, from the bottom up.
pub fn protect(mcp: StreamableHttpService<Tools, NeverSessionManager>, verifier: impl TokenVerifier) -> Router {
    Router::new()
        .route_service("/mcp", mcp)
        .layer(PolicyLayer::new(Policy::mcp()))
        .layer(StrictJsonRpcLayer::new())
        .layer(Guard::new(VerifiedTokens::new(verifier, REMEMBERED_TOKENS)))
        .layer(cors())
}

/// rmcp's endpoint, by itself open to everybody on this machine.
pub fn mcp(tools: Tools) -> StreamableHttpService<Tools, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        // A session is no credential, and rmcp's do not know whose they are: here each request stands for itself.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // DNS rebinding: `Host` is checked by default, for the names of this machine; `Origin` only when told to.
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .enforce_origin_validation();
    StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config)
}

/// What this server can do. rmcp asks for one of these with each request, so they share what they know.
#[derive(Clone, Default)]
pub struct Tools {
    /// How many calls there have been.
    pub calls: Arc<AtomicU64>,
}

#[tool_router]
impl Tools {
    /// Says what you say.
    #[tool]
    fn echo(&self, Parameters(Echo { message }): Parameters<Echo>) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        message
    }

    /// Says who you are.
    #[tool]
    fn whoami(&self, Extension(request): Extension<Parts>) -> Result<String, ErrorData> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // rmcp hands the request's head on, and in it what the guard has verified.
        let Some(who) = request.extensions.get::<Principal>() else {
            return Err(ErrorData::internal_error("there is no guard in front of this server", None));
        };
        Ok(format!("{} of {}", who.username.as_deref().unwrap_or(&who.subject), who.issuer))
    }
}

#[tool_handler(name = "guarded", version = "0.1.0")]
impl ServerHandler for Tools {}

/// What `echo` takes.
#[derive(Deserialize, JsonSchema)]
pub struct Echo {
    /// What to say.
    message: String,
}
