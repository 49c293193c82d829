use std::fmt;

use crate::{
    shown::shown,
    strict::{Kind, Message},
};

/// What a request asks for, as a [`Policy`](super::Policy) sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// `initialize`.
    Initialize,
    /// `ping`.
    Ping,
    /// `server/discover`.
    Discover,
    /// A notification.
    Notify {
        /// Its method.
        method: &'a str,
    },
    /// A response to a request of the server's.
    Respond,
    /// `tools/list`, the call as a whole.
    ListTools,
    /// One entry of `tools/list`: denied means left out.
    ShowTool {
        /// The tool.
        name: &'a str,
    },
    /// `tools/call`.
    CallTool {
        /// The tool, whether it exists or not.
        name: &'a str,
    },
    /// `prompts/list`, the call as a whole.
    ListPrompts,
    /// One entry of `prompts/list`: denied means left out.
    ShowPrompt {
        /// The prompt.
        name: &'a str,
    },
    /// `prompts/get`.
    GetPrompt {
        /// The prompt, whether it exists or not.
        name: &'a str,
    },
    /// Any other method, and a call that does not name what it calls.
    Other {
        /// The method.
        method: &'a str,
    },
}

impl<'a> Operation<'a> {
    /// A method, and the tool or prompt that it is about. A list with a name is about one of its entries.
    pub fn new(method: &'a str, name: Option<&'a str>) -> Self {
        match (method, name) {
            ("initialize", _) => Self::Initialize,
            ("ping", _) => Self::Ping,
            ("server/discover", _) => Self::Discover,
            ("tools/list", None) => Self::ListTools,
            ("tools/list", Some(name)) => Self::ShowTool { name },
            ("tools/call", Some(name)) => Self::CallTool { name },
            ("prompts/list", None) => Self::ListPrompts,
            ("prompts/list", Some(name)) => Self::ShowPrompt { name },
            ("prompts/get", Some(name)) => Self::GetPrompt { name },
            (method, _) if method.starts_with("notifications/") => Self::Notify { method },
            (method, _) => Self::Other { method },
        }
    }

    /// What a message asks for that the [strict layer](crate::strict) has read.
    pub fn of(message: &'a Message) -> Self {
        let method = message.method().unwrap_or_default();
        match message.kind() {
            Kind::Response => Self::Respond,
            Kind::Notification => Self::Notify { method },
            Kind::Request => match Self::new(method, message.name()) {
                // It wants an answer, whatever it calls itself.
                Self::Notify { method } => Self::Other { method },
                operation => operation,
            },
        }
    }

    /// Its method; a response has none.
    pub const fn method(&self) -> Option<&'a str> {
        Some(match self {
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::Discover => "server/discover",
            Self::ListTools | Self::ShowTool { .. } => "tools/list",
            Self::CallTool { .. } => "tools/call",
            Self::ListPrompts | Self::ShowPrompt { .. } => "prompts/list",
            Self::GetPrompt { .. } => "prompts/get",
            Self::Notify { method } | Self::Other { method } => method,
            Self::Respond => return None,
        })
    }

    /// The tool or prompt that it is about.
    pub const fn name(&self) -> Option<&'a str> {
        match self {
            Self::ShowTool { name }
            | Self::CallTool { name }
            | Self::ShowPrompt { name }
            | Self::GetPrompt { name } => Some(name),
            _ => None,
        }
    }

    /// The tool that it is about.
    pub(super) const fn tool(&self) -> Option<&'a str> {
        match self {
            Self::ShowTool { name } | Self::CallTool { name } => Some(name),
            _ => None,
        }
    }

    /// Whether it only asks what belongs in a list.
    pub(super) const fn is_for_a_list(&self) -> bool {
        matches!(self, Self::ShowTool { .. } | Self::ShowPrompt { .. })
    }

    /// The same without a word that came from the client.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Initialize => "initializing",
            Self::Ping => "pinging",
            Self::Discover => "discovering",
            Self::Notify { .. } => "notifying",
            Self::Respond => "responding",
            Self::ListTools => "listing tools",
            Self::ShowTool { .. } => "seeing this tool",
            Self::CallTool { .. } => "calling this tool",
            Self::ListPrompts => "listing prompts",
            Self::ShowPrompt { .. } => "seeing this prompt",
            Self::GetPrompt { .. } => "getting this prompt",
            Self::Other { .. } => "this method",
        }
    }
}

/// For a person. A client's words are quoted and cut.
impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowTool { name } => write!(f, "seeing the tool {}", shown(name)),
            Self::CallTool { name } => write!(f, "calling {}", shown(name)),
            Self::ShowPrompt { name } => write!(f, "seeing the prompt {}", shown(name)),
            Self::GetPrompt { name } => write!(f, "getting the prompt {}", shown(name)),
            Self::Other { method } => write!(f, "the method {}", shown(method)),
            _ => f.write_str(self.kind()),
        }
    }
}
