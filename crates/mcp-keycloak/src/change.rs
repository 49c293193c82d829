use std::fmt;

/// One thing that was made, because it was missing. Rights are those of things that the same run has made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The realm, from the whole file.
    Realm(String),
    /// A realm role.
    Role(String),
    /// A client scope with its mappers.
    Scope(String),
    /// A mapper of a client scope that was there.
    Mapper {
        /// The mapper.
        mapper: String,
        /// Its client scope.
        scope: String,
    },
    /// A role that a new client scope may be given to.
    ScopeRole {
        /// The role.
        role: String,
        /// The client scope.
        scope: String,
    },
    /// A new client scope that clients will have who come later, or may ask for.
    RealmScope {
        /// The client scope.
        scope: String,
        /// Whether they have to ask for it.
        optional: bool,
    },
    /// A client scope that a new client has, or may ask for.
    ClientScope {
        /// The client.
        client: String,
        /// The client scope.
        scope: String,
        /// Whether it has to ask for it.
        optional: bool,
    },
    /// A client.
    Client(String),
    /// A policy about who may register clients.
    RegistrationPolicy(String),
    /// A user with a password.
    User(String),
    /// A realm role of a new user, or of a new client's service account.
    UserRole {
        /// The role.
        role: String,
        /// The user.
        user: String,
    },
}

const fn kind(optional: bool) -> &'static str {
    if optional { "optional" } else { "default" }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realm(name) => write!(f, "realm {name}"),
            Self::Role(name) => write!(f, "role {name}"),
            Self::Scope(name) => write!(f, "client scope {name}"),
            Self::Mapper { mapper, scope } => write!(f, "mapper {mapper} of client scope {scope}"),
            Self::ScopeRole { role, scope } => write!(f, "role {role} in the scope of client scope {scope}"),
            Self::RealmScope { scope, optional } => write!(f, "{} client scope {scope} of the realm", kind(*optional)),
            Self::ClientScope { client, scope, optional } => {
                write!(f, "{} client scope {scope} of client {client}", kind(*optional))
            }
            Self::Client(id) => write!(f, "client {id}"),
            Self::RegistrationPolicy(name) => write!(f, "client registration policy {name}"),
            Self::User(name) => write!(f, "user {name}"),
            Self::UserRole { role, user } => write!(f, "role {role} of user {user}"),
        }
    }
}
