//! The identifier of a protected resource, parsed once and compared as such (RFC 8707 §2, RFC 9728 §1.2).

use std::{fmt, str::FromStr};

use url::{Host, Url};

/// An absolute http or https URI that names a protected resource, such as `http://localhost:9000/mcp`.
///
/// Two are equal when scheme, host, port and path are: scheme and host in any case, a default port written or not, one
/// trailing slash or none, and the loopback spellings `localhost`, `127.0.0.1` and `[::1]` for each other. Nothing is
/// compared as a prefix.
#[derive(Clone, Debug)]
pub struct ResourceUri {
    written: String,
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    https: bool,
    host: Host<String>,
    port: Option<u16>,
    path: String,
    query: Option<String>,
}

/// Why a text is no [`ResourceUri`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceUriError {
    /// Not an absolute URI.
    #[error("it is not an absolute URI such as http://localhost:9000/mcp")]
    NotAbsolute,
    /// Another scheme.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// RFC 8707 §2: no fragment; and a user in it can only be there to mislead.
    #[error("it has a fragment or a user, which no resource has")]
    FragmentOrUser,
}

impl FromStr for ResourceUri {
    type Err = ResourceUriError;

    fn from_str(text: &str) -> Result<Self, ResourceUriError> {
        // The URL parser drops white space and turns backslashes; an identifier with either is not what it seems.
        if text.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f) {
            return Err(ResourceUriError::NotAbsolute);
        }
        let url = Url::parse(text).map_err(|_| ResourceUriError::NotAbsolute)?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(ResourceUriError::Scheme),
        };
        // An empty fragment or user is still one.
        let authority = text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
        if text.contains('#') || authority.is_empty() || authority.contains('@') {
            return Err(ResourceUriError::FragmentOrUser);
        }
        let host = match url.host() {
            Some(host) if is_loopback(&host) => Host::Domain("localhost".to_owned()),
            Some(host) => host.to_owned(),
            None => return Err(ResourceUriError::NotAbsolute),
        };
        let path = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
        let parts =
            Parts { https, host, port: url.port_or_known_default(), path, query: url.query().map(str::to_owned) };
        Ok(Self { written: text.to_owned(), parts })
    }
}

/// The three spellings that tutorials use; the rest of 127.0.0.0/8 may be another server.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.octets() == [127, 0, 0, 1],
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl ResourceUri {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Every way to write it that names this machine differently, without a trailing slash; the written one first. One
    /// way if it is not on this machine.
    pub fn spellings(&self) -> Vec<String> {
        let query = self.query().map_or_else(String::new, |query| format!("?{query}"));
        self.origins().into_iter().map(|(origin, _)| format!("{origin}{}{query}", self.path())).collect()
    }

    /// Without a trailing slash; empty for the root.
    pub(crate) fn path(&self) -> &str {
        &self.parts.path
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.parts.query.as_deref()
    }

    /// The spellings of the origin, each with the authority that `Host` then has; the one that was written first.
    pub(crate) fn origins(&self) -> Vec<(String, String)> {
        let scheme = if self.parts.https { "https" } else { "http" };
        let default = if self.parts.https { 443 } else { 80 };
        let port = self.parts.port.filter(|port| *port != default).map_or_else(String::new, |port| format!(":{port}"));
        let origin = |host: &str| (format!("{scheme}://{host}{port}"), format!("{host}{port}"));
        let written = Url::parse(&self.written).ok().and_then(|url| url.host_str().map(str::to_owned));
        let written = written.unwrap_or_else(|| self.parts.host.to_string());
        let mut origins = vec![origin(&written)];
        if self.parts.host == Host::Domain("localhost".to_owned()) {
            let others = ["localhost", "127.0.0.1", "[::1]"].into_iter().filter(|host| *host != written);
            origins.extend(others.map(origin));
        }
        origins
    }
}

impl PartialEq for ResourceUri {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for ResourceUri {}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(left: &str, right: &str) -> bool {
        left.parse::<ResourceUri>().unwrap() == right.parse::<ResourceUri>().unwrap()
    }

    #[test]
    fn spellings_of_one_resource() {
        for other in [
            "HTTP://LocalHost:9000/mcp",
            "http://localhost:9000/mcp/",
            "http://127.0.0.1:9000/mcp",
            "http://[::1]:9000/mcp",
            "http://[0:0:0:0:0:0:0:1]:9000/mcp",
        ] {
            assert!(equal("http://localhost:9000/mcp", other), "{other}");
        }
        assert!(equal("https://mcp.example.com", "https://MCP.example.com:443/"));
    }

    #[test]
    fn other_resources() {
        for other in [
            "https://localhost:9000/mcp",
            "http://localhost:9001/mcp",
            "http://localhost/mcp",
            "http://localhost:9000",
            "http://localhost:9000/MCP",
            "http://localhost:9000/mcp//",
            "http://localhost:9000/mcp/x",
            "http://localhost:9000/mcp?x",
            "http://localhost:9000/mc",
            "http://127.0.0.2:9000/mcp",
            "http://localhost.evil.example:9000/mcp",
            "http://localhost.:9000/mcp",
            "http://evil.example/http://localhost:9000/mcp",
        ] {
            assert!(!equal("http://localhost:9000/mcp", other), "{other}");
        }
        assert!(!equal("https://mcp.example.com", "https://mcp.example.com.evil.example"));
    }

    #[test]
    fn no_resources() {
        for text in [
            "",
            "account",
            "/mcp",
            "localhost:9000/mcp",
            "http:localhost/mcp",
            "http:///mcp",
            "http://localhost@evil.example/mcp",
            "http://@localhost:9000/mcp",
            "http://localhost:9000/mcp#",
            "http://localhost:9000/mcp#x",
            "http://localhost:9000\\@evil.example/mcp",
            " http://localhost:9000/mcp",
            "http://local\thost:9000/mcp",
            "ftp://localhost:9000/mcp",
            "urn:mcp",
        ] {
            assert!(text.parse::<ResourceUri>().is_err(), "{text:?}");
        }
    }
}
