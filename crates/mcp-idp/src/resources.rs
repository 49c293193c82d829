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

    /// The resources that were asked for: this machine as the client calls it, everything else in one spelling, since
    /// from here on they are compared letter by letter.
    ///
    /// # Errors
    /// `invalid_target` (RFC 8707 §2) for one that is not served here.
    pub(crate) fn permit(&self, asked: &[&str]) -> Result<Vec<String>, ErrorResponse> {
        let mut permitted: Vec<String> = Vec::new();
        for asked in asked {
            let resource = asked.parse::<ResourceUri>().ok().filter(|resource| self.0.contains(resource));
            let spelling = resource.and_then(|resource| resource.spellings().into_iter().next());
            let spelling = spelling
                .ok_or_else(|| refused(ErrorCode::InvalidTarget, "no tokens are issued here for that resource"))?;
            if !permitted.contains(&spelling) {
                permitted.push(spelling);
            }
        }
        Ok(permitted)
    }
}
