//! The second list against our own authorization server, in both of its shapes: nothing gets through, and what is not
//! tried is what has nothing to be tried on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::any};
use mcp_attack::{
    Limits, Report, Severity, Verdict,
    authorization_server::{Issuer, Probe, run},
};
use mcp_auth::{
    Challenge, Guard, JwtVerifier, ProtectedResource,
    keys::{Algorithm, KeyDirectory},
};
use mcp_idp::{AuthorizationServer, Builder, Realm};
use tokio::net::TcpListener;
use tower::Layer;

const REALM: &str = include_str!("../../../keycloak/mcp-realm-realm.json");

/// On this machine over plain http there is nothing to try it on.
const PLAIN: &str = "cookie-plain";

/// A client of the realm, for servers where none can register.
const KNOWN: (&str, &str) = ("mcp-test-client", "http://127.0.0.1:33418/callback");

/// Embedded (plain paths) or as Keycloak has it, with a resource beside it that knows it; and everything tried on them.
async fn attacked(path: &str, set: fn(Builder) -> Builder, known: Option<(&str, &str)>) -> Report<Probe> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let (issuer, resource) = (format!("{base}{path}"), format!("{base}/mcp"));
    let directory = tempfile::tempdir().unwrap();
    let keys = Arc::new(KeyDirectory::open(directory.path()));
    let builder = AuthorizationServer::builder(&issuer, Realm::from_json(REALM).unwrap(), Arc::clone(&keys));
    let idp = set(builder.resource(&resource).algorithm(Algorithm::ES256)).build().await.unwrap();
    let protected = ProtectedResource::new(&resource.parse().unwrap(), [&issuer], ["mcp:read"]).unwrap();
    let guard = Guard::new(JwtVerifier::with_directory(keys, &issuer, &resource))
        .protects(protected.clone())
        .challenge(Challenge::new().scope("mcp:read").unwrap());
    let app = Router::new()
        .route_service("/mcp", guard.layer(any(async || "served")))
        .merge(protected.into_router())
        .merge(idp.into_router());
    tokio::spawn(async move {
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    let issuer = Issuer::new(&issuer).unwrap().resource(&resource).unwrap();
    let issuer = known.map_or(issuer.clone(), |(id, redirect_uri)| issuer.client(id, redirect_uri));
    run(&issuer, Limits { each: Duration::from_secs(30), total: Duration::from_secs(300) }).await.unwrap()
}

fn ids(report: &Report<Probe>, verdict: Verdict) -> Vec<&'static str> {
    report.with(verdict).map(|outcome| outcome.attack.id).collect()
}

/// Nothing but `laxities` is let in, and all is tried but `not_run`.
fn holds(report: &Report<Probe>, laxities: &[&str], not_run: &[&str]) {
    let table = report.table();
    assert_eq!(report.let_through(Severity::Breach), [] as [&str; 0], "{table}");
    assert_eq!(report.let_through(Severity::Laxity), laxities, "{table}");
    assert_eq!(ids(report, Verdict::Error), [] as [&str; 0], "{table}");
    assert_eq!(ids(report, Verdict::NotRun), not_run, "{table}");
    assert!(report.still_serves);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    holds(&attacked("", |builder| builder, None).await, &[], &[PLAIN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keycloaks_urls() {
    holds(&attacked("/realms/mcp-realm", Builder::keycloak_urls, None).await, &[], &[PLAIN]);
}

/// An address on this machine has any port, and an administrator vouches for it. The password grant is for tutorials
/// that still use it: the metadata says so, and who guesses has to wait.
#[tokio::test(flavor = "multi_thread")]
async fn by_a_client_of_the_realm_with_the_password_grant() {
    let report = attacked("", |builder| builder.password_grant(true), Some(KNOWN)).await;
    holds(
        &report,
        &["meta-password"],
        &["redirect-port", "redirect-host-case", "redirect-native-name", "redirect-unasked", PLAIN],
    );
    let guesses = report.outcomes.iter().find(|outcome| outcome.attack.id == "guess-passwords").unwrap();
    assert_eq!(guesses.did, "429 temporarily_unavailable after 4");
}
