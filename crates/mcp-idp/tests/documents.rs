//! A client that does not register: its `client_id` is the URL of a document about itself, on a real https server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use common::{Browser, Server, claims};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// Serves one document to whoever asks, whatever for.
struct Site {
    url: String,
    document: Arc<Mutex<Value>>,
    fetched: Arc<AtomicUsize>,
    root: Certificate,
}

impl Site {
    async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = Certificate::from_pem(params.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/client.json", listener.local_addr().unwrap().port());
        let document = Arc::new(Mutex::new(json!({
            "client_id": url,
            "client_name": "Documented",
            "redirect_uris": ["http://localhost/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
        })));
        let fetched = Arc::new(AtomicUsize::new(0));
        let (served, count, acceptor) = (Arc::clone(&document), Arc::clone(&fetched), TlsAcceptor::from(Arc::new(tls)));
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let Ok(mut connection) = acceptor.accept(connection).await else { continue };
                let _ = connection.read(&mut [0; 4096]).await;
                count.fetch_add(1, Ordering::Relaxed);
                let body = served.lock().unwrap().to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = connection.shutdown().await;
            }
        });
        Self { url, document, fetched, root }
    }
}

const CALLBACK: (&str, &str) = ("redirect_uri", "http://localhost:52163/callback");

#[tokio::test]
async fn the_whole_way_without_a_registration() {
    let site = Site::start().await;
    let server = Server::start_with(|builder| builder.local_client_documents(vec![site.root.clone()])).await;
    let mut browser = Browser::new();
    let url = server.ask(&site.url, &[CALLBACK, ("scope", "mcp:read offline_access")]);
    let login = browser.get(&url).await;
    assert!(login.html.contains("Documented"), "{}", login.html);
    let code = browser.code(&url, "alice").await;
    let tokens = server.redeem(&site.url, &code, &[CALLBACK]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
    assert_eq!(claims(tokens.text("access_token"))["client_id"], site.url);
    let form =
        [("grant_type", "refresh_token"), ("client_id", &site.url), ("refresh_token", tokens.text("refresh_token"))];
    assert_eq!(server.token(&form).await.status, StatusCode::OK);
    assert_eq!(site.fetched.load(Ordering::Relaxed), 1, "it is fetched once");
}

#[tokio::test]
async fn an_answer_goes_where_the_document_says_and_the_page_says_whose_it_is() {
    let site = Site::start().await;
    let server = Server::start_with(|builder| builder.local_client_documents(vec![site.root.clone()])).await;
    let browser = Browser::new();
    for uri in ["http://localhost:52163/other", "http://127.0.0.1:52163/callback", "https://evil.example/"] {
        let page = browser.get(&server.ask(&site.url, &[("redirect_uri", uri)])).await;
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None), "{uri}");
    }
    let login = browser.get(&server.ask(&site.url, &[CALLBACK])).await;
    let consent = browser.log_in(&login, "alice", "alice123").await;
    for shown in ["Documented", "localhost:52163", "http://localhost:52163/callback"] {
        assert!(consent.html.contains(shown), "{shown}: {}", consent.html);
    }
}

#[tokio::test]
async fn a_document_about_somebody_else_is_nobodys() {
    let site = Site::start().await;
    site.document.lock().unwrap()["client_id"] = json!("https://claude.ai/oauth/claude-code-client-metadata");
    let server = Server::start_with(|builder| builder.local_client_documents(vec![site.root.clone()])).await;
    let page = Browser::new().get(&server.ask(&site.url, &[CALLBACK])).await;
    assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None));
    let form = [("grant_type", "authorization_code"), ("client_id", &site.url), ("code", "x")];
    assert_eq!(server.token(&form).await.error(), (401, "invalid_client"));
    assert_eq!(site.fetched.load(Ordering::Relaxed), 1, "a refusal is remembered too");
}

/// Its document is looked at for tokens too: one that is taken down ends its client.
#[tokio::test]
async fn the_document_counts_at_the_token_endpoint() {
    let site = Site::start().await;
    let server = Server::start_with(|builder| builder.local_client_documents(vec![site.root.clone()])).await;
    let form = [("grant_type", "refresh_token"), ("client_id", &*site.url), ("refresh_token", "x")];
    assert_eq!(server.token(&form).await.error(), (400, "invalid_grant"), "the client is known, the token is not");
    assert_eq!(site.fetched.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_picture_on_a_page_makes_nobody_fetch() {
    let site = Site::start().await;
    let server = Server::start_with(|builder| builder.local_client_documents(vec![site.root.clone()])).await;
    for (destination, status) in [("image", 400), ("iframe", 400), ("document", 200)] {
        let asked = server.http.get(server.ask(&site.url, &[CALLBACK])).header("sec-fetch-dest", destination);
        assert_eq!(asked.send().await.unwrap().status(), status, "{destination}");
        assert_eq!(site.fetched.load(Ordering::Relaxed), usize::from(destination == "document"), "{destination}");
    }
}

#[tokio::test]
async fn nothing_on_this_machine_is_fetched_unless_it_was_asked_for() {
    let site = Site::start().await;
    let server = Server::start().await;
    let page = Browser::new().get(&server.ask(&site.url, &[CALLBACK])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.fetched.load(Ordering::Relaxed), 0);
}
