//! One event per decision, for target `mcp_auth::audit`: who was let in, who was not and why. Never a token, never a
//! part of one.
//!
//! | field | what it says |
//! |---|---|
//! | `outcome` | `accepted` or `refused` |
//! | `reason` | why it was refused: `no token`, `expired`, …; `scope mcp:tools`, `role admin`, `tools claim`, … |
//! | `subject`, `issuer`, `client`, `kid` | of an accepted token; a refused one has said nothing that could be believed |
//! | `method`, `path` | of the HTTP request, where the guard decided |
//! | `address` | of the peer, where the guard decided and the server was started with connection information |
//! | `operation`, `name` | such as `tools/call` of `echo`, where a policy decided |
//!
//! Refusals are events at `info`; accepted requests too, where the guard's setting wants them. That an entry is left out
//! of a list is none. How the events are written is the subscriber's business: give it a writer that does not block.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::request::Parts;

use crate::{AccessToken, Denied, TokenError, shown::cut};

/// No path is written beyond this many bytes: whoever sent it chose its length.
const SHOWN: usize = 128;

fn path(parts: &Parts) -> &str {
    let path = parts.uri.path();
    &path[..path.floor_char_boundary(SHOWN)]
}

fn address(parts: &Parts) -> Option<String> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.to_string())
}

pub(crate) fn accepted(parts: &Parts, token: &AccessToken) {
    tracing::info!(
        target: "mcp_auth::audit",
        outcome = "accepted",
        subject = &*token.subject,
        issuer = &*token.issuer,
        client = token.client_id,
        kid = token.kid,
        method = parts.method.as_str(),
        path = path(parts),
        address = address(parts),
    );
}

pub(crate) fn refused(parts: &Parts, reason: Refused<'_>) {
    tracing::info!(
        target: "mcp_auth::audit",
        outcome = "refused",
        reason = %reason,
        method = parts.method.as_str(),
        path = path(parts),
        address = address(parts),
    );
}

/// The subject is known, and may not.
pub(crate) fn denied(denied: &Denied<'_>) {
    let (token, operation) = (denied.principal(), denied.operation());
    tracing::info!(
        target: "mcp_auth::audit",
        outcome = "refused",
        reason = %denied.reason(),
        subject = &*token.subject,
        issuer = &*token.issuer,
        client = token.client_id,
        kid = token.kid,
        operation = operation.method().map(cut),
        name = operation.name().map(cut),
    );
}

/// Why, in the words of the log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Refused<'a> {
    #[error("no token")]
    NoToken,
    #[error("{0}")]
    Request(&'static str),
    #[error("{0}")]
    Token(&'a TokenError),
}
