//! Sets of scopes (RFC 6749 §3.3).

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// What a refresh token is asked for with, at authorization servers that advertise it (OpenID Connect Core §11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// A set of scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Reads a list with spaces between. What no scope can look like is left out: the list is a stranger's.
    pub fn parse(list: &str) -> Self {
        list.split(' ').collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Whether all of these are in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// What a client asks for that would like to be able to refresh: `offline_access` as well if the authorization
    /// server advertises it, and not if it does not, whoever said so (SEP-2207).
    ///
    /// Where nothing is asked for, nothing is added: the server's own default would be lost.
    #[must_use]
    pub(crate) fn with_offline_access(mut self, advertised: Option<&[String]>) -> Self {
        let advertised = advertised.is_some_and(|scopes| scopes.iter().any(|scope| scope == OFFLINE_ACCESS));
        if !advertised {
            self.0.remove(OFFLINE_ACCESS);
        } else if !self.0.is_empty() {
            self.0.insert(OFFLINE_ACCESS.to_owned());
        }
        self
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(scopes: I) -> Self {
        let is_scope =
            |scope: &&str| !scope.is_empty() && scope.bytes().all(|b| matches!(b, b'!' | b'#'..=b'[' | b']'..=b'~'));
        Self(scopes.into_iter().filter(is_scope).map(str::to_owned).collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_in_order_without_what_is_no_scope() {
        assert_eq!(Scopes::parse("mcp:read  a \"b\" mcp:read é \u{1b}[31m").to_string(), "a mcp:read");
        assert!(Scopes::parse("").is_empty());
        assert_eq!(Scopes::parse("b a").union(&Scopes::parse("c a")).to_string(), "a b c");
        assert!(
            Scopes::parse("a").is_subset(&Scopes::parse("b a")) && !Scopes::parse("a").is_subset(&Scopes::parse("b"))
        );
    }

    #[test]
    fn offline_access_is_asked_for_where_it_is_advertised_and_nowhere_else() {
        let advertised = ["mcp:read".to_owned(), OFFLINE_ACCESS.to_owned()];
        for (asked, advertised, expected) in [
            ("mcp:read", Some(&advertised[..]), "mcp:read offline_access"),
            ("mcp:read", Some(&advertised[..1]), "mcp:read"),
            ("mcp:read", None, "mcp:read"),
            ("mcp:read offline_access", Some(&advertised[..1]), "mcp:read"),
            ("mcp:read offline_access", None, "mcp:read"),
            ("", Some(&advertised[..]), ""),
        ] {
            assert_eq!(Scopes::parse(asked).with_offline_access(advertised).to_string(), expected, "{asked}");
        }
    }
}
