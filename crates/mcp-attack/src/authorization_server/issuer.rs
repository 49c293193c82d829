use url::Url;

use crate::target::{AttackError, is_loopback};

/// An authorization server as its clients know it, and what they bring along.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(super) text: String,
    pub(super) url: Url,
    pub(super) resource: Option<Resource>,
    pub(super) client: Option<(String, String)>,
}

/// The URL of a resource, as it was written.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) text: String,
    pub(super) url: Url,
}

/// Why there is nothing to attack.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// No metadata anywhere.
    #[error("there is no authorization server metadata at {0}")]
    NoMetadata(String),
    /// The attacker's server cannot be started.
    #[error(transparent)]
    Attacker(#[from] AttackError),
}

impl Issuer {
    /// The server that calls itself `issuer`, letter by letter.
    ///
    /// # Errors
    /// When that is no http or https URL.
    pub fn new(issuer: &str) -> Result<Self, AttackError> {
        Ok(Self { text: issuer.to_owned(), url: http_url(issuer)?, resource: None, client: None })
    }

    /// With an MCP endpoint that its tokens are for.
    ///
    /// # Errors
    /// When that is no http or https URL.
    pub fn resource(mut self, uri: &str) -> Result<Self, AttackError> {
        self.resource = Some(Resource { text: uri.to_owned(), url: http_url(uri)? });
        Ok(self)
    }

    /// With a public client that is known there, and an address of its own: for servers where none can register.
    #[must_use]
    pub fn client(mut self, id: &str, redirect_uri: &str) -> Self {
        self.client = Some((id.to_owned(), redirect_uri.to_owned()));
        self
    }

    /// Its URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it and the resource are on this machine, judged by their hosts alone.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url) && self.resource.as_ref().is_none_or(|resource| is_loopback(&resource.url))
    }

    /// The three places of its metadata, in the order in which MCP clients try them (RFC 8414 §3.1, OpenID Connect
    /// Discovery §4).
    pub(super) fn metadata_urls(&self) -> Vec<Url> {
        let path = self.url.path().trim_end_matches('/');
        let mut paths = vec![
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("/.well-known/openid-configuration{path}"),
        ];
        if !path.is_empty() {
            paths.push(format!("{path}/.well-known/openid-configuration"));
        }
        paths.iter().filter_map(|path| self.url.join(path).ok()).collect()
    }
}

fn http_url(text: &str) -> Result<Url, AttackError> {
    let url = Url::parse(text).map_err(|_| AttackError::NoUrl(text.to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(AttackError::Url(url));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_metadata_stands() {
        let urls = |issuer: &str| {
            let urls = Issuer::new(issuer).unwrap().metadata_urls();
            urls.iter().map(|url| url.path().to_owned()).collect::<Vec<_>>()
        };
        let root = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
        assert_eq!(urls("http://localhost:9000"), root);
        assert_eq!(urls("http://localhost:9000/"), root);
        assert_eq!(
            urls("https://idp.example/realms/mcp"),
            [
                "/.well-known/oauth-authorization-server/realms/mcp",
                "/.well-known/openid-configuration/realms/mcp",
                "/realms/mcp/.well-known/openid-configuration"
            ]
        );
        for none in ["", "localhost:9000", "ftp://localhost", "/x"] {
            assert!(Issuer::new(none).is_err(), "{none}");
        }
    }

    #[test]
    fn both_have_to_be_on_this_machine() {
        let local = Issuer::new("http://localhost:9000").unwrap();
        assert!(local.is_loopback());
        assert!(!local.clone().resource("https://mcp.example.com/mcp").unwrap().is_loopback());
        assert!(!Issuer::new("http://localhost.evil.example").unwrap().is_loopback());
    }
}
