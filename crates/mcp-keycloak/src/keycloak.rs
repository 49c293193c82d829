use std::fmt;

use tokio::sync::Mutex;
use url::Url;

use crate::{KeycloakError, admin::AdminToken, http};

/// A Keycloak, and who administers it.
pub struct Keycloak {
    pub(crate) base: Url,
    pub(crate) client: reqwest::Client,
    pub(crate) user: String,
    pub(crate) password: String,
    /// Good for a minute.
    pub(crate) token: Mutex<Option<AdminToken>>,
}

impl Keycloak {
    /// The Keycloak at this base URL, which is what stands before `/realms`: https, or http on a loopback host. `user` is
    /// an administrator of the realm `master`. Nothing is sent yet.
    ///
    /// # Errors
    /// When it is another kind of URL, has user information, a query or a fragment, or TLS cannot be set up.
    pub fn new(url: &str, user: &str, password: &str) -> Result<Self, KeycloakError> {
        let base = http::base(url)?;
        let client = http::client(&base)?;
        Ok(Self { base, client, user: user.to_owned(), password: password.to_owned(), token: Mutex::default() })
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether it is on this machine: its base URL names a loopback host. Passwords and secrets that stand in a public
    /// file are for such a Keycloak alone.
    pub fn is_local(&self) -> bool {
        http::is_loopback(&self.base)
    }

    /// The issuer that a realm's tokens have.
    pub fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.url())
    }

    /// Where authorization-server metadata stands that was inserted before the path (RFC 8414 §3.1).
    pub(crate) fn inserted(&self, well_known: &str, realm: &str) -> String {
        let path = self.base.path().trim_end_matches('/');
        let origin = self.base.origin().ascii_serialization();
        format!("{origin}/.well-known/{well_known}{path}/realms/{realm}")
    }

    pub(crate) fn unreachable(&self, why: String) -> KeycloakError {
        KeycloakError::Unreachable { url: self.url().to_owned(), why }
    }
}

/// Without the password.
impl fmt::Debug for Keycloak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keycloak").field("url", &self.url()).field("user", &self.user).finish_non_exhaustive()
    }
}
