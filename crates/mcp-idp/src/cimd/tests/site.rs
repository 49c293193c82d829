//! A site that serves a document over https, on loopback, as it is told to, and keeps count.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{
    Certificate,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// Who the site's certificate is for.
const NAMES: [&str; 8] = [
    "client.example",
    "other.example",
    "claude.ai",
    "vscode.dev",
    "github.com",
    "apify.github.io",
    "localhost",
    "127.0.0.1",
];

/// A certificate authority that only these tests know, and what a site shows of it.
struct Authority {
    root: String,
    tls: Arc<ServerConfig>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(NAMES.map(str::to_owned)).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    Authority { root, tls: Arc::new(tls) }
});

pub(super) fn root_certificate() -> Certificate {
    Certificate::from_pem(AUTHORITY.root.as_bytes()).unwrap()
}

/// What the site answers with.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) after: After,
    /// It is held back until there is a permit.
    pub(super) gate: Option<Arc<Semaphore>>,
}

/// What comes behind the body.
#[derive(Clone, Copy)]
pub(super) enum After {
    End,
    /// Spaces for ever, as fast as they are taken.
    Flood,
    /// Spaces for ever, one every so often.
    Drip,
}

impl Reply {
    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: "200 OK", headers, body: body.into(), after: After::End, gate: None }
    }

    pub(super) fn status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    /// With this header instead of what it had of the name.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn then(self, after: After) -> Self {
        Self { after, ..self }
    }

    pub(super) fn held(self) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self { gate: Some(Arc::clone(&gate)), ..self }, gate)
    }
}

#[derive(Default)]
struct Shared {
    /// By path; any path else gets 404.
    replies: Mutex<HashMap<String, Reply>>,
    hits: AtomicUsize,
    at_a_time: AtomicUsize,
    most_at_a_time: AtomicUsize,
    last_request: Mutex<String>,
}

pub(super) struct Site {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Site {
    pub(super) async fn up() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let of_task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&of_task)));
            }
        });
        Self { address, shared, task }
    }

    pub(super) fn serve(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// How many requests there were.
    pub(super) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    pub(super) fn most_at_a_time(&self) -> usize {
        self.shared.most_at_a_time.load(Ordering::SeqCst)
    }

    pub(super) fn last_request(&self) -> String {
        self.shared.last_request.lock().unwrap().clone()
    }

    pub(super) async fn until_hits(&self, hits: usize) {
        let begun = Instant::now();
        while self.hits() < hits {
            assert!(begun.elapsed() < Duration::from_secs(20), "it is not asked");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(mut stream) = TlsAcceptor::from(Arc::clone(&AUTHORITY.tls)).accept(stream).await else { return };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        request.push(byte);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    *shared.last_request.lock().unwrap() = request;
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let at_a_time = shared.at_a_time.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_at_a_time.fetch_max(at_a_time, Ordering::SeqCst);

    let reply = shared.replies.lock().unwrap().get(&path).cloned();
    let reply = reply.unwrap_or_else(|| Reply::json("{}").status("404 Not Found"));
    if let Some(gate) = &reply.gate {
        drop(gate.acquire().await.unwrap());
    }
    let mut answer = format!("HTTP/1.1 {}\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut answer = (answer + "\r\n").into_bytes();
    answer.extend(&reply.body);
    shared.at_a_time.fetch_sub(1, Ordering::SeqCst);
    let mut sent = stream.write_all(&answer).await;
    loop {
        match reply.after {
            After::End => break,
            After::Flood => sent = sent.and(stream.write_all(&[b' '; 1024]).await),
            After::Drip => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                sent = sent.and(stream.write_all(b" ").await.and(stream.flush().await));
            }
        }
        if sent.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// A resolver that knows what it was told, and keeps count.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<String, Vec<SocketAddr>>,
    pub(super) asked: AtomicUsize,
}

impl Names {
    /// Every name that the site has a certificate for is at these addresses.
    pub(super) fn at(addresses: &[SocketAddr]) -> Self {
        Self {
            known: NAMES.into_iter().map(|name| (name.to_owned(), addresses.to_vec())).collect(),
            asked: AtomicUsize::new(0),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let addresses = self.known.get(name.as_str()).cloned();
        Box::pin(async move {
            match addresses {
                Some(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                None => Err("there is no such name".into()),
            }
        })
    }
}
