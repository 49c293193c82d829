//! The question the server asks before it does anything: may this caller?
//!
//! The hook sees the request's extensions (where a guard has left what it verified) and the operation as it was
//! parsed, never the raw body. It is asked once about the operation itself, and once per entry of a list.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::jsonrpc::ErrorObject;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// `initialize`.
    Initialize,
    /// `ping`.
    Ping,
    /// `server/discover`.
    Discover,
    /// A notification; it is acknowledged and has no effect.
    Notify {
        /// Its method.
        method: &'a str,
    },
    /// `tools/list`, the call as a whole.
    ListTools,
    /// One entry of `tools/list`: refused means left out.
    ShowTool {
        /// The tool.
        name: &'a str,
    },
    /// `tools/call`. Asked before it is known whether the tool exists.
    CallTool {
        /// The tool.
        name: &'a str,
    },
    /// `prompts/list`, the call as a whole.
    ListPrompts,
    /// One entry of `prompts/list`: refused means left out.
    ShowPrompt {
        /// The prompt.
        name: &'a str,
    },
    /// `prompts/get`. Asked before it is known whether the prompt exists.
    GetPrompt {
        /// The prompt.
        name: &'a str,
    },
}

impl<'a> Operation<'a> {
    /// The method that asks for it.
    pub const fn method(&self) -> &'a str {
        match self {
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::Discover => "server/discover",
            Self::Notify { method } => method,
            Self::ListTools | Self::ShowTool { .. } => "tools/list",
            Self::CallTool { .. } => "tools/call",
            Self::ListPrompts | Self::ShowPrompt { .. } => "prompts/list",
            Self::GetPrompt { .. } => "prompts/get",
        }
    }

    /// The tool or prompt that it is about; of a list, the entry.
    pub const fn name(&self) -> Option<&'a str> {
        match self {
            Self::ShowTool { name }
            | Self::CallTool { name }
            | Self::ShowPrompt { name }
            | Self::GetPrompt { name } => Some(name),
            _ => None,
        }
    }
}

/// A refusal as the client will see it.
#[derive(Clone, Debug)]
pub struct Refusal(Box<RefusalParts>);

#[derive(Clone, Debug)]
pub(crate) struct RefusalParts {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) error: ErrorObject,
}

impl Refusal {
    /// A refusal with a status such as 403, and what its body says.
    pub fn new(status: StatusCode, error: ErrorObject) -> Self {
        Self(Box::new(RefusalParts { status, headers: HeaderMap::new(), error }))
    }

    /// The same refusal with a header such as `WWW-Authenticate`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    pub(crate) fn into_parts(self) -> RefusalParts {
        *self.0
    }
}

/// The hook. It decides from what is in memory; anything slower belongs in a layer before the endpoint.
pub(crate) type Authorize = dyn Fn(&Extensions, Operation<'_>) -> Result<(), Refusal> + Send + Sync;
