//! The keys that are known, and what is known of each by itself.

use std::fmt;

/// A key of the environment or of an env file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says which key it is, the crate's documentation what it sets")]
pub enum Key {
    Host,
    Port,
    McpPath,
    McpServerUrl,
    JwtAudience,
    AuthAudience,
    JwtIssuer,
    AuthIssuer,
    KeycloakUrl,
    KeycloakRealm,
    AuthHost,
    AuthPort,
    AuthRealm,
    JwksUrl,
    JwtPublicKey,
    OauthClientId,
    AuthClientId,
    OauthClientSecret,
    AuthClientSecret,
    McpScope,
    OauthStrict,
    Transport,
    JwtSecret,
}

impl Key {
    /// Every key.
    pub const ALL: [(Key, &'static str); 23] = [
        (Key::Host, "HOST"),
        (Key::Port, "PORT"),
        (Key::McpPath, "MCP_PATH"),
        (Key::McpServerUrl, "MCP_SERVER_URL"),
        (Key::JwtAudience, "JWT_AUDIENCE"),
        (Key::AuthAudience, "AUTH_AUDIENCE"),
        (Key::JwtIssuer, "JWT_ISSUER"),
        (Key::AuthIssuer, "AUTH_ISSUER"),
        (Key::KeycloakUrl, "KEYCLOAK_URL"),
        (Key::KeycloakRealm, "KEYCLOAK_REALM"),
        (Key::AuthHost, "AUTH_HOST"),
        (Key::AuthPort, "AUTH_PORT"),
        (Key::AuthRealm, "AUTH_REALM"),
        (Key::JwksUrl, "JWKS_URL"),
        (Key::JwtPublicKey, "JWT_PUBLIC_KEY"),
        (Key::OauthClientId, "OAUTH_CLIENT_ID"),
        (Key::AuthClientId, "AUTH_CLIENT_ID"),
        (Key::OauthClientSecret, "OAUTH_CLIENT_SECRET"),
        (Key::AuthClientSecret, "AUTH_CLIENT_SECRET"),
        (Key::McpScope, "MCP_SCOPE"),
        (Key::OauthStrict, "OAUTH_STRICT"),
        (Key::Transport, "TRANSPORT"),
        (Key::JwtSecret, "JWT_SECRET"),
    ];

    /// The key that is written so, letter by letter.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(key, _)| key)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(key, _)| *key == self).map_or("", |(_, name)| name)
    }

    /// Whether its value is never shown.
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Self::OauthClientSecret | Self::AuthClientSecret | Self::JwtSecret)
    }

    /// The known key that was probably meant by `name`.
    pub(crate) fn nearest(name: &str) -> Option<&'static str> {
        let name = name.to_ascii_uppercase();
        let (distance, nearest) = Self::ALL
            .into_iter()
            // No advice to set what is refused.
            .filter(|(key, _)| *key != Self::JwtSecret)
            .map(|(_, known)| (strsim::damerau_levenshtein(&name, known), known))
            .min_by_key(|(distance, _)| *distance)?;
        // A third of it may be wrong; HOME is not taken for HOST.
        (distance * 3 <= nearest.len()).then_some(nearest)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
