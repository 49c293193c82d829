//! Which URL is what, in the two shapes of one server.

use url::{Host, Url};

/// How the server's URLs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Short paths below the issuer: `/authorize`, `/token`.
    #[default]
    Plain,
    /// Keycloak's: `/protocol/openid-connect/auth` below an issuer like `http://localhost:8080/realms/mcp-realm`.
    Keycloak,
}

/// Why an issuer cannot be one (RFC 8414 §2, RFC 9700 §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is an https URL (http on this machine) without user, query, fragment and trailing slash")]
pub struct IssuerError;

/// Paths are as the router takes them; [`Endpoints::url`] makes a URL of one.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) issuer: String,
    origin: String,
    host: String,
    local: bool,
    pub(crate) authorize: String,
    pub(crate) token: String,
    pub(crate) introspect: String,
    pub(crate) revoke: String,
    pub(crate) register: String,
    pub(crate) jwks: String,
    pub(crate) login: String,
    pub(crate) consent: String,
    pub(crate) style: String,
    /// Where the metadata stands: RFC 8414 §3.1, then the two of OpenID Connect Discovery, since clients try all three.
    pub(crate) metadata: Vec<String>,
}

/// Where a page was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Home,
    /// This machine, by a name that has other cookies and another origin.
    OtherName,
    Elsewhere,
}

impl Endpoints {
    pub(crate) fn new(issuer: &str, layout: Layout) -> Result<Self, IssuerError> {
        let url = Url::parse(issuer).map_err(|_| IssuerError)?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let origin = url.origin().ascii_serialization();
        let path = url.path().trim_end_matches('/');
        // Clients compare the issuer byte by byte (RFC 8414 §3.3), so it has to be written as it will be read.
        if issuer != format!("{origin}{path}") || !(url.scheme() == "https" || url.scheme() == "http" && local) {
            return Err(IssuerError);
        }
        let below = |rest: &str| format!("{path}{rest}");
        let [authorize, token, introspect, revoke, register, jwks] = match layout {
            Layout::Plain => ["/authorize", "/token", "/introspect", "/revoke", "/register", "/.well-known/jwks.json"],
            Layout::Keycloak => [
                "/protocol/openid-connect/auth",
                "/protocol/openid-connect/token",
                "/protocol/openid-connect/token/introspect",
                "/protocol/openid-connect/revoke",
                "/clients-registrations/openid-connect",
                "/protocol/openid-connect/certs",
            ],
        }
        .map(below);
        let mut metadata = vec![format!("/.well-known/oauth-authorization-server{path}")];
        metadata.push(format!("/.well-known/openid-configuration{path}"));
        if !path.is_empty() {
            metadata.push(below("/.well-known/openid-configuration"));
            // Keycloak has it here as well.
            metadata.push(below("/.well-known/oauth-authorization-server"));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            authorize,
            token,
            introspect,
            revoke,
            register,
            jwks,
            login: below("/login"),
            consent: below("/consent"),
            style: below("/login/style.css"),
            metadata,
            host: url.host_str().unwrap_or_default().to_owned(),
            origin,
            local,
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Where the pages come from, as a browser writes it in `Origin`.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What to do with a page that is asked for at this `Host`. A name that an attacker's page has turned to this machine
    /// (DNS rebinding) is no host of ours; on a server with a public name there is nothing to gain, and a proxy may write
    /// its own.
    pub(crate) fn at(&self, host: &str) -> At {
        let port = |(_, port): &(&str, &str)| port.bytes().all(|b| b.is_ascii_digit());
        let host = host.rsplit_once(':').filter(port).map_or(host, |(name, _)| name);
        if !self.local || self.host.eq_ignore_ascii_case(host) {
            At::Home
        } else if ["localhost", "127.0.0.1", "[::1]"].iter().any(|ours| ours.eq_ignore_ascii_case(host)) {
            At::OtherName
        } else {
            At::Elsewhere
        }
    }

    pub(crate) fn https(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_for_an_issuer_with_and_without_a_path() {
        let plain = Endpoints::new("http://localhost:9000", Layout::Plain).unwrap();
        assert_eq!(plain.metadata, ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]);
        assert_eq!(plain.url(&plain.token), "http://localhost:9000/token");
        let realm = Endpoints::new("https://idp.example/realms/mcp", Layout::Keycloak).unwrap();
        assert_eq!(
            realm.metadata,
            [
                "/.well-known/oauth-authorization-server/realms/mcp",
                "/.well-known/openid-configuration/realms/mcp",
                "/realms/mcp/.well-known/openid-configuration",
                "/realms/mcp/.well-known/oauth-authorization-server",
            ]
        );
        assert_eq!(realm.url(&realm.jwks), "https://idp.example/realms/mcp/protocol/openid-connect/certs");
    }

    #[test]
    fn pages_are_shown_under_the_names_of_this_machine() {
        let here = Endpoints::new("http://localhost:9000", Layout::Plain).unwrap();
        for (host, at) in [
            ("localhost:9000", At::Home),
            ("LOCALHOST", At::Home),
            ("127.0.0.1:9000", At::OtherName),
            ("[::1]:9000", At::OtherName),
            ("[::1]", At::OtherName),
            ("", At::Elsewhere),
            ("evil.example", At::Elsewhere),
            ("evil.example:9000", At::Elsewhere),
            ("localhost.evil.example:9000", At::Elsewhere),
            ("localhost:1@evil.example", At::Elsewhere),
        ] {
            assert_eq!(here.at(host), at, "{host}");
        }
        assert_eq!(Endpoints::new("http://127.0.0.2:9000", Layout::Plain).unwrap().at("127.0.0.2:9000"), At::Home);
        assert_eq!(Endpoints::new("http://[::1]:9000", Layout::Plain).unwrap().at("[::1]:9000"), At::Home);
        assert_eq!(Endpoints::new("https://idp.example", Layout::Plain).unwrap().at("proxied:8080"), At::Home);
    }

    #[test]
    fn what_is_no_issuer() {
        for issuer in [
            "",
            "localhost:9000",
            "http://localhost:9000/",
            "http://LOCALHOST:9000",
            "http://localhost:80",
            "http://idp.example",
            "http://localhost.evil.example",
            "https://idp.example/realms/mcp/",
            "https://idp.example?x",
            "https://idp.example#x",
            "https://user@idp.example",
            "ftp://localhost",
        ] {
            assert!(Endpoints::new(issuer, Layout::Plain).is_err(), "{issuer}");
        }
    }
}
