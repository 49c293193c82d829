use std::fmt;

use mcp_auth::keys::Algorithm;
use serde::Serialize;

use crate::{
    forge::Forge,
    report::named,
    requests,
    target::Target,
    tokens,
    wire::{MAX_PLAIN_VALUE, RawRequest},
};

/// What a row says of itself, whichever list it stands in.
pub trait Row {
    /// How a report begins.
    const CONTROL: &'static str;
    /// What is wrong when the server has not outlived the list.
    const FALLEN: &'static str;

    /// Its name for good.
    fn id(&self) -> &'static str;
    /// What it bends, as it is called in JSON.
    fn group(&self) -> String;
    /// What it means if it gets through.
    fn severity(&self) -> Severity;
    /// What is tried.
    fn title(&self) -> &'static str;
    /// The rule that says no.
    fn source(&self) -> &'static str;
    /// What there must be to try it.
    fn needs(&self) -> String;
}

impl Row for Attack {
    const CONTROL: &'static str = "a good token is answered";
    const FALLEN: &'static str = "the good token is not accepted any more";

    fn id(&self) -> &'static str {
        self.id
    }

    fn group(&self) -> String {
        named(&self.group)
    }

    fn severity(&self) -> Severity {
        self.severity
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn needs(&self) -> String {
        self.needs.to_string()
    }
}

/// One thing that is tried against a server, which must refuse it.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Names the row for good: what expectations, reports and exceptions are joined on.
    pub id: &'static str,
    /// What it bends.
    pub group: Group,
    /// What it means if it gets through.
    pub severity: Severity,
    /// What is tried, in plain English.
    pub title: &'static str,
    /// The rule that says no, or the hole it was.
    pub source: &'static str,
    /// What must be known to build it.
    pub needs: Needs,
    build: Build,
}

#[derive(Clone, Copy, Debug)]
enum Build {
    /// A token, presented the way tokens are.
    Token(fn(&Forge<'_>) -> Result<String, NotBuilt>),
    /// A whole request.
    Request(fn(&Forge<'_>) -> Result<RawRequest, NotBuilt>),
}

/// What an attack bends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// How the signature is made: `alg`.
    Algorithm,
    /// Whose key it is: `jwk`, `jku`, `x5u`, `x5c`, `kid`.
    Key,
    /// The other members of the header.
    Header,
    /// `exp`, `nbf`, `iat`.
    Time,
    /// `iss`.
    Issuer,
    /// `aud`.
    Audience,
    /// `sub`, the types of claims, and claims given twice.
    Claims,
    /// Tokens of the same issuer that are no access tokens.
    Kind,
    /// The token's bytes: signature, encoding, parts.
    Bytes,
    /// Where and how the token is presented.
    Credential,
    /// Requests that try to go round the guard.
    Request,
}

/// What it means if an attack gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody gets in without an access token that its issuer made for this server and that is good now. At an
    /// authorization server: somebody gets what is not his (a code, a token, a look at the network), or a page does what
    /// its reader did not mean.
    Breach,
    /// The token or the request is the real thing, in a form or a place that a specification forbids or no careful server
    /// puts up with: nobody gets in by this alone, but two programs that read such a thing may read it differently, and
    /// the next mistake finds a door open.
    Laxity,
}

/// What must be known to build an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Nothing but the URL.
    Nothing,
    /// A valid token.
    Token,
    /// A valid token that is a JWT, to take apart.
    Jwt,
    /// The public key that verifies tokens.
    PublicKey,
    /// The private key that signs tokens.
    SigningKey,
    /// A private key for that algorithm, among those that the server trusts.
    SigningKeyFor(Algorithm),
    /// Two private keys for one algorithm, both trusted.
    TwoKeys,
    /// A valid token, and a server that opens sessions.
    Session,
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Token => f.write_str("a valid token"),
            Self::Jwt => f.write_str("a valid token that is a JWT"),
            Self::PublicKey => f.write_str("the public key"),
            Self::SigningKey => f.write_str("a signing key"),
            Self::SigningKeyFor(algorithm) => write!(f, "a signing key for {algorithm}"),
            Self::TwoKeys => f.write_str("two signing keys for one algorithm"),
            Self::Session => f.write_str("a server that opens sessions"),
        }
    }
}

impl Serialize for Needs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why an attack cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBuilt {
    /// Something is not known.
    #[error("needs {0}")]
    Needs(Needs),
    /// The key does not sign.
    #[error("the key does not sign: {0}")]
    Signing(String),
}

impl Attack {
    /// The request that tries it.
    ///
    /// # Errors
    /// When something is missing that it [needs](Attack::needs).
    pub fn request(&self, target: &Target) -> Result<RawRequest, NotBuilt> {
        let forge = Forge::new(target, self.id);
        match self.build {
            Build::Token(token) => {
                let request = RawRequest::probe(target).bearer(&token(&forge)?);
                // A server may hang up on a header line as long as this.
                Ok(if request.longest_value() > MAX_PLAIN_VALUE { request.may_close() } else { request })
            }
            Build::Request(request) => request(&forge),
        }
    }

    /// The token it presents, if a token is all that is bent: for verifiers that stand behind no HTTP.
    ///
    /// # Errors
    /// When something is missing that it [needs](Attack::needs).
    pub fn token(&self, target: &Target) -> Result<Option<String>, NotBuilt> {
        match self.build {
            Build::Token(token) => token(&Forge::new(target, self.id)).map(Some),
            Build::Request(_) => Ok(None),
        }
    }
}

/// Every attack, group by group.
pub fn rows() -> Vec<Attack> {
    let mut rows = tokens::rows();
    rows.extend(requests::rows());
    rows
}

/// The rows of one group, each written as id, title, source, what it needs, how it is made.
pub(crate) struct Rows {
    group: Group,
    rows: Vec<Attack>,
}

type TokenBuilder = fn(&Forge<'_>) -> Result<String, NotBuilt>;
type RequestBuilder = fn(&Forge<'_>) -> Result<RawRequest, NotBuilt>;

/// What a row says of itself: id, title, source.
pub(crate) type Words = (&'static str, &'static str, &'static str);

impl Rows {
    pub(crate) const fn of(group: Group) -> Self {
        Self { group, rows: Vec::new() }
    }

    /// A token that would be a [`Severity::Breach`].
    pub(crate) fn breach(self, words: Words, needs: Needs, build: TokenBuilder) -> Self {
        self.row(Severity::Breach, words, needs, Build::Token(build))
    }

    /// A token that would be a [`Severity::Laxity`].
    pub(crate) fn lax(self, words: Words, needs: Needs, build: TokenBuilder) -> Self {
        self.row(Severity::Laxity, words, needs, Build::Token(build))
    }

    pub(crate) fn breach_request(self, words: Words, needs: Needs, build: RequestBuilder) -> Self {
        self.row(Severity::Breach, words, needs, Build::Request(build))
    }

    pub(crate) fn lax_request(self, words: Words, needs: Needs, build: RequestBuilder) -> Self {
        self.row(Severity::Laxity, words, needs, Build::Request(build))
    }

    fn row(mut self, severity: Severity, (id, title, source): Words, needs: Needs, build: Build) -> Self {
        self.rows.push(Attack { id, group: self.group, severity, title, source, needs, build });
        self
    }

    pub(crate) fn done(self) -> Vec<Attack> {
        self.rows
    }
}
