//! What is told about a Keycloak that is none, or not there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::any};
use mcp_keycloak::{Keycloak, KeycloakError, RealmPlan};
use serde_json::json;

const REALM: &str = include_str!("../../../keycloak/mcp-realm-realm.json");
const PASSWORD: &str = "hunter2-of-the-administrator";

fn plan() -> RealmPlan {
    RealmPlan::from_json(REALM).unwrap()
}

/// What a run against this server ends with, and what the one check says.
async fn against(url: &str) -> (KeycloakError, String) {
    let keycloak = Keycloak::new(url, "admin", PASSWORD).unwrap();
    let error = keycloak.set_up(&plan()).await.unwrap_err();
    let report = keycloak.verify(&plan()).await;
    assert!(!report.passed());
    let shown = format!("{error} {error:?} {report} {keycloak:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("admin123"), "{shown}");
    (error, report.to_string())
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn nobody_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (error, report) = against(&url).await;
    assert!(
        matches!(&error, KeycloakError::Unreachable { url: at, why } if *at == url && why.contains("refused")),
        "{error}"
    );
    assert!(report.contains("start Keycloak") && report.ends_with("1 checks, 1 failed"), "{report}");
}

#[tokio::test]
async fn somebody_else_answers() {
    for (status, body) in [
        (StatusCode::NOT_FOUND, "not found".into_response()),
        (StatusCode::OK, "<html>".into_response()),
        (StatusCode::OK, Json(json!({ "access_token": 7 })).into_response()),
        (StatusCode::FOUND, "elsewhere".into_response()),
        (StatusCode::INTERNAL_SERVER_ERROR, PASSWORD.into_response()),
    ] {
        let body = axum::body::to_bytes(body.into_body(), 1000).await.unwrap();
        let url = serve(Router::new().fallback(any(move || async move { (status, body) }))).await;
        let (error, report) = against(&url).await;
        assert!(matches!(&error, KeycloakError::NotKeycloak { url: at, .. } if *at == url), "{status}: {error}");
        assert!(report.contains("what stands before /realms"), "{report}");
    }
}

#[tokio::test]
async fn only_the_proxy_answers() {
    let url = serve(Router::new().fallback(any(|| async { StatusCode::BAD_GATEWAY }))).await;
    let (error, _) = against(&url).await;
    assert!(matches!(&error, KeycloakError::Unreachable { why, .. } if why.contains("502")), "{error}");
}

/// The password goes where it was meant to, and to nowhere else.
#[tokio::test]
async fn nothing_is_sent_where_an_answer_points_to() {
    let caught = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let trap = std::sync::Arc::clone(&caught);
    let elsewhere = serve(Router::new().fallback(any(move || async move {
        trap.store(true, std::sync::atomic::Ordering::SeqCst);
    })))
    .await;
    let url = serve(
        Router::new()
            .fallback(any(move || async move { (StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere)], "") })),
    )
    .await;
    against(&url).await;
    assert!(!caught.load(std::sync::atomic::Ordering::SeqCst));
}

#[test]
fn urls() {
    for url in ["http://localhost:8080", "http://127.0.0.1:8080/", "https://id.example.com/auth/", "http://[::1]:1"] {
        assert!(Keycloak::new(url, "admin", PASSWORD).is_ok(), "{url}");
    }
    let keycloak = Keycloak::new("https://id.example.com/auth/", "admin", PASSWORD).unwrap();
    assert_eq!(keycloak.issuer("mcp"), "https://id.example.com/auth/realms/mcp");
    for url in [
        "",
        "localhost:8080",
        "http://id.example.com",
        "http://localhost.example.com",
        "https://admin:hunter2@id.example.com",
        "https://id.example.com/?a=hunter2",
        "https://id.example.com/#hunter2",
        "ftp://localhost",
    ] {
        let error = Keycloak::new(url, "admin", PASSWORD).unwrap_err();
        assert!(matches!(error, KeycloakError::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
