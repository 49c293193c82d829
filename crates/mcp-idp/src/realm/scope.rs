//! A scope that a client may be granted.

use std::collections::BTreeSet;

use super::User;

/// A scope of the catalogue.
#[derive(Clone, Debug)]
pub struct Scope {
    name: String,
    text: String,
    audiences: Vec<String>,
    introspectors: Vec<String>,
    /// The roles that it is mapped to; `None`: it is open to everybody.
    roles: Option<BTreeSet<String>>,
}

impl Scope {
    /// As it stands in a token's `scope`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it permits, in words for the consent page.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The APIs that a token with this scope is for (`included.custom.audience`).
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The clients that may introspect a token with this scope (`included.client.audience`).
    pub fn introspectors(&self) -> &[String] {
        &self.introspectors
    }

    /// Whether this user may be given the scope: one of its roles is among theirs, or it is mapped to none.
    pub fn permitted_to(&self, user: &User) -> bool {
        self.roles.as_ref().is_none_or(|roles| user.roles().iter().any(|role| roles.contains(role)))
    }
}
