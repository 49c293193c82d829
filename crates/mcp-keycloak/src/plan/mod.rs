//! [`RealmPlan`]: what a realm file asks for.
//!
//! The file is the one that Keycloak imports, and is sent to it whole where there is no such realm yet. What is read of
//! it here is what can be made by itself in a realm that exists, and what the checks expect. Layout:
//! - `place`: a value that knows where in the file it stands;
//! - `read`: the file's things, with every name they mention looked up;
//! - `retarget`: the same file for another realm or another MCP server;
//! - `credentials`: the same file without what is no secret any more;
//! - `grants`: who may be given what.

mod credentials;
mod grants;
mod place;
mod read;
mod retarget;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

pub(crate) use self::grants::Grant;

/// A realm for an MCP server, as a realm file describes it.
#[derive(Clone)]
pub struct RealmPlan {
    /// As it is sent to Keycloak.
    pub(crate) file: Value,
    pub(crate) realm: String,
    pub(crate) audience: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) scopes: Vec<ClientScope>,
    /// What a client has without asking, and what it may ask for: the realm's, for clients that say nothing else.
    pub(crate) assigned: Assigned,
    pub(crate) clients: Vec<Client>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) users: Vec<User>,
}

/// Names of client scopes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assigned {
    pub(crate) default: Vec<String>,
    pub(crate) optional: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    /// The realm roles that whoever has this one has too.
    pub(crate) composites: Vec<String>,
    pub(crate) file: Value,
}

#[derive(Clone)]
pub(crate) struct ClientScope {
    pub(crate) name: String,
    pub(crate) mappers: Vec<Mapper>,
    /// Realm roles it may be given to. If there are none, it is everybody's.
    pub(crate) roles: Vec<String>,
    pub(crate) file: Value,
}

impl ClientScope {
    /// Whether a token with this scope is for the MCP server.
    pub(crate) fn protects(&self) -> bool {
        self.mappers.iter().any(|mapper| mapper.custom_audience.is_some())
    }
}

#[derive(Clone)]
pub(crate) struct Mapper {
    pub(crate) name: String,
    /// The URL that it puts in `aud`.
    pub(crate) custom_audience: Option<String>,
    /// The client that it puts in `aud`.
    pub(crate) client_audience: Option<String>,
    pub(crate) file: Value,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) public: bool,
    pub(crate) secret: Option<String>,
    pub(crate) direct_access_grants: bool,
    /// Whether its tokens have all roles of its user, or only those that their scopes are mapped to.
    pub(crate) full_scope: bool,
    pub(crate) assigned: Assigned,
    pub(crate) file: Value,
}

/// Who may register a client, and which.
#[derive(Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) sub_type: String,
    pub(crate) file: Value,
}

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) password: Option<String>,
    pub(crate) service_account_of: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) file: Value,
}

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The text is not JSON.
    #[error("the realm file is not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Something is missing, of another type, there twice, or mentions what is not there.
    #[error("the realm file, {path}: {problem}")]
    Content {
        /// Where in the file, such as `users[2].username`.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// The realm cannot have this name.
    #[error("{name:?} cannot be the realm's name: {problem}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        problem: &'static str,
    },
    /// The MCP server cannot have this URL.
    #[error("{url:?} cannot be an MCP server's URL: {problem}")]
    Resource {
        /// The URL.
        url: String,
        /// Why not.
        problem: mcp_auth::ResourceUriError,
    },
}

impl RealmPlan {
    /// Reads a realm file: what `--import-realm` takes, or an export with its users.
    ///
    /// # Errors
    /// When it is not JSON; when what is used of it is missing, of another type, there twice, or mentions something that
    /// is not there; when no client scope has a mapper with a custom audience, or they name different ones: then it is
    /// not said which MCP server the realm is for.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        read::plan(serde_json::from_str(text)?)
    }

    /// The same for a realm of this name.
    ///
    /// # Errors
    /// When it is empty, has other characters than letters, digits and `-._~`, or is `master`: who has a role in
    /// Keycloak's own realm may administer all others, and the file's people do not belong there.
    pub fn named(self, name: &str) -> Result<Self, PlanError> {
        retarget::named(self, name)
    }

    /// The same for the MCP server with this URL. Clients send it, and tokens have it, letter by letter.
    ///
    /// # Errors
    /// When it is not an absolute http or https URL without a fragment.
    pub fn protecting(self, resource: &str) -> Result<Self, PlanError> {
        retarget::protecting(self, resource)
    }

    /// The realm's name.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The MCP server's URL.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The scopes that make a token one for the MCP server, in the file's order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.protecting_scopes().map(|scope| scope.name.as_str())
    }

    pub(crate) fn protecting_scopes(&self) -> impl Iterator<Item = &ClientScope> {
        self.scopes.iter().filter(|scope| scope.protects())
    }
}

/// Without passwords and secrets.
impl fmt::Debug for RealmPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealmPlan")
            .field("realm", &self.realm)
            .field("audience", &self.audience)
            .field("scopes", &self.scopes().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
