//! The second list against our own authorization server, in both of its shapes: nothing gets through, and what is not
//! tried is what has nothing to be tried on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::any};
use mcp_attack::{
    Limits, Report, Verdict,
    authorization_server::{Issuer, Probe, run},
};
use mcp_auth::{
    Challenge, Guard, JwtVerifier, ProtectedResource,
    keys::{Algorithm, KeyDirectory},
};
use mcp_idp::{AuthorizationServer, Realm};
use tokio::net::TcpListener;
use tower::Layer;

const REALM: &str = include_str!("../../../keycloak/mcp-realm-realm.json");

/// What a server over plain http on this machine has nothing to try on.
const NOT_RUN: [&str; 1] = ["cookie-plain"];

/// Embedded (plain paths) or as Keycloak has it, with a resource beside it that knows it; and everything tried on them.
async fn attacked(path: &str, set: fn(mcp_idp::Builder) -> mcp_idp::Builder) -> Report<Probe> {
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
    run(&issuer, Limits { each: Duration::from_secs(30), total: Duration::from_secs(300) }).await.unwrap()
}

fn nothing_gets_through(report: &Report<Probe>) {
    println!("{}", report.table());
    let others = report.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Refused);
    let others: Vec<_> = others.map(|outcome| (outcome.attack.id, outcome.verdict, outcome.did.as_str())).collect();
    let not_run: Vec<&str> = report.with(Verdict::NotRun).map(|outcome| outcome.attack.id).collect();
    assert!(report.is_clean(&[]), "{others:#?}");
    assert_eq!(not_run, NOT_RUN, "{others:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    nothing_gets_through(&attacked("", |builder| builder).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keycloaks_urls() {
    nothing_gets_through(&attacked("/realms/mcp-realm", |builder| builder.keycloak_urls()).await);
}
