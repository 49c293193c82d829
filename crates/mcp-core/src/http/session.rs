//! `Mcp-Session-Id` for legacy clients whose server wants them (MCP 2025-11-25, *Transports*, "Session Management").
//!
//! A session is a handle, never a credential: it belongs to the caller who opened it, and from anybody else it is
//! unknown (MCP *Security Best Practices*, "Session Hijacking").

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, request::Parts};
use moka::sync::Cache;
use uuid::Uuid;

use super::{Whole, headers};
use crate::{
    Caller,
    jsonrpc::{ErrorObject, Id, code},
};

pub(super) const HEADER: HeaderName = HeaderName::from_static("mcp-session-id");
/// Beyond this the session unused for longest goes; its client is told 404 and opens another.
const MAX_SESSIONS: u64 = 10_000;
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The open sessions and who opened each.
#[derive(Debug)]
pub(super) struct Sessions(Cache<Uuid, Option<Caller>>);

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_SESSIONS).time_to_idle(IDLE).build())
    }

    /// Opens a session and returns its id, 122 random bits.
    pub(super) fn open(&self, caller: Option<Caller>) -> HeaderValue {
        let id = Uuid::new_v4();
        self.0.insert(id, caller);
        HeaderValue::from_str(&id.to_string()).expect("a UUID is visible ASCII")
    }

    /// # Errors
    /// 400 without an id, 404 for one that is not open for this caller.
    pub(super) fn check(&self, parts: &Parts, request: Option<&Id>) -> Result<(), Whole> {
        self.find(parts, request).map(|_| ())
    }

    /// # Errors
    /// As [`Self::check`].
    pub(super) fn close(&self, parts: &Parts) -> Result<(), Whole> {
        self.find(parts, None).map(|id| self.0.invalidate(&id))
    }

    fn find(&self, parts: &Parts, request: Option<&Id>) -> Result<Uuid, Whole> {
        let refuse =
            |status, message: &str| Whole::error(status, &ErrorObject::new(code::INVALID_REQUEST, message), request);
        let id = headers::single(&parts.headers, &HEADER)
            .map_err(|error| Whole::error(StatusCode::BAD_REQUEST, &error, request))?
            .ok_or_else(|| {
                refuse(StatusCode::BAD_REQUEST, "the header Mcp-Session-Id is missing; initialize gives it out")
            })?;
        Uuid::parse_str(id)
            .ok()
            .filter(|id| self.0.get(id).is_some_and(|owner| owner.as_ref() == parts.extensions.get::<Caller>()))
            .ok_or_else(|| refuse(StatusCode::NOT_FOUND, "this session is over or was never open; initialize anew"))
    }
}
