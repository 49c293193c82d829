//! A JWKS endpoint that does what it is told, for tests of whoever fetches keys.
//!
//! ```
//! # #[tokio::main] async fn main() -> std::io::Result<()> {
//! use mcp_attack::key_server::{Behaviour, KeyServer, bent};
//!
//! let server = KeyServer::start(Behaviour::keys([bent::oct("hmac")])).await?;
//! // … point the fetcher at server.url(), and then:
//! server.set(Behaviour::Endless);
//! assert_eq!(server.hits(), 0);
//! # Ok(()) }
//! ```

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, http::Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

/// A server on a free port of 127.0.0.1, until it is dropped.
#[derive(Debug)]
pub struct KeyServer {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<(Behaviour, Duration)>,
    hits: AtomicUsize,
}

/// What the server does when it is asked.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers.
    Answer {
        /// The status code.
        status: u16,
        /// Headers, `Content-Type` among them.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Answers 200, and the body never ends.
    Endless,
    /// Takes the request, and says nothing for as long as it lives.
    Silent,
}

impl Behaviour {
    /// A JWK Set.
    pub fn keys(keys: impl IntoIterator<Item = Value>) -> Self {
        Self::json(json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string())
    }

    /// Any text as JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }.header("content-type", "application/json")
    }

    /// The JWK Set, cut off in the middle.
    pub fn truncated(keys: impl IntoIterator<Item = Value>) -> Self {
        match Self::keys(keys) {
            Self::Answer { status, headers, body } => {
                let body = body.slice(..body.len() / 2);
                Self::Answer { status, headers, body }
            }
            other => other,
        }
    }

    /// A page, as from a proxy that wants somebody to sign in.
    pub fn html() -> Self {
        let body = Bytes::from_static(b"<!doctype html><title>Sign in</title>");
        Self::Answer { status: 200, headers: Vec::new(), body }.header("content-type", "text/html")
    }

    /// The JWK Set, preceded by that many bytes of white space, which JSON allows.
    pub fn large(bytes: usize, keys: impl IntoIterator<Item = Value>) -> Self {
        let set = json!({ "keys": keys.into_iter().collect::<Vec<_>>() });
        Self::json(format!("{}{set}", " ".repeat(bytes)))
    }

    /// A redirect to another place.
    pub fn redirect(location: &str) -> Self {
        Self::Answer { status: 302, headers: Vec::new(), body: Bytes::new() }.header("location", location)
    }

    /// An empty answer with that status.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// With one more header, such as `cache-control`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

impl KeyServer {
    /// # Errors
    /// When there is no port.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/jwks.json", listener.local_addr()?);
        let shared =
            Arc::new(Shared { behaviour: Mutex::new((behaviour, Duration::ZERO)), hits: AtomicUsize::default() });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It never ends by itself.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, shared, task })
    }

    /// Where its keys are. It behaves the same on every path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes what it does from now on.
    pub fn set(&self, behaviour: Behaviour) {
        self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner).0 = behaviour;
    }

    /// Waits that long before every answer from now on.
    pub fn delay(&self, delay: Duration) {
        self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner).1 = delay;
    }

    /// How often it was asked.
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let (behaviour, delay) = shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone();
    sleep(delay).await;
    match behaviour {
        Behaviour::Answer { status, headers, body } => {
            let response = Response::builder().status(status);
            let response = headers.iter().fold(response, |response, (name, value)| response.header(name, value));
            response.body(Body::from(body)).unwrap_or_else(|error| Response::new(Body::from(error.to_string())))
        }
        Behaviour::Endless => {
            let spaces = || Ok::<_, Infallible>(Bytes::from_static(&[b' '; 8192]));
            Response::new(Body::from_stream(stream::repeat_with(spaces)))
        }
        Behaviour::Silent => std::future::pending().await,
    }
}

/// Keys that nobody should verify with.
pub mod bent {
    use mcp_auth::keys::PublicKey;
    use serde_json::{Value, json};

