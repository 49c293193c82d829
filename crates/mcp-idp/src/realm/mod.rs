//! Who may log in and what may be granted, read from a Keycloak realm export: the file that `--import-realm` takes.
//!
//! Layout, in the order a file is read:
//! - `json`: an object that knows where in the file it stands;
//! - `role`, then `scope` and its `mapper`s, then `client`, then `user` and the `credential` that logs one in;
//! - `settings`: what else the file asks for, and has no effect here.

mod client;
mod credential;
mod json;
mod mapper;
mod role;
mod scope;
mod settings;
#[cfg(test)]
mod tests;
mod user;

use std::{
    collections::{HashMap, HashSet},
    hint::black_box,
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};

pub use self::{client::RealmClient, scope::Scope, user::User};
use self::{credential::Hash, json::Object, mapper::Mapper, role::Roles, scope::ClientScopes};

/// A realm as this server honours it.
#[derive(Debug)]
pub struct Realm {
    name: String,
    notices: Vec<String>,
    access_token_lifetime: Option<Duration>,
    scopes: Vec<Scope>,
    default_scopes: Vec<String>,
    clients: Vec<RealmClient>,
    users: Users,
    /// Of each client scope, offered or not.
    mappers: HashMap<String, Vec<Mapper>>,
    /// The client scopes that each client has, offered or not.
    always: Vec<String>,
    /// What a password is checked against where there is none.
    decoy: Hash,
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
    pub fn from_json(text: &str) -> Result<Self, RealmError> {
        Self::from_value(&serde_json::from_str(text)?)
    }

    fn from_value(file: &Value) -> Result<Self, RealmError> {
        let file = Object::root(file)?;
        let mut notices = Vec::new();
        let name = name(&file, &mut notices)?.to_owned();
        let roles = Roles::read(&file, &name, &mut notices)?;
        let scopes = ClientScopes::read(&file, &roles, &mut notices)?;
        let clients = clients(&file, &scopes, &mut notices)?;
        let users = Users::read(&file, &clients, &roles, &mut notices)?;
        let access_token_lifetime =
            file.count("accessTokenLifespan")?.map(|seconds| Duration::from_secs(seconds.into()));
        settings::report(&file, &mut notices);
        Ok(Self {
            name,
            notices,
            access_token_lifetime,
            default_scopes: scopes.in_catalogue(&scopes.defaults),
            scopes: scopes.catalogue,
            clients,
            decoy: users.decoy(),
            users,
            mappers: scopes.mappers,
            always: scopes.defaults,
        })
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
    pub fn user(&self, username: &str) -> Option<&Arc<User>> {
        self.users.by_name.get(&username.to_lowercase())
    }

    /// The user that tokens call `subject`.
    pub fn user_by_subject(&self, subject: &str) -> Option<&Arc<User>> {
        self.users.by_subject.get(subject)
    }

    /// Who the client is when it acts for itself (RFC 6749 §4.4).
    ///
    /// It is the user whose `serviceAccountClientId` names the client; if the file has none, one called
    /// `service-account-` and the client's id, with the role `user` where the realm has that role. `None` if the client
    /// has no service account or that user is disabled.
    pub fn service_account(&self, client_id: &str) -> Option<Arc<User>> {
        self.client(client_id).filter(|client| client.service_account())?;
        self.users.by_client.get(client_id).filter(|user| user.is_enabled()).map(Arc::clone)
    }

    /// The user, if the password is theirs and they may log in with it alone.
    ///
    /// Takes tens of milliseconds of one processor, on purpose and whatever the answer: not for an async task.
    pub fn check_password(&self, username: &str, password: &str) -> Option<Arc<User>> {
        let user = self.user(username).filter(|user| user.is_enabled());
        match user.and_then(|user| Some((user, user.password()?))) {
            Some((user, expected)) => expected.verify(password).then(|| Arc::clone(user)),
            None => {
                black_box(self.decoy.verify(password));
                None
            }
        }
    }

    /// What the mappers of the granted scopes and of the realm's default scopes say about a user in an access token.
    /// Never `aud`, `sub` or another claim that is this server's own. An attribute that is not of its mapper's type is
    /// no claim.
    pub fn claims(&self, user: &User, granted: &[&str]) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut seen = HashSet::new();
        for scope in self.always.iter().map(String::as_str).chain(granted.iter().copied()) {
            if seen.insert(scope) {
                let mappers = self.mappers.get(scope).into_iter().flatten();
                mappers.for_each(|mapper| mapper.apply(user, &mut claims));
            }
        }
        claims
    }
}

