//! [`Message`]: one JSON-RPC 2.0 message as MCP narrows it, with one reading.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, error::Category};

use super::refusal::Refusal;
use crate::{shown::shown, strict_json};

type Object = Map<String, Value>;

/// Where a request says for which revision of the protocol it is written (MCP 2026-07-28, *Overview*, "_meta").
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The message that a request carries: exactly what the service behind [`StrictJsonRpcLayer`] is given, and so exactly
/// what a policy should decide about. Cheap to clone.
///
/// [`StrictJsonRpcLayer`]: super::StrictJsonRpcLayer
#[derive(Clone, Debug, PartialEq)]
pub struct Message(Arc<Parsed>);

#[derive(Debug, PartialEq)]
struct Parsed {
    kind: Kind,
    envelope: Object,
}

/// What a message wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An answer.
    Request,
    /// Only to be heard.
    Notification,
    /// It answers a request of the server's, such as `elicitation/create` (before 2026-07-28).
    Response,
}

impl Message {
    /// Parses one HTTP body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let envelope = object(body)?;
        match check(&envelope) {
            Ok(kind) => Ok(Self(Arc::new(Parsed { kind, envelope }))),
            Err(refusal) => Err(refusal.with_id(id_to_echo(&envelope))),
        }
    }

    /// What an answer to it would carry.
    pub(super) fn id_to_echo(&self) -> Option<&Value> {
        id_to_echo(&self.0.envelope)
    }

    /// This message as the service gets it.
    pub(super) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(&self.0.envelope).expect("string keys and finite numbers").into()
    }

    /// What it wants.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Echoed in the answer to a request: a string or an integer between -2⁶³ and 2⁶⁴-1. A notification has none.
    pub fn id(&self) -> Option<&Value> {
        self.0.envelope.get("id")
    }

    /// What is to be done, such as `tools/call`. A response has none.
    pub fn method(&self) -> Option<&str> {
        self.0.envelope.get("method")?.as_str()
    }

    /// With what.
    pub fn params(&self) -> Option<&Map<String, Value>> {
        self.0.envelope.get("params")?.as_object()
    }

    /// Which tool or prompt, in `tools/call` and `prompts/get`.
    ///
    /// `None` also when the member is missing or no string. Whoever permits by name must refuse that.
    pub fn name(&self) -> Option<&str> {
        self.subject_named("name")
    }

    /// Which resource, in `resources/read`, `resources/subscribe` and `resources/unsubscribe`. `None` as with
    /// [`Message::name`].
    pub fn uri(&self) -> Option<&str> {
        self.subject_named("uri")
    }

    fn subject_named(&self, member: &str) -> Option<&str> {
        (subject(self.method()?)? == member).then(|| self.params()?.get(member)?.as_str())?
    }

    /// What `Mcp-Name` repeats: `Some(None)` if the method names a subject and the body does not.
    pub(super) fn subject(&self) -> Option<Option<&str>> {
        let member = subject(self.method()?)?;
        Some(self.params().and_then(|params| params.get(member)?.as_str()))
    }

    /// The revision that the message itself names.
    pub(super) fn protocol_version(&self) -> Option<&Value> {
        self.params()?.get("_meta")?.get(PROTOCOL_VERSION)
    }
}

/// The member of `params` that says what a method is about (MCP 2026-07-28, *Streamable HTTP*, "Request Metadata"; of
/// a task, the extension's own rule).
fn subject(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some("taskId"),
        _ => None,
    }
}

fn object(body: &[u8]) -> Result<Object, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::parse("the body is not UTF-8 (RFC 8259 §8.1)"))?;
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Err(Refusal::parse("the body is empty; send one JSON-RPC message"));
    }
    strict_json::object(text.as_bytes()).map_err(|error| match (error.classify(), text.as_bytes()[0]) {
        (Category::Data, b'[') => Refusal::invalid("batches are not part of MCP; send one message per request"),
        (Category::Data, b'{') => {
            Refusal::invalid("the body can be read in two ways").with_detail(format!(": {error}"))
        }
        (Category::Data, _) => Refusal::invalid("the body must be one JSON object"),
        _ => Refusal::parse("the body is not JSON").with_detail(format!(": {error}")),
    })
}

