//! Tries a realm as clients and servers will use it, from outside; only the client scopes are also looked at from inside,
//! since there it shows which mapper is wrong.
//!
//! Endpoints are where Keycloak has them below its base URL. Whether its metadata says the same is a check of its own,
//! and one that fails does not hide what the others would find.
//!
//! Layout, in the order of the report:
//! - `metadata`: the discovery documents and the signing keys;
//! - `scopes`: the client scopes and what they put in tokens;
//! - `tokens`: a token for each kind of user, and introspection;
//! - `registration`: a client that registers itself.

mod metadata;
mod registration;
mod scopes;
mod tokens;

use crate::{Failure, Keycloak, RealmPlan, Report, http::Answer};

/// What the checks have in common.
struct Trial<'a> {
    keycloak: &'a Keycloak,
    plan: &'a RealmPlan,
    issuer: String,
    report: Report,
}

impl Keycloak {
    /// Tries the realm: metadata, signing keys, client scopes, a token for each kind of user, introspection, client
    /// registration. Nothing stays behind but a login session for each user; registered clients are deleted again.
    ///
    /// If nothing answers or there is no such realm, that is the only check.
    pub async fn verify(&self, plan: &RealmPlan) -> Report {
        let mut trial = Trial { keycloak: self, plan, issuer: self.issuer(plan.realm()), report: Report::default() };
        if trial.metadata().await {
            trial.client_scopes().await;
            trial.tokens().await;
            trial.registration().await;
        }
        trial.report
    }
}

impl Trial<'_> {
    /// An endpoint of the realm.
    fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    fn unreachable(&self, why: &str) -> Failure {
        let url = self.keycloak.url();
        Failure::new(format!("no answer from {url}: {why}"), "start Keycloak, or correct its URL")
    }
}

/// Status and reason, as Keycloak gave them.
fn said(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.why())
}
