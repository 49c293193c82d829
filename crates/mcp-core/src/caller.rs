//! Who is calling, as tools see it.

use std::sync::Arc;

/// The authenticated caller of a request. A binary's `main` makes it from what its guard verified and puts it in the
/// request's extensions; without one, the call is anonymous.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Who vouches for the subject: the token's issuer.
    pub issuer: Arc<str>,
    /// The subject, unique within the issuer.
    pub subject: Arc<str>,
    /// A name to show a person.
    pub name: Option<Arc<str>>,
}