fn check(envelope: &Object) -> Result<Kind, Refusal> {
    let known = ["jsonrpc", "id", "method", "params", "result", "error"];
    if let Some(other) = envelope.keys().find(|name| !known.contains(&name.as_str())) {
        // `Method` among them: a parser that ignores case would execute it.
        let reason = "only jsonrpc, id, method, params, result and error belong in a message";
        return Err(Refusal::invalid(reason).with_detail(format!(", not {}", shown(other))));
    }
    if envelope.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(Refusal::invalid(r#"the member "jsonrpc" must be "2.0""#));
    }
    if envelope.get("id").is_some_and(|id| !is_id(id)) {
        return Err(Refusal::invalid(r#"the member "id" must be a string or an integer"#));
    }
    if envelope.values().any(private_to_serde_json) {
        return Err(Refusal::invalid("a member's name belongs to a JSON library and not into a message"));
    }
    match (envelope.get("method"), envelope.get("result"), envelope.get("error")) {
        (Some(Value::String(method)), None, None) if !method.is_empty() => call(envelope, method),
        (Some(_), None, None) => Err(Refusal::invalid(r#"the member "method" must be a string, and not empty"#)),
        (None, None, None) => Err(Refusal::invalid(r#"the member "method" is missing"#)),
        (None, result, error) => response(envelope, result, error),
        (Some(_), ..) => Err(Refusal::invalid("a message is a request or a response, not both")),
    }
}

fn call(envelope: &Object, method: &str) -> Result<Kind, Refusal> {
    match envelope.get("params") {
        None => {}
        Some(Value::Object(params)) => other_spellings(method, params)?,
        Some(_) => return Err(Refusal::invalid(r#"the member "params" must be an object"#)),
    }
    if envelope.contains_key("id") {
        Ok(Kind::Request)
    } else if method.split('/').any(|part| part == "notifications") {
        Ok(Kind::Notification)
    } else {
        // JSON-RPC would let a service execute it and say nothing. MCP has no such call.
        Err(Refusal::invalid(r#"this is a request and needs an "id"; only notifications go without one"#))
    }
}

fn response(envelope: &Object, result: Option<&Value>, error: Option<&Value>) -> Result<Kind, Refusal> {
    if !envelope.contains_key("id") {
        return Err(Refusal::invalid(r#"a response needs the "id" of its request"#));
    }
    if envelope.contains_key("params") {
        return Err(Refusal::invalid("a response has no params"));
    }
    match (result, error) {
        (Some(Value::Object(_)), None) => Ok(Kind::Response),
        (None, Some(error)) if error["code"].is_i64() && error["message"].is_string() => Ok(Kind::Response),
        (Some(_), Some(_)) => Err(Refusal::invalid("a response has a result or an error, not both")),
        (Some(_), None) => Err(Refusal::invalid(r#"the member "result" must be an object"#)),
        (None, _) => Err(Refusal::invalid(r#"the member "error" must have a code and a message"#)),
    }
}

/// Not that of a response: the client would take the refusal for an answer to a request of its own with the same id.
fn id_to_echo(envelope: &Object) -> Option<&Value> {
    let is_response = envelope.contains_key("result") || envelope.contains_key("error");
    envelope.get("id").filter(|id| !is_response && is_id(id))
}

/// Strings and integers (MCP 2026-07-28, *Overview*, "Requests").
fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_i64() || id.is_u64()
}

/// Refuses `Name` for `name`. Only what MCP itself names is looked at: what a tool calls its arguments, and an
/// extension its parameters, is its own affair.
fn other_spellings(method: &str, params: &Object) -> Result<(), Refusal> {
    let members = subject(method).into_iter().flat_map(|subject| [subject, "arguments"]);
    exactly(members.chain(["_meta"]), params)?;
    params.get("_meta").and_then(Value::as_object).map_or(Ok(()), |meta| exactly([PROTOCOL_VERSION], meta))
}

fn exactly(members: impl IntoIterator<Item = &'static str>, object: &Object) -> Result<(), Refusal> {
    for member in members {
        if let Some(other) = object.keys().find(|name| name.as_str() != member && same_but_for_case(name, member)) {
            return Err(Refusal::invalid("a member's name is spelled in another case")
                .with_detail(format!(": {} for {member:?}", shown(other))));
        }
    }
    Ok(())
}

/// As Go's `encoding/json` compares, which beyond ASCII knows two characters that fold into it.
fn same_but_for_case(name: &str, ascii: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(ascii.chars().map(|c| c.to_ascii_lowercase()))
}

/// serde_json's `Value`, built with `raw_value` or `arbitrary_precision`, takes an object with such a member for the
/// JSON text in it. Any service on serde_json would execute what is a mere string to everybody else.
fn private_to_serde_json(value: &Value) -> bool {
    match value {
        Value::Object(object) => object
            .iter()
            .any(|(name, value)| name.starts_with("$serde_json::private::") || private_to_serde_json(value)),
        Value::Array(items) => items.iter().any(private_to_serde_json),
        _ => false,
    }
}
