//! One request for one document, with its limits.

use std::{error::Error, time::Duration};

use headers::HeaderMap;
use oauth_as::MAX_CLIENT_ID_DOCUMENT_BYTES;
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
    redirect, retry,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{DocumentError, Settings, freshness::fresh_for, metadata::Location, resolver::Checked};

pub(super) struct Fetcher {
    client: Client,
    slots: Semaphore,
    deadline: Duration,
}

/// An answer that may be a document.
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    pub(super) fresh_for: Duration,
}

impl Fetcher {
    pub(super) fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
            .https_only(true)
            .tls_certs_merge(settings.root_certificates)
            .dns_resolver(Checked { names: settings.names, loopback: settings.loopback })
            // A proxy would resolve the name itself, and the check would be of nothing.
            .no_proxy()
            // §5: what is elsewhere is not the document of this URL.
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            // A connection that is kept was checked for another fetch.
            .pool_max_idle_per_host(0)
            // Whatever other crates turn on: what is counted is what was sent, and nothing unfolds.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd();
        Ok(Self { client: client.build()?, slots: Semaphore::new(settings.at_a_time), deadline: settings.deadline })
    }

    /// One of as many as there may be at a time. As long as it is held there is one fetch.
    pub(super) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.slots.acquire().await.ok()
    }

    /// # Errors
    /// When there is no answer in time, or it is not 200 with JSON of the size that §8.7 recommends.
    pub(super) async fn fetch(&self, location: &Location) -> Result<Fetched, DocumentError> {
        timeout(self.deadline, self.ask(location)).await.map_err(|_| DocumentError::Deadline(self.deadline))?
    }

    async fn ask(&self, location: &Location) -> Result<Fetched, DocumentError> {
        let failed = |error: reqwest::Error| {
            // What only this server can see is for its log.
            tracing::debug!(client_id = %location.url, error = chain(&error), "a client metadata document is not fetched");
            if error.is_dns() { DocumentError::Host } else { DocumentError::Connection }
        };
        let answer = self.client.get(location.url.clone()).send().await.map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(DocumentError::Status(answer.status().as_u16()));
        }
        if !is_json(answer.headers()) {
            return Err(DocumentError::ContentType);
        }
        if answer.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(DocumentError::Compressed);
        }
        let fresh_for = fresh_for(answer.headers());
        Ok(Fetched { body: body(answer).await.map_err(failed)?.ok_or(DocumentError::TooLarge)?, fresh_for })
    }
}

/// §4: `application/json`, or a type of somebody's that is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(media_type)), None) = (types.next().map(HeaderValue::to_str), types.next()) else { return false };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The body, chunk by chunk; none if it is too large, however long it was said to be and however long it would go on.
async fn body(mut answer: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_CLIENT_ID_DOCUMENT_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// An error with its causes: what a person needs stands last.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
