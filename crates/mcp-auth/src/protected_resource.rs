//! Protected Resource Metadata (RFC 9728): where a client that was refused learns which authorization server to ask.
//!
//! The document stands at two URLs, since clients look at both: with the resource's path behind the well-known one
//! (RFC 9728 §3.1), and at the root. A client insists that `resource` in it is, letter by letter, the URL that it was
//! given (§3.3), and people spell this machine in three ways. So a resource on it has a document for each spelling, and
//! the `Host` header only chooses among them; any other resource has one.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{
    HeaderMap, Method,
    header::{CACHE_CONTROL, CONTENT_TYPE, HOST},
};
use serde_json::json;
use tower_http::cors::{Any, CorsLayer};

use crate::ResourceUri;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a client is told about the resource that a guard protects.
#[derive(Clone, Debug)]
pub struct ProtectedResource(Arc<Described>);

#[derive(Debug)]
struct Described {
    path: String,
    /// As it is configured first.
    spellings: Vec<Spelling>,
}

#[derive(Debug)]
struct Spelling {
    /// What `Host` says when the client spells it so.
    authority: String,
    metadata_url: Arc<str>,
    document: Bytes,
}

/// Why a resource cannot be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectedResourceError {
    /// RFC 9728 §2: without one nobody could get a token.
    #[error("a protected resource needs an authorization server")]
    NoAuthorizationServer,
    /// MCP 2026-07-28, *Authorization*: it is no scope of the resource.
    #[error("offline_access is between the client and its authorization server; no resource asks for it")]
    OfflineAccess,
    /// Nothing in MCP gives two resources one path.
    #[error("a resource with a query cannot be described")]
    Query,
}

impl ProtectedResource {
    /// Describes `resource`: by which authorization servers (their issuers, as they write them) tokens for it are
    /// issued, and the scopes that its basic use needs.
    ///
    /// # Errors
    /// Without an authorization server, with the scope `offline_access`, or with a query in the resource.
    pub fn new<A, S>(
        resource: &ResourceUri,
        authorization_servers: A,
        scopes: S,
    ) -> Result<Self, ProtectedResourceError>
    where
        A: IntoIterator<Item: Into<String>>,
        S: IntoIterator<Item: Into<String>>,
    {
        let servers: Vec<String> = authorization_servers.into_iter().map(Into::into).collect();
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        if servers.is_empty() {
            return Err(ProtectedResourceError::NoAuthorizationServer);
        }
        if scopes.iter().any(|scope| scope == "offline_access") {
            return Err(ProtectedResourceError::OfflineAccess);
        }
        if resource.query().is_some() {
            return Err(ProtectedResourceError::Query);
        }
        let path = resource.path();
        let spelling = |(origin, authority): (String, String)| {
            let mut document = json!({
                "resource": format!("{origin}{path}"),
                "authorization_servers": servers,
                "bearer_methods_supported": ["header"],
            });
            if !scopes.is_empty() {
                document["scopes_supported"] = json!(scopes);
            }
            let metadata_url = format!("{origin}{WELL_KNOWN}{path}").into();
            Spelling { authority, metadata_url, document: document.to_string().into() }
        };
        let spellings = resource.origins().into_iter().map(spelling).collect();
        Ok(Self(Arc::new(Described { path: format!("{WELL_KNOWN}{path}"), spellings })))
    }

    /// Where the metadata is, for the challenge of a request with these headers (RFC 9728 §5.1).
    pub fn metadata_url(&self, headers: &HeaderMap) -> &str {
        &self.spelled(headers).metadata_url
    }

    /// The same URL, for whoever refuses later.
    pub(crate) fn metadata_url_to_keep(&self, headers: &HeaderMap) -> Arc<str> {
        Arc::clone(&self.spelled(headers).metadata_url)
    }

