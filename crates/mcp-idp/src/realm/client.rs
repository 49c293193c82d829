//! A client that the realm's file registers.

use std::fmt;

/// A registered client.
#[derive(Clone)]
pub struct RealmClient {
    id: String,
    name: Option<String>,
    secret: Option<String>,
    redirect_uris: Vec<String>,
    standard_flow: bool,
    direct_access_grants: bool,
    service_account: bool,
    consent_required: bool,
    scopes: Vec<String>,
    default_scopes: Vec<String>,
}

impl RealmClient {
    /// Its `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name for people, else its id.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// Its secret; a client without one is public.
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// Where an answer may be sent. Each is one URI, compared letter by letter (RFC 9700 §2.1).
    pub fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// Whether it may use authorization codes.
    pub fn standard_flow(&self) -> bool {
        self.standard_flow
    }

    /// Whether it may use a user's password (RFC 6749 §4.3).
    pub fn direct_access_grants(&self) -> bool {
        self.direct_access_grants
    }

    /// Whether it may act for itself (RFC 6749 §4.4).
    pub fn service_account(&self) -> bool {
        self.service_account
    }

    /// Whether its users are asked before it gets a token (`consentRequired`).
    pub fn consent_required(&self) -> bool {
        self.consent_required
    }

    /// The scopes of the catalogue that it may ask for, the default ones among them.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The scopes of the catalogue that it has without asking.
    pub fn default_scopes(&self) -> &[String] {
        &self.default_scopes
    }
}

impl fmt::Debug for RealmClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealmClient")
            .field("id", &self.id)
            .field("public", &self.secret.is_none())
            .finish_non_exhaustive()
    }
}
