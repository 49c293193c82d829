//! Requests to an identity provider, with their limits: which URLs, how long, how much. The one place where an HTTP
//! client is made.

use std::{error::Error, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, HeaderValue},
    redirect, retry,
};
use url::{Host, Url};

/// No body is larger, in bytes. Providers with certificates in every key need some 20 KB.
const MAX_BODY: usize = 512 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may idle: most servers close theirs after a minute, some after five seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Debug)]
pub(crate) struct Http {
    /// For this machine: through a proxy it would be another machine's loopback.
    near: Client,
    far: Client,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{}", chain(.0))]
    Http(reqwest::Error),
    #[error("it took longer than {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("it is larger than {MAX_BODY} bytes")]
    TooLarge,
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        // The log names it beside.
        Self::Http(error.without_url())
    }
}

impl Http {
    /// A client that keeps up to `idle` connections to a host open for the next request.
    ///
    /// # Errors
    /// When TLS cannot be set up, usually for want of root certificates.
    pub(crate) fn new(idle: usize) -> Result<Self, String> {
        let client = || {
            Client::builder()
                .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                // What counts comes from the URL that was configured, and from nowhere that its answer points to; and no
                // secret is sent after it.
                .redirect(redirect::Policy::none())
                // When to try again is decided in one place.
                .retry(retry::never())
                .pool_max_idle_per_host(idle)
                .pool_idle_timeout(IDLE_TIMEOUT)
                // Whatever other crates turn on: what is counted is what was sent.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
        };
        let build = |client: reqwest::ClientBuilder| client.build().map_err(|error| chain(&error));
        Ok(Self { near: build(client().no_proxy())?, far: build(client())? })
    }

    fn client(&self, url: &Url) -> &Client {
        if is_loopback(url) { &self.near } else { &self.far }
    }

    pub(crate) fn get(&self, url: &Url, accept: HeaderValue) -> RequestBuilder {
        self.client(url).get(url.clone()).header(ACCEPT, accept)
    }

    pub(crate) fn post(&self, url: &Url, accept: HeaderValue) -> RequestBuilder {
        self.client(url).post(url.clone()).header(ACCEPT, accept)
    }
}

/// Ends what takes longer than `limit`, from the name look-up to the last byte.
pub(crate) async fn within<T, E: From<RequestError>>(
    limit: Duration,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(limit, request).await.unwrap_or_else(|_| Err(RequestError::Timeout(limit).into()))
}

/// Chunk by chunk: whoever sends for ever is not read for ever.
pub(crate) async fn body(mut answer: Response) -> Result<Vec<u8>, RequestError> {
    let announced = answer.content_length().unwrap_or(0);
    if announced > MAX_BODY as u64 {
        return Err(RequestError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(RequestError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes: what a person needs (connection refused, unknown certificate) stands last.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whoever can write the answer can sign tokens, or say that they are good: it comes over TLS, or does not leave the
/// machine.
pub(crate) fn permitted(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is not absolute")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("http is for loopback hosts alone; use https"),
        _ => return Err("it is neither https nor http"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has user information");
    }
    if url.fragment().is_some() {
        return Err("it has a fragment");
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permitted_urls() {
        for url in [
            "https://idp.example.com/realms/mcp/protocol/openid-connect/certs?x=1",
            "HTTPS://IDP.example.com",
            "http://localhost:8080/certs",
            "http://LOCALHOST/",
            "http://127.0.0.1:1/",
            "http://127.255.0.9/",
            "http://[::1]:8080/",
        ] {
            assert!(permitted(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "/certs",
            "idp.example.com/certs",
            "http://idp.example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://128.0.0.1/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost@idp.example.com/",
            "https://user@idp.example.com/",
            "https://:secret@idp.example.com/",
            "https://idp.example.com/#keys",
            "file:///etc/passwd",
            "ftp://localhost/",
            "data:application/json,{}",
        ] {
            assert!(permitted(url).is_err(), "{url}");
        }
    }
}
