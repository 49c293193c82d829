//! What came of it.

use url::Url;

use crate::{Secret, explain::Row};

/// The settings of a protected MCP server, checked. `Display` is the table of [`explain`](Self::explain).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one, and [`listening_on`](Self::listening_on) says which.
    pub port: u16,
    /// Path of the MCP endpoint, from its first slash.
    pub path: String,
    /// The URL that clients use, by which they ask for tokens (RFC 8707).
    pub resource: String,
    /// What a token must name as its audience: the resource, or what the identity provider calls it.
    pub audience: String,
    /// Who makes the tokens, letter by letter as it stands in `iss`.
    pub issuer: String,
    /// How a token is checked.
    pub verification: Verification,
    /// The one scope that every list, call and get needs, if one is set (`MCP_SCOPE`).
    pub one_scope: Option<String>,
    /// Whether the defaults are those of MCP's tutorial about authorization.
    pub tutorial: bool,
    /// What the operator should know, a line each: for the log, as warnings.
    pub notices: Vec<String>,
    pub(crate) rows: Rows,
}

/// How a token is checked. Its issuer, audience and time are checked in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// By its signature.
    Keys(KeySource),
    /// By asking the issuer about it (RFC 7662), at the endpoint that its metadata names.
    Introspection {
        /// The client that asks.
        client_id: String,
        /// The client's secret.
        client_secret: Secret,
    },
}

/// Where the keys are that check signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// At the `jwks_uri` of the issuer's metadata (RFC 8414, OpenID Connect Discovery).
    Issuer,
    /// At this URL, which is of the issuer's origin.
    Url(Url),
    /// This one: a PEM that begins with `-----BEGIN PUBLIC KEY-----` or `-----BEGIN RSA PUBLIC KEY-----`.
    Pem(String),
}

/// What [`Settings::explain`] says, apart from values that stand in the settings.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub host: String,
    pub port: String,
    pub path: String,
    pub resource: String,
    pub audience: String,
    pub issuer: String,
    pub one_scope: String,
    /// The rows of [`Verification`].
    pub verification: Vec<Row>,
    /// What was given and decides nothing.
    pub unused: Vec<Row>,
    /// Whether the resource is made of port and path.
    pub resource_follows: bool,
    /// Whether the audience is the resource.
    pub audience_follows: bool,
}

impl Settings {
    /// The name or address in the resource's URL: what `Host` says when a client used it.
    pub fn public_host(&self) -> String {
        let url = Url::parse(&self.resource).ok();
        url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned()
    }

    /// The same, once it is known which port was bound: a resource and an audience that nobody has set follow it.
    #[must_use]
    pub fn listening_on(mut self, port: u16) -> Self {
        self.port = port;
        if self.rows.resource_follows {
            let before = std::mem::replace(&mut self.resource, local(port, &self.path));
            // Some name the resource, as the end of a clause.
            for notice in &mut self.notices {
                *notice = notice.replace(&format!("{before};"), &format!("{};", self.resource));
            }
            if self.rows.audience_follows {
                self.audience.clone_from(&self.resource);
            }
        }
        self
    }
}

/// The resource at `path` of this machine: the published name is localhost, whatever is listened on.
pub(crate) fn local(port: u16, path: &str) -> String {
    // Of an origin, the spelling without a slash is the canonical one.
    format!("http://localhost:{port}{}", if path == "/" { "" } else { path })
}
