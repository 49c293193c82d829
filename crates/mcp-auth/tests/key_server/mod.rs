//! An identity provider on a real socket, which can be down, slow, wrong and hostile; and who signs for it.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a test may panic")]

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use bytes::Bytes;
use futures_util::stream;
use jsonwebtoken::{EncodingKey, Header};
use mcp_auth::{
    JwtVerifier, RemoteKeySet, TokenError, TokenVerifier,
    keys::{Algorithm, PublicKey, make_pair},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Semaphore,
    task::JoinHandle,
};

pub const ISSUER: &str = "http://localhost:9000";
pub const AUDIENCE: &str = "http://localhost:9000/mcp";

/// What the server answers.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Content,
    pub delay: Duration,
    /// Answers only with a permit of it.
    pub gate: Option<Arc<Semaphore>>,
}

#[derive(Clone)]
pub enum Content {
    Whole(Bytes),
    /// JSON that depends on the request's body.
    Of(Arc<dyn Fn(&str) -> Value + Send + Sync>),
    /// Without a Content-Length, until the other side hangs up.
    Endless,
}

impl Reply {
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Content::Whole(text.into()), delay: Duration::ZERO, gate: None }
    }

    pub fn keys(keys: &[&Signer]) -> Self {
        Self::jwks(&keys.iter().map(|key| key.jwk()).collect::<Vec<_>>())
    }

    pub fn jwks(keys: &[Value]) -> Self {
        Self::text(json!({ "keys": keys }).to_string())
    }

    pub fn json(json: &Value) -> Self {
        Self::text(json.to_string()).header("content-type", "application/json")
    }

    pub fn of(answer: impl Fn(&str) -> Value + Send + Sync + 'static) -> Self {
        let reply = Self::text("").header("content-type", "application/json");
        Self { body: Content::Of(Arc::new(answer)), ..reply }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::text("") }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// With the gate, which is opened by adding a permit.
    pub fn held(self) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self { gate: Some(Arc::clone(&gate)), ..self }, gate)
    }
}

/// Requests that were begun, and the reply to the next ones.
struct Shared {
    hits: AtomicUsize,
    reply: Mutex<Reply>,
    /// By path, instead of that.
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<String>>,
    seen: Mutex<Option<(HeaderMap, String)>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

pub struct KeyServer {
    shared: Arc<Shared>,
    port: u16,
    state: Socket,
}

enum Socket {
    /// The port is ours, and connections to it are refused.
    Down(Option<TcpSocket>),
    Up(JoinHandle<()>),
}

impl KeyServer {
    pub async fn up(reply: Reply) -> Self {
        let mut server = Self::down(reply);
        server.start();
        server
    }

    pub fn down(reply: Reply) -> Self {
        let socket = bound(0);
        let port = socket.local_addr().unwrap().port();
        let shared = Shared {
            hits: AtomicUsize::new(0),
            reply: Mutex::new(reply),
            replies: Mutex::default(),
            asked: Mutex::default(),
            seen: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared), port, state: Socket::Down(Some(socket)) }
    }

