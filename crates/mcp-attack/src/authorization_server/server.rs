//! The server as it was found, and how it is spoken to.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;
use url::Url;

use super::{
    client::Client,
    found::{Stop, good},
    issuer::{Issuer, IssuerError},
    rows::Needs,
    visit::Login,
};
use crate::{
    attacker::Attacker,
    run::Limits,
    target::is_loopback,
    wire::{Answer, RawRequest, SendError, send_within},
};

/// Longer than this nobody waits because a server asks for it (`Retry-After`).
const PATIENCE: Duration = Duration::from_secs(30);

/// What is under attack.
pub(super) struct Server {
    pub(super) issuer: Issuer,
    /// Its metadata, from each place that has it; never empty.
    pub(super) documents: Vec<Document>,
    pub(super) attacker: Attacker,
    /// A public client with an address on this machine.
    pub(super) native: Result<Client, String>,
    /// A public client with an address on the web.
    pub(super) web: Result<Client, String>,
    /// What a good request is answered with.
    pub(super) login: Result<Login, String>,
    pub(super) limits: Limits,
    pub(super) until: Instant,
    /// Where registrations can be taken back, and with what.
    registered: Mutex<Vec<(Url, String)>>,
}

/// The metadata, as one place has it.
pub(super) struct Document {
    pub(super) url: Url,
    pub(super) answer: Answer,
    pub(super) metadata: Value,
}

impl Server {
    /// Finds the metadata, registers clients, and looks at what a good request comes to.
    pub(super) async fn find(issuer: &Issuer, limits: Limits) -> Result<Self, IssuerError> {
        let mut documents = Vec::new();
        let mut problem = None;
        for url in issuer.metadata_urls() {
            match send_within(&url, &get_json(&url), limits.each).await {
                Ok(answer) => {
                    let metadata = answer.json();
                    if good(answer.status) && metadata.is_object() {
                        documents.push(Document { url, answer, metadata });
                    }
                }
                Err(error) => problem = Some(error),
            }
        }
        if documents.is_empty() {
            let why = problem.map(|error| format!(": {error}")).unwrap_or_default();
            return Err(IssuerError::NoMetadata(format!("{}{why}", issuer.text)));
        }
        let mut server = Self {
            issuer: issuer.clone(),
            documents,
            attacker: Attacker::start().await?,
            native: Err(String::new()),
            web: Err(String::new()),
            login: Err(String::new()),
            limits,
            until: Instant::now() + limits.total,
            registered: Mutex::default(),
        };
        (server.native, server.web) = server.introduce().await;
        server.login = server.look_at_login().await;
        Ok(server)
    }

    /// What it says of itself, from the first place that has it.
    pub(super) fn metadata(&self) -> &Value {
        &self.documents[0].metadata
    }

    /// A member that is a list of strings; none if it is missing.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.metadata()[name].as_array()?.iter().filter_map(Value::as_str).collect())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.metadata()[name] == true
    }

    /// An endpoint. One on another host is somebody else's as far as anybody knows, and is left alone.
    pub(super) fn endpoint(&self, name: &str) -> Result<Url, Stop> {
        let said = self.metadata()[name].as_str();
        let said = said.ok_or_else(|| Stop::not_run(format!("the metadata has no {name}")))?;
        self.ours(said).ok_or_else(|| Stop::not_run(format!("{name} is on another host")))
    }

    /// A URL on the server's host, or on this machine as it is itself.
    pub(super) fn ours(&self, url: &str) -> Option<Url> {
        let (url, issuer) = (Url::parse(url).ok()?, &self.issuer.url);
        let web = matches!(url.scheme(), "http" | "https");
        (web && (url.host() == issuer.host() || is_loopback(&url) && is_loopback(issuer))).then_some(url)
    }

    /// Whether there is what a row needs; otherwise why it cannot be tried.
    pub(super) fn has(&self, needs: Needs) -> Result<(), Stop> {
        let lacks = |why: &String| Stop::NotRun(why.clone());
        match needs {
            Needs::Nothing => Ok(()),
            Needs::Registration => self.endpoint("registration_endpoint").map(drop),
            Needs::Client => self.exact().map(drop),
            Needs::NativeClient => self.native.as_ref().map(drop).map_err(lacks),
            Needs::LoginPage => self.login.as_ref().map(drop).map_err(lacks),
            Needs::ClientDocuments => match self.is_set("client_id_metadata_document_supported") {
                true => Ok(()),
                false => Err(Stop::not_run("the server takes no client ID metadata documents")),
            },
            Needs::Introspection => self.endpoint("introspection_endpoint").map(drop),
            Needs::Revocation => self.endpoint("revocation_endpoint").map(drop),
            Needs::Resource => match self.issuer.resource {
                Some(_) => Ok(()),
                None => Err(Stop::not_run("no resource was named")),
            },
        }
    }

    /// One request. A server that says when to come back is asked again then.
    pub(super) async fn send(&self, url: &Url, request: &RawRequest) -> Result<Answer, Stop> {
        for _ in 0..5 {
            let answer = self.once(url, request).await?;
            let wait = answer.header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
            let wait = wait.filter(|wait| answer.status == 429 && *wait <= PATIENCE);
            match wait {
                Some(wait) if Instant::now() + wait < self.until => sleep(wait.max(Duration::from_secs(1))).await,
                _ => return Ok(answer),
            }
        }
        self.once(url, request).await.map_err(Stop::from)
    }

    /// One request, whatever it is answered.
    pub(super) async fn once(&self, url: &Url, request: &RawRequest) -> Result<Answer, SendError> {
        send_within(url, request, self.limits.each).await
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Answer, Stop> {
        self.send(url, &get_json(url)).await
    }

    /// A form, sent to an endpoint.
    pub(super) async fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Result<Answer, Stop> {
        let url = self.endpoint(endpoint)?;
        self.send(&url, &RawRequest::form(&url, fields)).await
    }

    /// Takes note of a registration, to take it back in the end (RFC 7592 §2.3).
    pub(super) fn remember(&self, registered: &Value) {
        let uri = registered["registration_client_uri"].as_str().and_then(|uri| self.ours(uri));
        if let (Some(uri), Some(token)) = (uri, registered["registration_access_token"].as_str()) {
            self.registered.lock().unwrap_or_else(PoisonError::into_inner).push((uri, token.to_owned()));
        }
    }

    /// Leaves no client behind, where clients can be taken back.
    pub(super) async fn clean_up(&self) {
        let registered = std::mem::take(&mut *self.registered.lock().unwrap_or_else(PoisonError::into_inner));
        for (url, token) in registered {
            // Nothing depends on it.
            let _ = self.once(&url, &RawRequest::to("DELETE", &url).bearer(&token)).await;
        }
    }
}

pub(super) fn get_json(url: &Url) -> RawRequest {
    RawRequest::to("GET", url).header("Accept", "application/json")
}
