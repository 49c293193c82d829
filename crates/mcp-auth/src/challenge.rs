//! The only writer of `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1).

use http::HeaderValue;

/// What a refused client is told in the header: where to get a token, with which scope, and what was wrong with the
/// one it sent.
#[derive(Clone, Debug, Default)]
pub struct Challenge(String);

/// A parameter has characters that its grammar does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} may hold printable ASCII without quotes and backslashes alone (RFC 6750 §3)")]
pub struct ChallengeError(&'static str);

impl Challenge {
    /// `Bearer`, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// The URL of the protected resource metadata (RFC 9728 §5.1).
    ///
    /// # Errors
    /// When it has characters that no URL has.
    pub fn resource_metadata(self, url: &str) -> Result<Self, ChallengeError> {
        self.with("resource_metadata", url)
    }

    /// The scopes that are needed, with spaces between them.
    ///
    /// # Errors
    /// When it has characters that no scope has.
    pub fn scope(self, scope: &str) -> Result<Self, ChallengeError> {
        self.with("scope", scope)
    }

    /// What was wrong with the token that was sent. Leave it out when there was none (RFC 6750 §3.1).
    ///
    /// # Errors
    /// When the sentence has characters that do not fit.
    pub fn error(self, code: &'static str, description: &str) -> Result<Self, ChallengeError> {
        self.with("error", code)?.with("error_description", description)
    }

    /// The set of characters that RFC 6750 §3 allows in all of these, so that nothing ever has to be escaped.
    fn with(mut self, name: &'static str, value: &str) -> Result<Self, ChallengeError> {
        if !value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
            return Err(ChallengeError(name));
        }
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0 += &format!("{comma} {name}=\"{value}\"");
        Ok(self)
    }

    /// The header's value.
    pub fn to_header(&self) -> HeaderValue {
        // `with` let nothing in that is not visible ASCII.
        HeaderValue::from_str(&format!("Bearer{}", self.0)).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_rfc_6750_writes_it() {
        assert_eq!(Challenge::new().to_header(), "Bearer");
        let challenge = Challenge::new()
            .resource_metadata("http://localhost:9000/.well-known/oauth-protected-resource/mcp")
            .and_then(|challenge| challenge.scope("mcp:read mcp:tools"))
            .and_then(|challenge| challenge.error("invalid_token", "the token has expired"))
            .unwrap();
        assert_eq!(
            challenge.to_header(),
            "Bearer resource_metadata=\"http://localhost:9000/.well-known/oauth-protected-resource/mcp\", \
             scope=\"mcp:read mcp:tools\", error=\"invalid_token\", error_description=\"the token has expired\""
        );
    }

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        for bent in ["a\", error=\"x", "a\\", "a\r\nSet-Cookie: x", "a\u{e9}", "a\0"] {
            assert!(Challenge::new().scope(bent).is_err(), "{bent:?}");
            assert!(Challenge::new().resource_metadata(bent).is_err(), "{bent:?}");
        }
    }
}
