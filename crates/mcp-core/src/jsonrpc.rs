//! JSON-RPC 2.0 as MCP narrows it: one message per body, ids that are strings or integers, no batches.
//!
//! [`Message::parse`] is the only parser of a request in the server. What it returns is what the authorize hook is
//! asked about and what is executed, so the two cannot differ.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, error::Category};

use crate::shown::shown;

/// JSON-RPC and MCP error codes (MCP 2026-07-28, *Overview*, "Error Codes").
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The body is JSON but not one JSON-RPC message, or the HTTP request around it is wrong.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist here.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters are wrong: a missing member, an unknown tool or prompt.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server failed; the log has the reason.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// A mirrored HTTP header is missing, malformed, or contradicts the body.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The request needs a client capability that it did not declare.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// The protocol version is not served here.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

/// A request id: a string or an integer, never null (MCP 2026-07-28, *Overview*, "Requests").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// An integer between -2⁶³ and 2⁶⁴-1.
    Integer(Number),
    /// Any string.
    String(String),
}

impl Id {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(s) => Some(Self::String(s)),
            Value::Number(n) if n.is_i64() || n.is_u64() => Some(Self::Integer(n)),
            _ => None,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => n.fmt(f),
            Self::String(s) => s.fmt(f),
        }
    }
}

/// The `error` member of a response.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorObject {
    /// One of [`code`], or a code of the application outside -32768..-32000.
    pub code: i64,
    /// One sentence that the caller can act on.
    pub message: String,
    /// Details for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<Value>>,
}

impl ErrorObject {
    /// An error without `data`.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same error with `data`.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// This error as a whole response. Without an id the member is left out, not null
    /// (MCP 2026-07-28, *Overview*, "Error Responses").
    pub fn to_response(&self, id: Option<&Id>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Response<'a> {
            jsonrpc: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a Id>,
            error: &'a ErrorObject,
        }
        serde_json::to_vec(&Response { jsonrpc: "2.0", id, error: self }).expect("string keys and finite numbers")
    }
}

/// The `params` of a request: those members that some method here reads. The others are checked and dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// Which tool or prompt.
    pub name: Option<Value>,
    /// Which resource.
    pub uri: Option<Value>,
    /// With what arguments.
    pub arguments: Option<Value>,
    /// From where a list goes on.
    pub cursor: Option<Value>,
    /// What `initialize` asks for.
    pub protocol_version: Option<Value>,
    /// `_meta`.
    pub meta: Option<Value>,
}

impl Params {
    /// The tool or prompt that is asked for, if it is named by a string.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref()?.as_str()
    }
}

/// One JSON-RPC message from a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// Echoed in the answer.
        id: Id,
        /// What to do.
        method: String,
        /// With what; empty when the member is absent.
        params: Box<Params>,
    },
    /// Wants none.
    Notification {
        /// What happened.
        method: String,
        /// Of which only `_meta` says anything to this server.
        params: Box<Params>,
    },
}

/// Why a body is not a [`Message`], with the id if one could be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", error.message)]
pub struct ParseError {
    /// The id to echo.
    pub id: Option<Id>,
    /// What to answer.
    pub error: ErrorObject,
}

