//! `Mcp-Session-Id` for legacy clients whose server wants them (MCP 2025-11-25, *Transports*, "Session Management").
//!
//! A session is a handle, never a credential: it belongs to the caller who opened it, and from anybody else it is
//! unknown (MCP *Security Best Practices*, "Session Hijacking").

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode, request::Parts};
use moka::{policy::EvictionPolicy, sync::Cache};
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
pub(super) struct Sessions(Cache<String, Owner>);

/// Issuer and subject of who opened a session, if that was asked; a name may change in between.
pub(super) type Owner = Option<(Arc<str>, Arc<str>)>;

impl Sessions {
    pub(super) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_SESSIONS)
                .time_to_idle(IDLE)
                // The default would turn a newcomer away when all others are in use.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        )
    }

    /// Opens a session and returns its id, 122 random bits.
    pub(super) fn open(&self, owner: Owner) -> HeaderValue {
        let id = Uuid::new_v4().to_string();
        let header = HeaderValue::from_str(&id).expect("a UUID is visible ASCII");
        self.0.insert(id, owner);
        header
    }

    /// # Errors
    /// 400 without an id, 404 for one that is not open for this caller.
    pub(super) fn check(&self, parts: &Parts, request: Option<&Id>) -> Result<(), Whole> {
        self.find(parts, request).map(|_| ())
    }

    /// # Errors
    /// As [`Self::check`].
    pub(super) fn close(&self, parts: &Parts) -> Result<(), Whole> {
        self.find(parts, None).map(|id| self.0.invalidate(id))
    }

    fn find<'a>(&self, parts: &'a Parts, request: Option<&Id>) -> Result<&'a str, Whole> {
        let refuse =
            |status, message: &str| Whole::error(status, &ErrorObject::new(code::INVALID_REQUEST, message), request);
        let id = headers::single(&parts.headers, &HEADER)
            .map_err(|error| Whole::error(StatusCode::BAD_REQUEST, &error, request))?
            .ok_or_else(|| {
                refuse(StatusCode::BAD_REQUEST, "the header Mcp-Session-Id is missing; initialize gives it out")
            })?;
        if self.0.get(id).is_some_and(|owner| owner == owner_of(parts)) {
            Ok(id)
        } else {
            Err(refuse(StatusCode::NOT_FOUND, "this session is over or was never open; initialize anew"))
        }
    }
}

/// Whose session a request would open, or may use.
pub(super) fn owner_of(parts: &Parts) -> Owner {
    parts.extensions.get::<Caller>().map(|caller| (caller.issuer.clone(), caller.subject.clone()))
}
