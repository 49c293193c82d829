/// Why Keycloak did not do what it was asked. No error holds a password, a secret or a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeycloakError {
    /// Not a base URL for Keycloak. It is not shown: it may have a password in it.
    #[error("Keycloak's URL: {0}")]
    Url(&'static str),
    /// The HTTP client cannot be made.
    #[error("TLS cannot be set up: {0}")]
    Client(String),
    /// Nobody answers, or only somebody in front of it does.
    #[error("Keycloak cannot be reached at {url}: {why}; is it running, and is that its URL?")]
    Unreachable {
        /// The base URL.
        url: String,
        /// What happened instead.
        why: String,
    },
    /// Somebody answers who is no Keycloak, or one with another base path.
    #[error("what answers at {url} is no Keycloak: {why}; the URL is what stands before /realms")]
    NotKeycloak {
        /// The base URL.
        url: String,
        /// What it said instead.
        why: String,
    },
    /// The administrator's name or password is wrong, or the account cannot log in with a password.
    #[error(
        "Keycloak does not let {user:?} administer it: {why}; \
         name and password are those of a user of the realm master (KC_BOOTSTRAP_ADMIN_USERNAME at its first start)"
    )]
    Credentials {
        /// The administrator.
        user: String,
        /// Keycloak's reason.
        why: String,
    },
    /// The administrator has not got the role for it.
    #[error("{user:?} may not {action}: give the user the role admin, in the realm master under Users > Role mapping")]
    Forbidden {
        /// The administrator.
        user: String,
        /// What was refused.
        action: String,
    },
    /// Anything else.
    #[error("Keycloak does not {action}: {status} {why}")]
    Refused {
        /// What was refused.
        action: String,
        /// The HTTP status.
        status: u16,
        /// Keycloak's reason.
        why: String,
    },
}