/// The users of a realm, by all that they are looked up by.
#[derive(Debug, Default)]
struct Users {
    by_name: HashMap<String, Arc<User>>,
    by_subject: HashMap<String, Arc<User>>,
    /// Service accounts, by their client's id.
    by_client: HashMap<String, Arc<User>>,
    /// The first who has a password.
    first: Option<Arc<User>>,
}

impl Users {
    fn read(
        file: &Object,
        clients: &[RealmClient],
        roles: &Roles,
        notices: &mut Vec<String>,
    ) -> Result<Self, RealmError> {
        let mut users = Self::default();
        let verifies_email = file.flag("verifyEmail")?.unwrap_or(false);
        for object in file.objects("users")? {
            let user = User::read(&object, roles, verifies_email, notices)?;
            if let Some(client) = user.service_account_of()
                && !clients.iter().any(|known| known.id() == client)
            {
                notices.push(format!("user {}: there is no client {client} here", user.username()));
            }
            users.insert(user).map_err(|twice| object.error(twice.0, twice.1))?;
        }
        for client in clients.iter().filter(|client| client.service_account()) {
            if !users.by_client.contains_key(client.id()) {
                let clash =
                    |(_, problem)| file.error("users", format!("{problem}, and client {} needs it", client.id()));
                users.insert(User::service_account(client.id(), roles)).map_err(clash)?;
            }
        }
        Ok(users)
    }

    /// In the error, what is there twice.
    fn insert(&mut self, user: User) -> Result<(), (&'static str, String)> {
        let user = Arc::new(user);
        if self.first.is_none() && user.password().is_some() {
            self.first = Some(Arc::clone(&user));
        }
        if self.by_name.insert(user.username().to_owned(), Arc::clone(&user)).is_some() {
            return Err(("username", format!("there is another user {}", user.username())));
        }
        if self.by_subject.insert(user.subject().to_owned(), Arc::clone(&user)).is_some() {
            return Err(("id", format!("there is another user {}", user.subject())));
        }
        if let Some(client) = user.service_account_of()
            && self.by_client.insert(client.to_owned(), Arc::clone(&user)).is_some()
        {
            return Err(("serviceAccountClientId", format!("there is another service account of {client}")));
        }
        Ok(())
    }

    /// Somebody without a password takes as long as the first who has one.
    fn decoy(&self) -> Hash {
        self.first.as_ref().and_then(|user| user.password()).map_or_else(Hash::blank, credential::Password::decoy)
    }
}

fn name<'a>(file: &Object<'a>, notices: &mut Vec<String>) -> Result<&'a str, RealmError> {
    let name = file.name("realm")?;
    // RFC 3986 §2.3: it is a segment of this server's URLs.
    let unreserved = |character: char| character.is_ascii_alphanumeric() || "-_~.".contains(character);
    if !name.chars().all(unreserved) || name.starts_with('.') {
        return Err(file.error("realm", "is no name for a part of a URL: letters, digits, - . _ ~"));
    }
    match file.flag("enabled")? {
        Some(true) => {}
        Some(false) => return Err(file.error("enabled", "the realm is disabled")),
        None => notices.push("enabled is missing: Keycloak takes that for false, and serves nothing".to_owned()),
    }
    Ok(name)
}

fn clients(file: &Object, scopes: &ClientScopes, notices: &mut Vec<String>) -> Result<Vec<RealmClient>, RealmError> {
    let mut clients = Vec::new();
    let mut seen = HashSet::new();
    for object in file.objects("clients")? {
        if !seen.insert(object.name("clientId")?) {
            return Err(object.error("clientId", "there is another client of this name"));
        }
        clients.extend(RealmClient::read(&object, scopes, notices)?);
    }
    Ok(clients)
}