    /// An HMAC secret.
    pub fn oct(kid: &str) -> Value {
        json!({ "kty": "oct", "kid": kid, "alg": "HS256", "k": "c2VjcmV0" })
    }

    /// A key that is published for encryption (`use: enc`).
    pub fn for_encryption(key: &PublicKey) -> Value {
        with(key, "use", "enc")
    }

    /// A key under another's id.
    pub fn renamed(key: &PublicKey, kid: &str) -> Value {
        with(key, "kid", kid)
    }

    /// A key that says it is for another algorithm, such as `RSA-OAEP` or `HS256`.
    pub fn for_algorithm(key: &PublicKey, algorithm: &str) -> Value {
        with(key, "alg", algorithm)
    }

    /// An RSA modulus of 1024 bits, and nobody's.
    pub fn short_rsa(kid: &str) -> Value {
        json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "e": "AQAB", "n": format!("{}w", "x".repeat(170)) })
    }

    /// A P-256 key whose point is not on the curve: RFC 7515 §A.3's with another y.
    pub fn off_curve(kid: &str) -> Value {
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a8");
        json!({ "kty": "EC", "kid": kid, "use": "sig", "alg": "ES256", "crv": "P-256", "x": x, "y": y })
    }

    fn with(key: &PublicKey, member: &str, value: &str) -> Value {
        let mut jwk = key.jwk().clone();
        jwk[member] = value.into();
        jwk
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
    use mcp_auth::keys::{Algorithm, PublicKey, make_pair};

    use super::*;

    #[tokio::test]
    async fn it_does_what_it_is_told() {
        let (_, public) = make_pair(Algorithm::ES256).unwrap();
        let key = public.jwk().clone();
        let server =
            KeyServer::start(Behaviour::keys([key.clone()]).header("cache-control", "no-cache")).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let get = async || client.get(server.url()).send().await.unwrap();
        let response = get().await;
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(PublicKey::from_jwks(&response.text().await.unwrap()).unwrap()[0].kid(), public.kid());

        server.set(Behaviour::truncated([key.clone()]));
        assert!(PublicKey::from_jwks(&get().await.text().await.unwrap()).is_err());
        server.set(Behaviour::large(10_000_000, [key]));
        assert!(get().await.text().await.unwrap().len() > 10_000_000);
        server.set(Behaviour::html());
        assert_eq!(get().await.headers()["content-type"], "text/html");
        server.set(Behaviour::redirect("http://other.example/jwks.json"));
        assert_eq!(get().await.headers()["location"], "http://other.example/jwks.json");
        server.set(Behaviour::status(503));
        assert_eq!(get().await.status(), 503);
        server.set(Behaviour::Endless);
        let mut endless = get().await;
        for _ in 0..100 {
            assert!(endless.chunk().await.unwrap().is_some());
        }
        server.delay(Duration::from_millis(50));
        let begun = std::time::Instant::now();
        get().await;
        assert!(begun.elapsed() >= Duration::from_millis(50));
        server.set(Behaviour::Silent);
        let asked = client.get(server.url()).timeout(Duration::from_millis(200)).send().await;
        assert!(asked.unwrap_err().is_timeout());
        assert_eq!(server.hits(), 9);
    }

    #[test]
    fn bent_keys_are_keys_that_are_bent() {
        let (_, public) = make_pair(Algorithm::ES256).unwrap();
        let bent = [
            bent::oct("k"),
            bent::for_encryption(&public),
            bent::for_algorithm(&public, "HS256"),
            bent::short_rsa("k"),
            bent::off_curve("k"),
        ];
        for jwk in &bent {
            assert!(PublicKey::from_jwk(&jwk.to_string()).is_err(), "{jwk}");
        }
        assert_eq!(BASE64URL.decode(bent[3]["n"].as_str().unwrap()).unwrap().len(), 128);
        let renamed = PublicKey::from_jwk(&bent::renamed(&public, "other").to_string()).unwrap();
        assert_eq!(renamed.kid(), "other");
    }
}
