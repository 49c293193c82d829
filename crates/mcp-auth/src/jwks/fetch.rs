//! One attempt to get the keys: where they are, if that is to be found out first, and what is there.

use std::{fmt, time::Duration};

use reqwest::{StatusCode, header::HeaderValue};
use url::Url;

use super::freshness::fresh_for;
use crate::{
    DiscoveryError,
    discovery::discover_within,
    keys::{KeyError, PublicKey},
    provider::{self, Http, RequestError},
};

#[derive(Debug)]
pub(super) struct Fetcher {
    http: Http,
    source: Source,
    /// For all of it.
    pub(super) timeout: Duration,
}

/// Where the keys come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Url(Url),
    /// Where the metadata of this issuer says; `found` is where they were when they were last fetched.
    Issuer {
        issuer: String,
        found: Option<Url>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Issuer { issuer, .. } => issuer.fmt(f),
        }
    }
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
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("its status is {0}, not 200")]
    Status(StatusCode),
    #[error("it is not in UTF-8")]
    Text(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("it has no key that can be used")]
    NoKeys,
    #[error("{0}")]
    Discovery(#[from] DiscoveryError),
    #[error("its metadata has no jwks_uri: it publishes no keys")]
    NoJwksUri,
    /// At a URL that was found, and that nobody has configured.
    #[error("{0}: {1}")]
    At(Url, Box<Self>),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.into())
    }
}

impl Fetcher {
    pub(super) fn new(source: Source) -> Result<Self, String> {
        // A connection that idles from one fetch to the next is closed by then, often without a word.
        Ok(Self { http: Http::new(0)?, source, timeout: super::FETCH_TIMEOUT })
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Fetches within `limit`.
    pub(super) async fn fetch(&mut self, limit: Duration) -> Result<Fetched, FetchError> {
        provider::within(limit, self.ask(limit)).await
    }

    async fn ask(&mut self, limit: Duration) -> Result<Fetched, FetchError> {
        let (issuer, found) = match &mut self.source {
            Source::Url(url) => return get(&self.http, url).await,
            Source::Issuer { issuer, found } => (issuer, found),
        };
        // Taken: whatever goes wrong with it, the next attempt begins by asking where the keys are.
        if let Some(url) = found.take() {
            match get(&self.http, &url).await {
                // They are no longer there, but perhaps elsewhere.
                Err(FetchError::Status(status)) if status.is_client_error() => {}
                Err(error) => return Err(FetchError::At(url, error.into())),
                Ok(fetched) => {
                    *found = Some(url);
                    return Ok(fetched);
                }
            }
        }
        let metadata = discover_within(limit, &self.http, issuer).await?;
        let url = metadata.jwks_uri.ok_or(FetchError::NoJwksUri)?;
        let fetched = get(&self.http, &url).await.map_err(|error| FetchError::At(url.clone(), error.into()))?;
        *found = Some(url);
        Ok(fetched)
    }
}

async fn get(http: &Http, url: &Url) -> Result<Fetched, FetchError> {
    let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
    let answer = http.get(url, accept).send().await?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let fresh_for = fresh_for(answer.headers());
    let body = provider::body(answer).await?;
    let keys = PublicKey::from_jwks(std::str::from_utf8(&body)?)?;
    if keys.is_empty() { Err(FetchError::NoKeys) } else { Ok(Fetched { keys, fresh_for }) }
}
