//! What a method answers, and how each era wants it written.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json, value::RawValue};

use crate::{
    Content,
    authorize::Refusal,
    jsonrpc::{ErrorObject, Id},
    prompt::PromptMessage,
    protocol::{Era, Revision, SERVER_INFO},
    tool::CallResult,
};

/// The tools and prompts of a running server do not change; a minute lets clients notice a new release soon.
const TTL_MS: u32 = 60_000;

/// A result before it is written.
#[derive(Debug)]
pub(crate) enum Answer {
    Empty,
    Initialize { revision: Revision, capabilities: Value, instructions: Option<String> },
    Discover { capabilities: Value, instructions: Option<String>, scope: CacheScope },
    List { member: &'static str, items: Box<RawValue>, scope: CacheScope },
    Call(CallResult),
    Prompt { description: &'static str, messages: Vec<PromptMessage> },
}

/// Who may share a cached list (MCP 2026-07-28, *Caching*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CacheScope {
    /// It is the same for every caller.
    Public,
    /// It depends on what the caller may do.
    Private,
}

/// Why there is no [`Answer`]. Which HTTP status each one becomes is decided in [`crate::http`] alone.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request breaks the protocol itself.
    Protocol(ErrorObject),
    /// No such method in this era.
    UnknownMethod(ErrorObject),
    /// The method refused its parameters, or the server failed.
    Method(ErrorObject),
    /// The authorize hook said no.
    Refused(Refusal),
}

/// Everything a response needs besides the answer.
#[derive(Clone, Copy)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: &'a Id,
    pub(crate) era: Era,
    pub(crate) server_info: &'a RawValue,
}

impl Answer {
    /// The whole response as JSON.
    pub(crate) fn to_response(&self, envelope: Envelope<'_>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Response<'a> {
            jsonrpc: &'static str,
            id: &'a Id,
            result: Shaped<'a>,
        }
        let response = Response { jsonrpc: "2.0", id: envelope.id, result: Shaped { answer: self, envelope } };
        // Room for a short answer, which most are, in one allocation.
        let mut body = Vec::with_capacity(512);
        serde_json::to_writer(&mut body, &response).expect("string keys and finite numbers");
        body
    }
}

/// An answer with the members its era adds: modern results carry `resultType`, the server's identity and, where the
/// specification wants them, caching hints.
struct Shaped<'a> {
    answer: &'a Answer,
    envelope: Envelope<'a>,
}

impl Serialize for Shaped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let modern = self.envelope.era == Era::Modern;
        let mut map = serializer.serialize_map(None)?;
        if modern {
            map.serialize_entry("resultType", "complete")?;
        }
        let mut cache = None;
        match self.answer {
            Answer::Empty => {}
            Answer::Initialize { revision, capabilities, instructions } => {
                map.serialize_entry("protocolVersion", revision.as_str())?;
                map.serialize_entry("capabilities", capabilities)?;
                map.serialize_entry("serverInfo", self.envelope.server_info)?;
                if let Some(text) = instructions {
                    map.serialize_entry("instructions", text)?;
                }
            }
            Answer::Discover { capabilities, instructions, scope } => {
                map.serialize_entry("supportedVersions", &Revision::modern_names())?;
                map.serialize_entry("capabilities", capabilities)?;
                if let Some(text) = instructions {
                    map.serialize_entry("instructions", text)?;
                }
                cache = Some(*scope);
            }
            Answer::List { member, items, scope } => {
                map.serialize_entry(member, items)?;
                cache = Some(*scope);
            }
            Answer::Call(CallResult { content, structured, is_error }) => {
                map.serialize_entry::<str, Vec<Content>>("content", content)?;
                if let Some(value) = structured {
                    map.serialize_entry("structuredContent", value)?;
                }
                map.serialize_entry("isError", is_error)?;
            }
            Answer::Prompt { description, messages } => {
                map.serialize_entry("description", description)?;
                map.serialize_entry("messages", messages)?;
            }
        }
        if modern {
            if let Some(scope) = cache {
                map.serialize_entry("ttlMs", &TTL_MS)?;
                map.serialize_entry("cacheScope", &scope)?;
            }
            map.serialize_entry("_meta", &Meta(self.envelope.server_info))?;
        }
        map.end()
    }
}

struct Meta<'a>(&'a RawValue);

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(SERVER_INFO, self.0)?;
        map.end()
    }
}

/// `tools` and `prompts` are declared when there are any; neither list changes while the server runs.
pub(super) fn capabilities(tools: bool, prompts: bool) -> Value {
    let mut capabilities = json!({});
    for (name, present) in [("tools", tools), ("prompts", prompts)] {
        if present {
            capabilities[name] = json!({});
        }
    }
    capabilities
}
