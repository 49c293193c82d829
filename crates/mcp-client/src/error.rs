//! What goes wrong, at which exchange, and what to do about it.

use std::{fmt, time::Duration};

use crate::{Scopes, observer::Step};

/// An error of the client: which exchange it was, and what was wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {fault}")]
pub struct Error {
    /// The exchange that failed.
    pub step: Step,
    /// What was wrong.
    pub fault: Fault,
}

impl Error {
    pub(crate) fn new(step: Step, fault: Fault) -> Self {
        Self { step, fault }
    }

    /// Whether a person, or somebody in their name, said no.
    pub fn is_denied(&self) -> bool {
        matches!(&self.fault, Fault::Denied { .. })
    }

    /// Whether the same may go well another time: nobody has said no.
    pub(crate) fn is_passing(&self) -> bool {
        match &self.fault {
            Fault::Unreachable(_) | Fault::NoAnswer(_) | Fault::Forbidden(_) | Fault::Here(_) => true,
            Fault::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Fault::OAuth { error, .. } => matches!(error.as_str(), "server_error" | "temporarily_unavailable"),
            _ => false,
        }
    }

    /// What to do about it, where that is not clear from the fault.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match &self.fault {
            Fault::Status { .. } | Fault::OAuth { .. } if self.step == Step::Refresh => {
                "try again later; to log in anew instead, say --no-cache"
            }
            Fault::Unreachable(_) => "is the server running, and is its address right?",
            Fault::Forbidden(Refused::Http) => {
                "ask its operator for an https URL; plain http is for this machine alone"
            }
            Fault::Forbidden(Refused::Address(_)) => {
                "if you trust this network and the server that sent you there, say --private-network"
            }
            Fault::Resource { .. } => {
                "use the URL that the server names, or have its operator name the one that people use"
            }
            Fault::Issuer { .. } => "the identity provider's operator has to make them equal, to the letter",
            Fault::NoPkce => "the authorization server has to offer and advertise PKCE with S256",
            Fault::NoRegistration => "register a client there and give its id with --client-id",
            Fault::Secret(_) => "give the secret that belongs to the client with --client-secret",
            Fault::SecretForAnybody => "name the authorization server that the client is of, with --issuer",
            Fault::ShowsAPage => "leave out --headless, so that a person can look at it",
            Fault::Deadline => "start again; if the page said that the client is unknown, with --no-cache",
            Fault::Mixed(_) => "do not log in there again before you know who sent this answer",
            Fault::StillRefused => "its log says why; often its audience is not the URL that was asked for",
            Fault::StillInsufficient { .. } => "the person's account may not have them; ask whoever manages it",
            _ => return None,
        })
    }
}

/// What was wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No connection, no answer, or one that broke off.
    #[error("{0}")]
    Unreachable(String),
    /// A connection, and then nothing.
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// It is not a URL that this client goes to.
    #[error("{0}")]
    Forbidden(Refused),
    /// An answer with another status than the exchange has.
    #[error("the server answered {status}{}", after(.said))]
    Status {
        /// Its status.
        status: u16,
        /// What else it said.
        said: String,
    },
    /// An answer that is too large, or nothing that can be read.
    #[error("{0}")]
    Unreadable(String),
    /// Nothing at any of the places where it may be.
    #[error("there is none at {}", .0.join(", nor at "))]
    Nowhere(Vec<String>),
    /// RFC 9728 §3.3.
    #[error("the metadata is for {named}, and you asked for {wanted} (RFC 9728 §3.3)")]
    Resource {
        /// In the document.
        named: String,
        /// What the document was looked up for.
        wanted: String,
    },
    /// RFC 8414 §3.3.
    #[error("the metadata is of issuer {named}, and was looked up for {wanted} (RFC 8414 §3.3)")]
    Issuer {
        /// In the document.
        named: String,
        /// What the document was looked up for.
        wanted: String,
    },
    /// SEP-2352.
    #[error("the server sends you to {named}, and the client that was given is of {pinned}")]
    OtherIssuer {
        /// In the server's metadata.
        named: String,
        /// The client's.
        pinned: String,
    },
    /// The server says nothing of S256.
    #[error("code_challenge_methods_supported does not list S256, so a stolen code could be used (RFC 7636 §4.2)")]
    NoPkce,
    /// No way to become a client there.
    #[error("this authorization server registers no clients and reads no metadata documents")]
    NoRegistration,
    /// The client's secret cannot be sent.
    #[error("{0}")]
    Secret(String),
    /// SEP-2352.
    #[error("a secret without the issuer that knows it would go to whichever the server names")]
    SecretForAnybody,
    /// `--headless`, and the server wants to show something.
    #[error("the authorization server shows a page, which only a person can answer")]
    ShowsAPage,
    /// Nobody came.
    #[error("nobody answered in time")]
    Deadline,
    /// RFC 6749 §4.1.2.1, with the two that mean that somebody said no.
    #[error("{}", .said.as_deref().map_or_else(|| error.clone(), |said| format!("{error}: {said}")))]
    Denied {
        /// `access_denied`.
        error: String,
        /// What the server adds.
        said: Option<String>,
    },
    /// RFC 6749 §4.1.2.1 and §5.2: what the authorization server says is wrong.
    #[error("the authorization server says {error}{}", after(.said.as_deref().unwrap_or_default()))]
    OAuth {
        /// The code.
        error: String,
        /// The description.
        said: Option<String>,
    },
    /// An authorization response that is not this request's, or not this server's.
    #[error("{0}")]
    Mixed(String),
    /// A new token is refused like the one before.
    #[error("the server refuses the token that was just issued for it")]
    StillRefused,
    /// Asking again for the same would end the same.
    #[error("{}; granted is {granted}", wants(.wanted))]
    StillInsufficient {
        /// By the server.
        wanted: Scopes,
        /// By the authorization server.
        granted: Scopes,
    },
    /// This machine: a port, a browser.
    #[error("{0}")]
    Here(String),
}

/// Why a URL is not gone to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// http, and not to this machine.
    #[error("it is plain http, where anybody on the way reads and writes along")]
    Http,
    /// Neither http nor https.
    #[error("it is no http or https URL")]
    Scheme,
    /// A user or a fragment.
    #[error("it has a user or a fragment, which can only mislead")]
    UserOrFragment,
    /// A form that a password would go into.
    #[error("its login page is of {0}, which is not the authorization server that was asked")]
    OtherOrigin(String),
    /// A name of this machine that leads elsewhere.
    #[error("its name is of this machine, and its address {0} is not")]
    NotThisMachine(String),
    /// SSRF.
    #[error("{0} is an address of this machine or a private network, and a server elsewhere names it")]
    Address(String),
}

fn wants(wanted: &Scopes) -> String {
    if wanted.is_empty() {
        "the server wants more scopes and does not say which".to_owned()
    } else {
        format!("the server wants {wanted}, which was asked for")
    }
}

struct Said<'a>(&'a str);

fn after(said: &str) -> Said<'_> {
    Said(said)
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}
