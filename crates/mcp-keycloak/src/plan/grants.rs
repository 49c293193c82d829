//! Who may be given what, as Keycloak decides it.

use super::{Client, RealmPlan, User, read};

/// What a token has to have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Of the scopes that protect the MCP server, in the file's order.
    pub(crate) scopes: Vec<String>,
    /// Of the roles that the file names, in its order.
    pub(crate) roles: Vec<String>,
}

impl RealmPlan {
    /// What a user is given who asks for every scope of the MCP server through this client.
    pub(crate) fn grant(&self, user: &User, client: &Client) -> Grant {
        let has = self.effective_roles(user);
        let scopes: Vec<_> = self
            .protecting_scopes()
            .filter(|scope| scope.roles.is_empty() || scope.roles.iter().any(|role| has.contains(&role.as_str())))
            .filter(|scope| {
                client.assigned.default.contains(&scope.name) || client.assigned.optional.contains(&scope.name)
            })
            .collect();
        let shown =
            |name: &str| client.full_scope || scopes.iter().any(|scope| scope.roles.iter().any(|role| role == name));
        let roles = self.roles.iter().map(|role| role.name.as_str()).filter(|name| has.contains(name) && shown(name));
        Grant {
            roles: roles.map(str::to_owned).collect(),
            scopes: scopes.into_iter().map(|scope| scope.name.clone()).collect(),
        }
    }

    /// The user's roles, and those inside of them.
    fn effective_roles<'a>(&'a self, user: &'a User) -> Vec<&'a str> {
        let mut has: Vec<&str> = user.roles.iter().map(String::as_str).collect();
        let mut next = 0;
        while let Some(role) = has.get(next).copied() {
            let inside = self.roles.iter().filter(|other| other.name == role).flat_map(|role| &role.composites);
            for inside in inside {
                if !has.contains(&inside.as_str()) {
                    has.push(inside);
                }
            }
            if role == read::default_role(&self.realm) && !has.contains(&"offline_access") {
                has.push("offline_access");
            }
            next += 1;
        }
        has
    }

    /// The first enabled user with a password for each set of roles: those who differ in what they may be given.
    pub(crate) fn sample_users(&self) -> Vec<&User> {
        let mut users: Vec<&User> = Vec::new();
        for user in self.users.iter().filter(|user| user.enabled && user.password.is_some()) {
            let same = |other: &&User| {
                let (mut a, mut b) = (other.roles.clone(), user.roles.clone());
                a.sort();
                b.sort();
                a == b
            };
            if !users.iter().any(same) {
                users.push(user);
            }
        }
        users
    }

    /// The client that users can get a token through with their password alone.
    pub(crate) fn password_client(&self) -> Option<&Client> {
        self.clients.iter().find(|client| client.direct_access_grants && (client.public || client.secret.is_some()))
    }

    /// The client that may introspect the MCP server's tokens: it is in their audience (Keycloak 26).
    pub(crate) fn introspection_client(&self) -> Option<&Client> {
        let audiences =
            self.protecting_scopes().flat_map(|scope| &scope.mappers).filter_map(|m| m.client_audience.as_ref());
        let named: Vec<_> = audiences.collect();
        self.clients.iter().find(|client| client.secret.is_some() && named.contains(&&client.id))
    }
}
