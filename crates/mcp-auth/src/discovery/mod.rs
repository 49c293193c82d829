//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0), found by its issuer.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let metadata = mcp_auth::discover("https://idp.example.com/realms/mcp").await?;
//! println!("keys: {:?}", metadata.jwks_uri);
//! # Ok(())
//! # }
//! ```
//!
//! The issuer in the document has to be the one that was asked for, character for character (RFC 8414 §3.3): otherwise
//! whoever can write one document could speak for another server. Layout: `metadata`, the document and its checks, for
//! whoever fetches it in another way; here, where it stands and how it is fetched.

mod metadata;

use std::{fmt, time::Duration};

use reqwest::StatusCode;
use url::Url;

pub use self::metadata::{AuthorizationServerMetadata, MetadataError};
use crate::provider::{self, Http, JSON, RequestError};

/// For all of it, from the first name look-up to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// No authorization server is named so (RFC 8414 §2).
    #[error("{issuer:?} is no issuer: {why}")]
    Issuer {
        /// What was asked for.
        issuer: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be reached, is too slow, or has a fault of its own (5xx).
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// In the words of the one who tried.
        why: String,
    },
    /// It answers, and has no metadata where metadata stands.
    #[error("no metadata of {issuer}: {}; is that the issuer, as the provider writes it?", Answers(.answers))]
    NotFound {
        /// What was asked for.
        issuer: String,
        /// Each URL, and the status with which it answered.
        answers: Vec<(String, u16)>,
    },
    /// What is there cannot be used.
    #[error("{url}: {why}")]
    Metadata {
        /// Where.
        url: String,
        /// What is wrong with it.
        #[source]
        why: MetadataError,
    },
    /// There can be no HTTP client, usually for want of root certificates.
    #[error("no HTTP client: {0}")]
    Client(String),
}

struct Answers<'a>(&'a [(String, u16)]);

impl fmt::Display for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (url, status)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            // The usual reason for a redirect is a page to log in at.
            let hint = if (300..400).contains(status) { " (redirects are not followed)" } else { "" };
            write!(f, "{comma}{url} answers {status}{hint}")?;
        }
        Ok(())
    }
}

/// Where the metadata of this issuer may stand, in the order in which to try (MCP 2026-07-28, *Authorization Server
/// Discovery*): with RFC 8414's well-known name between host and path, with OpenID Connect's there, and with
/// OpenID Connect's behind the path. An issuer without a path has the first two alone.
///
/// # Errors
/// [`DiscoveryError::Issuer`]: it is not https (or http on a loopback host), or has a query, a fragment or a user.
pub fn well_known_urls(issuer: &str) -> Result<Vec<Url>, DiscoveryError> {
    let refused = |why| DiscoveryError::Issuer { issuer: issuer.to_owned(), why };
    let url = provider::permitted(issuer).map_err(refused)?;
    if url.query().is_some() {
        return Err(refused("it has a query"));
    }
    // RFC 8414 §3.1 and OpenID Connect Discovery §4: without the slash at the end.
    let path = url.path().strip_suffix('/').unwrap_or(url.path());
    let at = |path: String| {
        let mut url = url.clone();
        url.set_path(&path);
        url
    };
    let mut urls = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        urls.push(at(format!("{path}/.well-known/openid-configuration")));
    }
    Ok(urls)
}

/// Fetches the metadata of this issuer, within ten seconds. No redirect is followed.
///
/// # Errors
/// When there is none, or none that can be used.
pub async fn discover(issuer: &str) -> Result<AuthorizationServerMetadata, DiscoveryError> {
    let http = Http::new(0).map_err(DiscoveryError::Client)?;
    discover_within(TIMEOUT, &http, issuer).await
}

pub(crate) async fn discover_within(
    limit: Duration,
    http: &Http,
    issuer: &str,
) -> Result<AuthorizationServerMetadata, DiscoveryError> {
    let mut answers = Vec::new();
    // A site in front of the provider may answer everything with a page, or not know what to do with one form.
    let mut first = None;
    let deadline = tokio::time::Instant::now() + limit;
    for url in well_known_urls(issuer)? {
        let asked = tokio::time::timeout_at(deadline, ask(http, &url)).await;
        let (status, body) = match asked.unwrap_or(Err(RequestError::Timeout(limit))) {
            Ok(answer) => answer,
            Err(RequestError::TooLarge) => {
                return Err(DiscoveryError::Metadata { url: url.into(), why: MetadataError::TooLarge });
            }
            Err(error) => return Err(DiscoveryError::Unreachable { url: url.into(), why: error.to_string() }),
        };
        match status {
            StatusCode::OK => match AuthorizationServerMetadata::from_json(issuer, &body) {
                Err(why @ MetadataError::NotJson) => {
                    first.get_or_insert(DiscoveryError::Metadata { url: url.into(), why });
                }
                read => return read.map_err(|why| DiscoveryError::Metadata { url: url.into(), why }),
            },
            // It does not stand here, says whoever answers.
            _ if status.is_client_error() || status.is_redirection() => answers.push((url.into(), status.as_u16())),
            _ => {
                let why = format!("its status is {status}");
                first.get_or_insert(DiscoveryError::Unreachable { url: url.into(), why });
            }
        }
    }
    Err(first.unwrap_or_else(|| DiscoveryError::NotFound { issuer: issuer.to_owned(), answers }))
}

async fn ask(http: &Http, url: &Url) -> Result<(StatusCode, Vec<u8>), RequestError> {
    let answer = http.get(url, JSON).send().await?;
    let status = answer.status();
    // What an error page says is of no use.
    let body = if status == StatusCode::OK { provider::body(answer).await? } else { Vec::new() };
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(issuer: &str) -> Vec<String> {
        well_known_urls(issuer).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn where_metadata_stands() {
        let of_tenant = [
            "https://as.example/.well-known/oauth-authorization-server/tenant1",
            "https://as.example/.well-known/openid-configuration/tenant1",
            "https://as.example/tenant1/.well-known/openid-configuration",
        ];
        assert_eq!(forms("https://as.example/tenant1"), of_tenant);
        assert_eq!(forms("https://as.example/tenant1/"), of_tenant);
        let of_origin = [
            "http://localhost:8080/.well-known/oauth-authorization-server",
            "http://localhost:8080/.well-known/openid-configuration",
        ];
        assert_eq!(forms("http://localhost:8080"), of_origin);
        assert_eq!(forms("http://localhost:8080/"), of_origin);
        assert_eq!(
            forms("http://localhost:8080/realms/m%20p")[2],
            "http://localhost:8080/realms/m%20p/.well-known/openid-configuration"
        );
        for none in ["", "mcp", "http://as.example", "https://as.example/?x", "https://as.example/#x", "https://a@b/"] {
            assert!(well_known_urls(none).is_err(), "{none}");
        }
    }
}
