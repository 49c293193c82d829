//! What the server says of itself: who gives tokens for it (RFC 9728).

use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::{
    Challenge, Scopes,
    error::{Error, Fault},
    observer::{Step, shown},
    web::{Answer, Request, Web},
};

const STEP: Step = Step::ProtectedResource;
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a client needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProtectedResource {
    /// As it is written there, and from then on everywhere (RFC 8707 §2).
    pub(crate) resource: String,
    /// One at least; RFC 9728 §7.6 leaves the choice to the client.
    pub(crate) issuers: Vec<String>,
    pub(crate) scopes_supported: Option<Scopes>,
}

#[derive(Deserialize)]
struct Document {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    scopes_supported: Option<Vec<String>>,
}

/// Follows the challenge, or looks where the metadata stands without one: at the server's path, then at its root (MCP
/// 2026-07-28, *Authorization*, "Protected Resource Metadata Discovery Requirements").
pub(crate) async fn find(web: &Web, server: &Url, challenge: &Challenge) -> Result<ProtectedResource, Error> {
    if let Some(named) = &challenge.resource_metadata {
        let url = web.checked(STEP, named)?;
        let answer = web.exchange(STEP, Request::get(&url)).await?;
        if answer.status != StatusCode::OK {
            return Err(Error::new(STEP, answer.fault()));
        }
        return read(server, &url, &answer);
    }
    let urls = well_known_urls(server);
    for url in &urls {
        let answer = web.exchange(STEP, Request::get(url)).await?;
        // Anything but a document is none: some servers answer every path with a page.
        if answer.status == StatusCode::OK && answer.is_object() {
            return read(server, url, &answer);
        }
    }
    Err(Error::new(STEP, Fault::Nowhere(urls.iter().map(Url::to_string).collect())))
}

fn well_known_urls(server: &Url) -> Vec<Url> {
    let at = |path: &str, query| {
        let mut url = server.clone();
        url.set_path(path);
        url.set_query(query);
        url
    };
    let mut urls = Vec::new();
    if server.path() != "/" || server.query().is_some() {
        let path = server.path().strip_suffix('/').unwrap_or(server.path());
        // RFC 9728 §3.1: the query stays behind the path.
        urls.push(at(&format!("{WELL_KNOWN}{path}"), server.query()));
    }
    urls.push(at(WELL_KNOWN, None));
    urls
}

fn read(server: &Url, from: &Url, answer: &Answer) -> Result<ProtectedResource, Error> {
    let document: Document = answer.json(STEP)?;
    // RFC 9728 §3.3: identical to what the client asks for. A document at the root is the origin's own, and the origin
    // has all that is below it.
    let asked = server.as_str();
    let origin = server.origin().ascii_serialization();
    let root = from.path() == WELL_KNOWN && from.origin() == server.origin();
    let same = |one: &str, other: &str| one == other || (other == format!("{origin}/") && one == origin);
    if !(same(&document.resource, asked) || root && same(&document.resource, &format!("{origin}/"))) {
        let fault = Fault::Resource { named: shown(&document.resource), wanted: asked.to_owned() };
        return Err(Error::new(STEP, fault));
    }
    if document.authorization_servers.is_empty() {
        return Err(Error::new(STEP, Fault::Unreadable("the metadata names no authorization server".to_owned())));
    }
    Ok(ProtectedResource {
        resource: document.resource,
        issuers: document.authorization_servers,
        scopes_supported: document.scopes_supported.map(|scopes| scopes.iter().map(String::as_str).collect()),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use serde_json::json;

    use super::*;

    const SERVER: &str = "http://localhost:9000/mcp";
    const SUFFIXED: &str = "http://localhost:9000/.well-known/oauth-protected-resource/mcp";
    const ROOT: &str = "http://localhost:9000/.well-known/oauth-protected-resource";

    fn read_at(server: &str, from: &str, resource: &str) -> Result<String, Error> {
        let body = json!({ "resource": resource, "authorization_servers": ["http://localhost:8080", "x"] });
        let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from(body.to_string()) };
        read(&Url::parse(server).unwrap(), &Url::parse(from).unwrap(), &answer).map(|found| found.resource)
    }

    #[test]
    fn the_resource_is_the_url_that_was_asked_for_letter_by_letter() {
        for resource in [
            "http://localhost:9000/mcp/",
            "http://127.0.0.1:9000/mcp",
            "http://localhost:9000/MCP",
            "http://localhost:9000/mcp?x",
            "http://localhost:9000",
            "https://localhost:9000/mcp",
            "https://evil.example/mcp",
            "",
        ] {
            let error = read_at(SERVER, SUFFIXED, resource).unwrap_err();
            assert!(matches!(error.fault, Fault::Resource { .. }), "{resource}");
        }
        assert_eq!(read_at(SERVER, SUFFIXED, SERVER).unwrap(), SERVER);
        // An origin has two spellings, and the URL parser knows one of them.
        for resource in ["http://localhost:9000", "http://localhost:9000/"] {
            assert_eq!(read_at("http://localhost:9000", ROOT, resource).unwrap(), resource);
        }
    }

    #[test]
    fn what_stands_at_the_root_may_be_of_the_whole_origin() {
        assert_eq!(read_at(SERVER, ROOT, "http://localhost:9000").unwrap(), "http://localhost:9000");
        assert_eq!(read_at(SERVER, ROOT, SERVER).unwrap(), SERVER);
        assert!(
            read_at(SERVER, "http://evil.example/.well-known/oauth-protected-resource", "http://evil.example").is_err()
        );
        assert!(read_at(SERVER, ROOT, "http://localhost:9000/m").is_err());
    }

    #[test]
    fn with_the_path_and_then_without() {
        let urls = |server: &str| -> Vec<String> {
            well_known_urls(&Url::parse(server).unwrap()).iter().map(Url::to_string).collect()
        };
        assert_eq!(urls(SERVER), [SUFFIXED, ROOT]);
        assert_eq!(urls("http://localhost:9000/mcp/"), [SUFFIXED, ROOT]);
        assert_eq!(urls("http://localhost:9000/"), [ROOT]);
        assert_eq!(
            urls("http://localhost:9000/a?b=c"),
            ["http://localhost:9000/.well-known/oauth-protected-resource/a?b=c", ROOT]
        );
    }
}