    /// The routes of the metadata. They are public: merge them beside what is guarded.
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let path = self.0.path.clone();
        let document = get(move |headers: HeaderMap| async move { self.document(&headers) });
        let routes = Router::new().route(WELL_KNOWN, document.clone());
        let routes = if path == WELL_KNOWN { routes } else { routes.route(&path, document) };
        // A client in a browser reads it before it has anything, and sends its protocol version along.
        routes.layer(CorsLayer::new().allow_origin(Any).allow_methods([Method::GET]).allow_headers(Any))
    }

    fn document(&self, headers: &HeaderMap) -> Response {
        let head = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
        (head, self.spelled(headers).document.clone()).into_response()
    }

    /// The spelling that the client used, if it is one of ours; the configured one otherwise.
    fn spelled(&self, headers: &HeaderMap) -> &Spelling {
        let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
        let spellings = &self.0.spellings;
        let used = spellings.iter().find(|spelling| spelling.authority.as_bytes().eq_ignore_ascii_case(host));
        used.unwrap_or(&spellings[0])
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::Value;

    use super::*;

    fn described(resource: &str) -> ProtectedResource {
        let resource = resource.parse().unwrap();
        ProtectedResource::new(&resource, ["http://localhost:9000"], ["mcp:read"]).unwrap()
    }

    fn asked_as(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))])
    }

    fn resource(described: &ProtectedResource, host: &'static str) -> Value {
        let document = &described.spelled(&asked_as(host)).document;
        serde_json::from_slice::<Value>(document).unwrap()["resource"].clone()
    }

    #[test]
    fn the_spelling_that_the_client_used() {
        let local = described("http://localhost:9000/mcp/");
        for (host, expected, url) in [
            (
                "localhost:9000",
                "http://localhost:9000/mcp",
                "http://localhost:9000/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "LOCALHOST:9000",
                "http://localhost:9000/mcp",
                "http://localhost:9000/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "127.0.0.1:9000",
                "http://127.0.0.1:9000/mcp",
                "http://127.0.0.1:9000/.well-known/oauth-protected-resource/mcp",
            ),
            ("[::1]:9000", "http://[::1]:9000/mcp", "http://[::1]:9000/.well-known/oauth-protected-resource/mcp"),
        ] {
            assert_eq!(resource(&local, host), expected);
            assert_eq!(local.metadata_url(&asked_as(host)), url);
        }
        assert_eq!(resource(&described("http://127.0.0.1:9000/mcp"), "elsewhere"), "http://127.0.0.1:9000/mcp");
    }

    #[test]
    fn nothing_that_a_client_writes_into_host_gets_out() {
        for host in ["evil.example", "localhost:9001", "localhost", "127.0.0.2:9000", "localhost:9000.evil.example", ""]
        {
            assert_eq!(resource(&described("http://localhost:9000/mcp"), host), "http://localhost:9000/mcp", "{host}");
            let public = described("https://mcp.example.com/mcp");
            assert_eq!(resource(&public, host), "https://mcp.example.com/mcp", "{host}");
        }
        assert_eq!(resource(&described("https://mcp.example.com"), "localhost"), "https://mcp.example.com");
    }

    #[test]
    fn a_bare_origin() {
        for written in ["http://localhost:3000", "http://localhost:3000/", "HTTP://LOCALHOST:3000"] {
            let local = described(written);
            for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000"] {
                // RFC 8707 §2 and the MCP specification's canonical form: no slash at the end.
                assert_eq!(resource(&local, host), format!("http://{host}"), "{written}");
                let url = format!("http://{host}/.well-known/oauth-protected-resource");
                assert_eq!(local.metadata_url(&asked_as(host)), url, "{written}");
            }
            // The well-known route once: twice would panic.
            let _router: Router = local.into_router();
        }
    }

    #[test]
    fn what_cannot_be_described() {
        let resource: ResourceUri = "http://localhost:9000/mcp".parse().unwrap();
        let none: [&str; 0] = [];
        let error = |result: Result<ProtectedResource, _>| result.unwrap_err();
        assert_eq!(error(ProtectedResource::new(&resource, none, none)), ProtectedResourceError::NoAuthorizationServer);
        assert_eq!(
            error(ProtectedResource::new(&resource, ["http://localhost:9000"], ["mcp:read", "offline_access"])),
            ProtectedResourceError::OfflineAccess
        );
        let query = "http://localhost:9000/mcp?x=1".parse().unwrap();
        assert_eq!(error(ProtectedResource::new(&query, ["a"], none)), ProtectedResourceError::Query);
    }
}
