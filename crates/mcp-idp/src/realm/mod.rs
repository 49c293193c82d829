//! Who may log in and what may be granted, read from a Keycloak realm export: the file that `--import-realm` takes.
//!
//! Layout, in the order a file is read: [`json`](self::json) (a value that knows its path), [`role`](self::role),
//! [`scope`](self::scope), [`mapper`](self::mapper), [`client`](self::client), [`user`](self::user) and
//! [`credential`](self::credential); [`settings`](self::settings) says what in the rest has no effect here.

mod client;
mod scope;
mod user;

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

pub use self::{client::RealmClient, scope::Scope, user::User};

/// A realm as this server honours it.
#[derive(Debug)]
pub struct Realm {
    name: String,
    notices: Vec<String>,
    access_token_lifetime: Option<Duration>,
    scopes: Vec<Scope>,
    default_scopes: Vec<String>,
    clients: Vec<RealmClient>,
    users: Vec<Arc<User>>,
}

/// Why a file is no realm.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealmError {
    /// The text is not JSON.
    #[error("the realm file is not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A member is missing, of another type, or contradicts another one.
    #[error("the realm file, {path}: {problem}")]
    Content {
        /// Where in the file, such as `users[2].username`.
        path: String,
        /// What is wrong there.
        problem: String,
    },
}

impl Realm {
    /// Reads a realm export.
    ///
    /// # Errors
    /// If the text is not JSON, or what this server uses of it is missing, of another type, or there twice. What it does
    /// not use is no error; see [`notices`](Self::notices).
    pub fn from_json(_text: &str) -> Result<Self, RealmError> {
        unimplemented!()
    }

    /// What the file asks for and this server does not honour, a sentence each, by name.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The realm's name, as it stands in URLs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long an access token is valid (`accessTokenLifespan`).
    pub fn access_token_lifetime(&self) -> Option<Duration> {
        self.access_token_lifetime
    }

    /// The catalogue: what a client may be granted, in the file's order. These are the client scopes that go into a
    /// token's `scope` and lead to an API (they have an audience mapper), and `offline_access`.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The scope of the catalogue with this name.
    pub fn scope(&self, name: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.name() == name)
    }

    /// The scopes of the catalogue that a client has without asking for them.
    pub fn default_scopes(&self) -> impl Iterator<Item = &str> {
        self.default_scopes.iter().map(String::as_str)
    }

    /// The clients that may get tokens or introspect them.
    pub fn clients(&self) -> &[RealmClient] {
        &self.clients
    }

    /// The client with this `clientId`.
    pub fn client(&self, id: &str) -> Option<&RealmClient> {
        self.clients.iter().find(|client| client.id() == id)
    }

    /// The user with this name, in any case of letters, as in Keycloak.
    pub fn user(&self, _username: &str) -> Option<&Arc<User>> {
        unimplemented!()
    }

    /// The user that tokens call `subject`.
    pub fn user_by_subject(&self, _subject: &str) -> Option<&Arc<User>> {
        unimplemented!()
    }

    /// Who the client is when it acts for itself (RFC 6749 §4.4).
    ///
    /// It is the user whose `serviceAccountClientId` names the client; if the file has none, one called
    /// `service-account-` and the client's id, with the role `user` where the realm has that role. `None` if the client
    /// has no service account or that user is disabled.
    pub fn service_account(&self, _client_id: &str) -> Option<Arc<User>> {
        unimplemented!()
    }

    /// The user, if the password is theirs and they may log in with it alone.
    ///
    /// Takes tens of milliseconds of one processor, on purpose and whatever the answer: not for an async task.
    pub fn check_password(&self, _username: &str, _password: &str) -> Option<Arc<User>> {
        unimplemented!()
    }

    /// What the mappers of the granted scopes and of the realm's default scopes say about a user in an access token.
    /// Never `aud`, `sub` or another claim that is the server's own to make.
    pub fn claims(&self, _user: &User, _granted: &[&str]) -> Map<String, Value> {
        unimplemented!()
    }
}