impl Message {
    /// Parses one HTTP body.
    ///
    /// # Errors
    /// [`code::PARSE_ERROR`] when it is not JSON in UTF-8 (RFC 8259 §8.1), nests deeper than 128 levels or holds a
    /// number beyond an IEEE 754 double; [`code::INVALID_REQUEST`] when it is JSON but not one JSON-RPC 2.0 request or
    /// notification, or when any object in it has the same member twice: whoever looked at the request before us may
    /// have read the other one (RFC 8259 §4 calls the outcome unpredictable).
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let text = text_of(body).map_err(|error| ParseError { id: None, error })?;
        let repeated = RefCell::new(None);
        let mut members = Members::default();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let outcome = Envelope { members: &mut members, repeated: &repeated }
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end());

        let id_given = members.id.is_some();
        let id = members.id.and_then(Id::from_value);
        let refuse = |code, message: String| ParseError { id: id.clone(), error: ErrorObject::new(code, message) };
        let invalid = |message: &str| refuse(code::INVALID_REQUEST, message.to_owned());
        if let Err(error) = outcome {
            return Err(match error.classify() {
                Category::Data if members.is_batch => {
                    invalid("batches are not part of MCP; send one message per request")
                }
                Category::Data if members.in_params => invalid(r#"the member "params" must be an object"#),
                Category::Data => invalid("the body must be one JSON object"),
                _ => refuse(code::PARSE_ERROR, format!("the body is not JSON: {error}")),
            });
        }
        if let Some(name) = repeated.into_inner() {
            // Of two ids, neither is the id.
            let id = id.filter(|_| name != "id");
            let why = if name.starts_with(PRIVATE) { "must not be used" } else { "is given twice" };
            let message = format!("the member {:?} {why}", shown(&name));
            return Err(ParseError { id, error: ErrorObject::new(code::INVALID_REQUEST, message) });
        }
        if members.jsonrpc.as_ref().and_then(Value::as_str) != Some("2.0") {
            return Err(invalid(r#"the member "jsonrpc" must be "2.0""#));
        }
        if id_given && id.is_none() {
            return Err(invalid(r#"the member "id" must be a string or an integer"#));
        }
        let method = match members.method {
            Some(Value::String(_)) if members.is_response => {
                return Err(invalid("a message is a request or a response, not both"));
            }
            Some(Value::String(method)) => method,
            Some(_) => return Err(invalid(r#"the member "method" must be a string"#)),
            None if members.is_response => {
                return Err(invalid("this server sends no requests, so there is nothing to respond to"));
            }
            None => return Err(invalid(r#"the member "method" is missing"#)),
        };
        match id {
            Some(id) => Ok(Self::Request { id, method, params: members.params.unwrap_or_default() }),
            None if method.starts_with("notifications/") => {
                Ok(Self::Notification { method, params: members.params.unwrap_or_default() })
            }
            None => Err(invalid(r#"this is a request and needs an "id"; only notifications/… go without one"#)),
        }
    }
}

/// serde_json reads a `&str` without checking its encoding again, so both encodings of "not text" are told apart here.
fn text_of(body: &[u8]) -> Result<&str, ErrorObject> {
    let refuse = |message: &str| Err(ErrorObject::new(code::PARSE_ERROR, message));
    match std::str::from_utf8(body) {
        Ok(text) if text.trim_ascii_start().is_empty() => refuse("the body is empty; send one JSON-RPC message"),
        Ok(text) if text.starts_with('\u{feff}') => {
            refuse("the body starts with a byte order mark; send plain UTF-8 (RFC 8259 §8.1)")
        }
        Ok(text) => Ok(text),
        Err(error) => {
            Err(ErrorObject::new(code::PARSE_ERROR, format!("the body is not UTF-8 from byte {}", error.valid_up_to())))
        }
    }
}

/// What has been read of the top-level object, kept outside the visitor so that an error further on still finds the id.
#[derive(Default)]
struct Members {
    jsonrpc: Option<Value>,
    id: Option<Value>,
    method: Option<Value>,
    params: Option<Box<Params>>,
    is_response: bool,
    is_batch: bool,
    /// Reading `params` has begun and not ended.
    in_params: bool,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum MemberName {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Other(String),
}

struct Envelope<'a> {
    members: &'a mut Members,
    repeated: &'a RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON-RPC object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.members.is_batch = true;
        Err(de::Error::custom("a batch"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut others = BTreeSet::new();
        while let Some(name) = map.next_key::<MemberName>()? {
            let (member, name) = match name {
                MemberName::Jsonrpc => (&mut self.members.jsonrpc, "jsonrpc"),
                MemberName::Id => (&mut self.members.id, "id"),
                MemberName::Method => (&mut self.members.method, "method"),
                MemberName::Params => {
                    self.members.in_params = true;
                    let params = map.next_value_seed(ParamsSeed(self.repeated))?;
                    self.members.in_params = false;
                    once(&mut self.members.params, "params", params, self.repeated);
                    continue;
                }
                MemberName::Result | MemberName::Error => {
                    self.members.is_response = true;
                    map.next_value_seed(Strict(self.repeated))?;
                    continue;
                }
                MemberName::Other(name) => {
                    map.next_value_seed(Strict(self.repeated))?;
                    new_name(&mut others, name, self.repeated);
                    continue;
                }
            };
            let value = map.next_value_seed(Strict(self.repeated))?;
            once(member, name, value, self.repeated);
        }
        Ok(())
    }
}

fn new_name(others: &mut BTreeSet<String>, name: String, repeated: &RefCell<Option<String>>) {
    if others.contains(&name) {
        repeated.borrow_mut().get_or_insert(name);
    } else {
        others.insert(name);
    }
}

fn once<T>(member: &mut Option<T>, name: &str, value: T, repeated: &RefCell<Option<String>>) {
    if member.replace(value).is_some() {
        repeated.borrow_mut().get_or_insert_with(|| name.to_owned());
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ParamName {
    Name,
    Uri,
    Arguments,
    Cursor,
    ProtocolVersion,
    #[serde(rename = "_meta")]
    Meta,
    Other(String),
}

#[derive(Clone, Copy)]
struct ParamsSeed<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for ParamsSeed<'_> {
    type Value = Box<Params>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<Params>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ParamsSeed<'_> {
    type Value = Box<Params>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Box<Params>, A::Error> {
        let mut params = Box::<Params>::default();
        let mut others = BTreeSet::new();
        while let Some(name) = map.next_key::<ParamName>()? {
            let value = map.next_value_seed(Strict(self.0))?;
            let (member, name) = match name {
                ParamName::Name => (&mut params.name, "name"),
                ParamName::Uri => (&mut params.uri, "uri"),
                ParamName::Arguments => (&mut params.arguments, "arguments"),
                ParamName::Cursor => (&mut params.cursor, "cursor"),
                ParamName::ProtocolVersion => (&mut params.protocol_version, "protocolVersion"),
                ParamName::Meta => (&mut params.meta, "_meta"),
                ParamName::Other(name) => {
                    new_name(&mut others, name, self.0);
                    continue;
                }
            };
            once(member, name, value, self.0);
        }
        Ok(params)
    }
}

/// How serde_json names to itself what it has already read. A tool whose input holds a [`Value`] would be given the JSON
/// in such a member's text, which no schema has seen.
const PRIVATE: &str = "$serde_json::private::";

/// A [`Value`] that notes the first member given twice, or one of [`PRIVATE`] name. It notes instead of failing, so that an id that comes later is
/// still read.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if object.contains_key(&name) || name.starts_with(PRIVATE) {
                self.0.borrow_mut().get_or_insert(name);
            } else {
                object.insert(name, value);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> (Option<Id>, i64, String) {
        let ParseError { id, error } = Message::parse(body.as_bytes()).unwrap_err();
        (id, error.code, error.message)
    }

    #[test]
    fn a_request_and_a_notification() {
        assert_eq!(
            Message::parse(br#" {"id":"a","jsonrpc":"2.0","method":"\u0070ing"} "#).unwrap(),
            Message::Request { id: Id::String("a".into()), method: "ping".into(), params: Box::default() }
        );
        assert_eq!(
            Message::parse(br#"{"jsonrpc":"2.0","method":"notifications/initialized","params":{}}"#).unwrap(),
            Message::Notification { method: "notifications/initialized".into(), params: Box::default() }
        );
    }

    #[test]
    fn integer_ids_come_back_as_they_were_written() {
        for id in ["0", "-9223372036854775808", "18446744073709551615"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let Message::Request { id: parsed, .. } = Message::parse(body.as_bytes()).unwrap() else { panic!() };
            assert_eq!(serde_json::to_string(&parsed).unwrap(), id);
        }
    }

    #[test]
    fn the_id_survives_an_error_after_it() {
        let (id, code, _) = refusal(r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"#);
        assert_eq!((id, code), (Some(Id::Integer(7.into())), code::PARSE_ERROR));
    }

    #[test]
    fn the_id_survives_a_repeated_member_before_it() {
        let (id, code, message) = refusal(r#"{"jsonrpc":"2.0","method":"x","params":{"a":{"b":1,"b":2}},"id":7}"#);
        assert_eq!((id, code), (Some(Id::Integer(7.into())), code::INVALID_REQUEST));
        assert!(message.contains(r#""b" is given twice"#), "{message}");
    }

    #[test]
    fn no_json_within_json() {
        let smuggled = r#"{"$serde_json::private::RawValue":"[1]"}"#;
        // What would come of it:
        let value = serde_json::from_str::<Value>(smuggled).unwrap();
        assert_eq!(value, serde_json::json!([1]));
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"x","arguments":{{"a":{smuggled}}}}}}}"#
        );
        let (id, code, message) = refusal(&body);
        assert_eq!((id, code), (Some(Id::Integer(7.into())), code::INVALID_REQUEST));
        assert!(message.contains("must not be used"), "{message}");
    }

    #[test]
    fn two_ids_are_no_id() {
        let (id, code, _) = refusal(r#"{"jsonrpc":"2.0","id":7,"method":"ping","id":8}"#);
        assert_eq!((id, code), (None, code::INVALID_REQUEST));
    }

    #[test]
    fn a_request_without_id_is_not_run_as_a_notification() {
        let (_, code, message) = refusal(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#);
        assert_eq!(code, code::INVALID_REQUEST);
        assert!(message.contains("needs an \"id\""), "{message}");
    }

    #[test]
    fn messages_name_no_rust_type() {
        for body in ["[]", "1", "\"x\"", "null", "{", "nul", "", "{}", r#"{"jsonrpc":"2.0","id":{},"method":1}"#] {
            let (_, _, message) = refusal(body);
            assert!(!message.contains("::") && !message.contains("struct"), "{message}");
        }
    }
}
