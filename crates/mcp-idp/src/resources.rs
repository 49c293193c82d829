//! What tokens may be for (RFC 8707).

use mcp_auth::ResourceUri;
use oauth_as::{ErrorCode, ErrorResponse};

use crate::oauth_error::refused;

/// The resources that this server issues tokens for.
#[derive(Debug)]
pub(crate) struct Resources(Vec<ResourceUri>);

impl Resources {
    pub(crate) fn new(known: Vec<ResourceUri>) -> Self {
        Self(known)
    }

    /// The resources that were asked for, as the client spells them, since it compares them with what it knows.
    ///
    /// # Errors
    /// `invalid_target` (RFC 8707 §2) for one that is not served here.
    pub(crate) fn permit(&self, asked: &[&str]) -> Result<Vec<String>, ErrorResponse> {
        let mut permitted: Vec<String> = Vec::new();
        for asked in asked {
            let known = asked.parse::<ResourceUri>().is_ok_and(|resource| self.0.contains(&resource));
            if !known {
                return Err(refused(ErrorCode::InvalidTarget, "no tokens are issued here for that resource"));
            }
            if !permitted.iter().any(|other| other == asked) {
                permitted.push((*asked).to_owned());
            }
        }
        Ok(permitted)
    }
}
