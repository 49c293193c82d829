//! What the state machine reports, as log events: never a code, a token or a secret.

use oauth_as::{Event, EventSink};

pub(crate) struct Audit;

impl EventSink for Audit {
    fn on_event(&self, event: Event<'_>) {
        match event {
            // Somebody has what belongs to somebody else; everything that came of it is revoked already.
            Event::RefreshTokenReuseDetected { .. } | Event::AuthorizationCodeReplayDetected { .. } => {
                tracing::warn!(target: "mcp_idp::audit", ?event, "replayed");
            }
            _ => tracing::info!(target: "mcp_idp::audit", ?event, "event"),
        }
    }
}
