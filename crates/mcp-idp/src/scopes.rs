//! Which of the scopes that were asked for are granted.

use oauth_as::{ErrorCode, ErrorResponse, ScopeSet};

use crate::{
    oauth_error::refused,
    realm::{Realm, User},
};

/// OpenID Connect's. Clients ask for them out of habit; there is no ID token here, so they are taken and dropped.
const DROPPED: [&str; 3] = ["openid", "profile", "email"];

/// The scopes of a request. `None` if it names none.
///
/// # Errors
/// `invalid_scope` when it is no list of scopes.
pub(crate) fn asked(scope: Option<&str>) -> Result<Option<ScopeSet>, ErrorResponse> {
    let Some(scope) = scope else { return Ok(None) };
    let all = ScopeSet::parse(scope).map_err(|_| refused(ErrorCode::InvalidScope, "scope is no list of scopes"))?;
    let ours = intersection(&all, |scope| !DROPPED.contains(&scope));
    Ok(Some(ours).filter(|ours| !ours.is_empty()))
}

/// What of `asked` a person's roles allow.
pub(crate) fn entitled(realm: &Realm, user: &User, asked: &ScopeSet) -> ScopeSet {
    let granted = intersection(asked, |scope| realm.scope(scope).is_some_and(|scope| scope.permitted_to(user)));
    // To stay is nothing by itself: a token with no scope of a resource would still be one for that resource.
    if granted.iter().all(|scope| scope.as_str() == "offline_access") { ScopeSet::empty() } else { granted }
}

/// The scopes of a set that a condition holds for.
pub(crate) fn intersection(set: &ScopeSet, keep: impl Fn(&str) -> bool) -> ScopeSet {
    let kept = set.iter().map(|scope| scope.as_str()).filter(|scope| keep(scope));
    ScopeSet::from_tokens(kept).expect("they were scopes before")
}

/// The names in a set.
pub(crate) fn names(set: &ScopeSet) -> Vec<&str> {
    set.iter().map(|scope| scope.as_str()).collect()
}