    pub fn start(&mut self) {
        let Socket::Down(socket) = &mut self.state else { panic!("it is up") };
        let listener = socket.take().unwrap().listen(1024).unwrap();
        self.state = Socket::Up(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }

    pub async fn stop(&mut self) {
        let Socket::Up(task) = &mut self.state else { panic!("it is down") };
        task.abort();
        let _ = task.await;
        self.state = Socket::Down(Some(bound(self.port)));
    }

    pub fn url(&self) -> String {
        self.at("/certs")
    }

    pub fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// How often it was asked.
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    pub fn set(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// What is at this path from now on.
    pub fn set_at(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often this one was.
    pub fn hits_at(&self, path: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    /// How many requests there were at the same time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// The header fields of the last request.
    pub fn seen(&self) -> HeaderMap {
        self.shared.seen.lock().unwrap().clone().unwrap().0
    }

    /// The body of the last request.
    pub fn seen_body(&self) -> String {
        self.shared.seen.lock().unwrap().clone().unwrap().1
    }

    /// Until it was asked so often.
    pub async fn until_hits(&self, hits: usize) {
        until("the server is asked again", || self.hits() >= hits).await;
    }

    pub fn key_set(&self) -> Arc<RemoteKeySet> {
        RemoteKeySet::builder(&self.url()).unwrap().start()
    }

    pub fn verifier(&self) -> JwtVerifier {
        verifier(self.key_set())
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        if let Socket::Up(task) = &self.state {
            task.abort();
        }
    }
}

fn bound(port: u16) -> TcpSocket {
    let begun = Instant::now();
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        match socket.bind(([127, 0, 0, 1], port).into()) {
            Ok(()) => return socket,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(5), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    axum::serve(listener, Router::new().fallback(answer).with_state(shared)).await.unwrap();
}

/// Counts a request for as long as it is answered, or until its client hangs up.
struct Present(Arc<Shared>);

impl Present {
    fn new(shared: &Arc<Shared>) -> Self {
        let now = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let _present = Present::new(&shared);
    let (parts, body) = request.into_parts();
    let asked = String::from_utf8(axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    *shared.seen.lock().unwrap() = Some((parts.headers, asked.clone()));
    shared.asked.lock().unwrap().push(parts.uri.path().to_owned());
    // What it says is what it said when it was asked.
    let at = shared.replies.lock().unwrap().get(parts.uri.path()).cloned();
    let reply = at.unwrap_or_else(|| shared.reply.lock().unwrap().clone());
    shared.hits.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(reply.delay).await;
    if let Some(gate) = &reply.gate {
        drop(gate.acquire().await.unwrap());
    }
    let mut response = Response::builder().status(reply.status);
    if let Content::Whole(bytes) = &reply.body
        && !reply.headers.iter().any(|(name, _)| *name == "content-length" || *name == "transfer-encoding")
    {
        response = response.header("content-length", bytes.len());
    }
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let body = match reply.body {
        // What its headers say of its length need not be true.
        Content::Whole(bytes) => Body::from_stream(stream::iter([Ok::<_, Infallible>(bytes)])),
        Content::Of(answer) => Body::from(answer(&asked).to_string()),
        Content::Endless => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone())))
        }
    };
    response.body(body).unwrap()
}

pub fn verifier(keys: Arc<RemoteKeySet>) -> JwtVerifier {
    JwtVerifier::with_key_set(keys, ISSUER, AUDIENCE)
}

/// A key of the provider's.
pub struct Signer {
    private: String,
    public: PublicKey,
}

impl Signer {
    pub fn new() -> Self {
        let (private, public) = make_pair(Algorithm::EdDSA).unwrap();
        Self { private, public }
    }

    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    pub fn jwk(&self) -> Value {
        self.public.jwk().clone()
    }

    pub fn token(&self) -> String {
        self.token_under(Some(self.kid()))
    }

    /// A token with another `kid` than its own, or with none.
    pub fn token_under(&self, kid: Option<&str>) -> String {
        let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        let key = EncodingKey::from_ed_pem(self.private.as_bytes()).unwrap();
        jsonwebtoken::encode(&header, &claims(), &key).unwrap()
    }
}

pub fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600 })
}

/// A token under a `kid` that nobody knows, as cheap to make as an attacker's.
pub fn unknown(kid: &str) -> String {
    let header = json!({ "alg": "EdDSA", "kid": kid }).to_string();
    format!("{}.e30.{}", BASE64URL.encode(header), BASE64URL.encode([0; 64]))
}

pub async fn accepted(verifier: &JwtVerifier, token: &str) {
    if let Err(error) = in_time(verifier, token).await {
        panic!("refused: {error}");
    }
}

pub async fn refused(verifier: &JwtVerifier, token: &str, reason: TokenError) {
    assert_eq!(in_time(verifier, token).await, Err(reason));
}

/// No key is known for it, or none is looked for at the moment.
pub async fn not_accepted(verifier: &JwtVerifier, token: &str) {
    let answer = in_time(verifier, token).await;
    assert!(matches!(answer, Err(TokenError::UnknownKey | TokenError::Unavailable)), "{answer:?}");
}

async fn in_time(verifier: &JwtVerifier, token: &str) -> Result<(), TokenError> {
    let answer = tokio::time::timeout(PATIENCE, verifier.verify(token)).await;
    answer.expect("it waits for ever").map(drop)
}

/// Long enough for a busy machine; what it waits for comes sooner.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Until the token is accepted.
pub async fn until_accepted(verifier: &JwtVerifier, token: &str) {
    let begun = Instant::now();
    while let Err(error) = in_time(verifier, token).await {
        assert!(begun.elapsed() < PATIENCE, "refused for ever: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Until there are `count` keys.
pub async fn until_keys(keys: &RemoteKeySet, count: usize) {
    until("the number of keys", || keys.public_keys().keys().len() == count).await;
}
