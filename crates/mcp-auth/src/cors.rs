use std::time::Duration;

use http::{
    HeaderName, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tower_http::cors::{Any, CorsLayer};

/// CORS for an MCP server: what a client in a browser needs to send its requests and to see why one was refused.
///
/// Any origin may ask, because nothing here is granted for asking from a browser: there are no cookies, and a page has
/// the token or it has not. Put it around the guard, since a preflight carries no token; and put a layer that checks
/// `Origin` around both, where a server on a loopback address must not talk to every page.
pub fn cors() -> CorsLayer {
    let header = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            header("agent-session"),
            header("last-event-id"),
            header("mcp-method"),
            header("mcp-name"),
            header("mcp-protocol-version"),
            header("mcp-session-id"),
        ])
        .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, header("mcp-session-id")])
        .max_age(Duration::from_secs(3600))
}
