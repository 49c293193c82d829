//! One request to the provider, with its limits.

use std::{error::Error, time::Duration};

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, HeaderMap, HeaderValue},
    redirect, retry,
};
use url::Url;

use super::{freshness::fresh_for, is_loopback};
use crate::keys::{KeyError, PublicKey};

/// No body is larger, in bytes. Providers with certificates in every key need some 20 KB.
const MAX_BODY: usize = 512 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    pub(super) url: Url,
    /// For all of it.
    pub(super) timeout: Duration,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Fetched {
    /// At least one.
    pub(super) keys: Vec<PublicKey>,
    pub(super) fresh_for: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{}", chain(.0))]
    Http(reqwest::Error),
    #[error("it took longer than {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("its status is {0}, not 200")]
    Status(StatusCode),
    #[error("it is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("it is not in UTF-8")]
    Text(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("it has no key that can be used")]
    NoKeys,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // The log names it beside.
        Self::Http(error.without_url())
    }
}

impl Fetcher {
    pub(super) fn new(url: Url) -> Result<Self, reqwest::Error> {
        let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
        let mut client = Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(ACCEPT, accept)]))
            .connect_timeout(CONNECT_TIMEOUT)
            // Keys come from the URL that was configured, and from nowhere that its answer points to.
            .redirect(redirect::Policy::none())
            // When to try again is decided in one place.
            .retry(retry::never())
            // A connection that idles from one fetch to the next is closed by then, often without a word.
            .pool_max_idle_per_host(0)
            // Whatever other crates turn on: what is counted is what was sent.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd();
        if is_loopback(&url) {
            // It would not be this machine's loopback.
            client = client.no_proxy();
        }
        Ok(Self { client: client.build()?, url, timeout: super::FETCH_TIMEOUT })
    }

    /// Fetches within `limit`.
    pub(super) async fn fetch(&self, limit: Duration) -> Result<Fetched, FetchError> {
        tokio::time::timeout(limit, self.ask()).await.map_err(|_| FetchError::Timeout(limit))?
    }

    async fn ask(&self) -> Result<Fetched, FetchError> {
        let answer = self.client.get(self.url.clone()).send().await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let fresh_for = fresh_for(answer.headers());
        let body = body(answer).await?;
        let keys = PublicKey::from_jwks(std::str::from_utf8(&body)?)?;
        if keys.is_empty() { Err(FetchError::NoKeys) } else { Ok(Fetched { keys, fresh_for }) }
    }
}

/// Chunk by chunk: whoever sends for ever is not read for ever.
async fn body(mut answer: Response) -> Result<Vec<u8>, FetchError> {
    let announced = answer.content_length().unwrap_or(0);
    if announced > MAX_BODY as u64 {
        return Err(FetchError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes: what a person needs (connection refused, unknown certificate) stands last.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
