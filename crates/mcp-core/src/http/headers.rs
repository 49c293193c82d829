//! The headers that repeat the body (MCP 2026-07-28, *Streamable HTTP*, "Request Metadata").
//!
//! A gateway may route or permit by these headers while the server acts on the body. A request in which the two differ
//! is therefore refused, and so is one in which a header stands twice.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName};

use crate::{
    jsonrpc::{ErrorObject, Params, code},
    shown::shown,
};

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

fn mismatch(message: impl Into<String>) -> ErrorObject {
    ErrorObject::new(code::HEADER_MISMATCH, message)
}

/// What is wrong with a header that should be one line of text.
#[derive(Clone, Copy)]
pub(super) enum Flaw {
    Twice,
    NotText,
}

/// The value of a header that may stand only once.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Flaw> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Flaw::NotText),
        _ => Err(Flaw::Twice),
    }
}

/// [`value`], trimmed, for the headers of MCP.
///
/// # Errors
/// [`code::HEADER_MISMATCH`] when it stands twice or has characters outside visible ASCII.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ErrorObject> {
    match value(headers, name) {
        Ok(text) => Ok(text.map(|text| text.trim_matches([' ', '\t']))),
        Err(Flaw::NotText) => Err(mismatch(format!("the header {name} has characters outside visible ASCII"))),
        Err(Flaw::Twice) => Err(mismatch(format!("the header {name} is given twice"))),
    }
}

/// # Errors
/// [`code::HEADER_MISMATCH`] when the header is missing or names another version than `_meta`.
pub(super) fn check_version(header: Option<&str>, in_meta: &str) -> Result<(), ErrorObject> {
    match header {
        Some(header) if header == in_meta => Ok(()),
        Some(header) => Err(mismatch(format!(
            "the header {PROTOCOL_VERSION} says {:?} and params._meta says {:?}",
            shown(header),
            shown(in_meta)
        ))),
        None => Err(missing(&PROTOCOL_VERSION, in_meta)),
    }
}

/// Compares `Mcp-Method` and `Mcp-Name` with the body. Legacy requests need neither (`required: false`), but one that
/// is there must still be true.
///
/// # Errors
/// [`code::HEADER_MISMATCH`], naming the header and both values.
pub(super) fn check_mirrored(
    headers: &HeaderMap,
    method: &str,
    params: &Params,
    required: bool,
) -> Result<(), ErrorObject> {
    match single(headers, &METHOD)? {
        Some(header) if header == method => {}
        Some(header) => return Err(differs(&METHOD, header, method)),
        None if required => return Err(missing(&METHOD, method)),
        None => {}
    }
    // A body without the name is refused by the method itself, in its own words.
    let in_body = match method {
        "tools/call" | "prompts/get" => params.name(),
        "resources/read" => params.uri.as_ref().and_then(serde_json::Value::as_str),
        _ => return Ok(()),
    };
    match (single(headers, &NAME)?, in_body) {
        (Some(header), in_body) => {
            let name = decoded(header)?;
            if Some(name.as_str()) != in_body {
                return Err(differs(&NAME, &name, in_body.unwrap_or_default()));
            }
        }
        (None, Some(in_body)) if required => {
            return Err(missing(&NAME, in_body));
        }
        (None, _) => {}
    }
    Ok(())
}

fn differs(name: &HeaderName, header: &str, body: &str) -> ErrorObject {
    mismatch(format!("the header {name} says {:?} and the body says {:?}", shown(header), shown(body)))
}

fn missing(name: &HeaderName, body: &str) -> ErrorObject {
    mismatch(format!("the header {name} is missing; it must say {:?}", shown(body)))
}

/// `=?base64?…?=` carries what a header cannot ("Value Encoding"); the markers are exact, anything else is literal.
fn decoded(value: &str) -> Result<String, ErrorObject> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.to_owned());
    };
    BASE64_STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| mismatch(format!("the header {NAME} is not base64 of UTF-8: {:?}", shown(encoded))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_names() {
        assert_eq!(decoded("=?base64?SGVsbG8sIOS4lueVjA==?=").unwrap(), "Hello, 世界");
        assert_eq!(decoded("=?base64??=").unwrap(), "");
        // Not the sentinel: literal.
        for literal in ["echo", "=?BASE64?ZWNobw==?=", "=?base64?ZWNobw==", "=?base64?="] {
            assert_eq!(decoded(literal).unwrap(), literal);
        }
        // The sentinel around something that is not base64 of UTF-8: refused.
        for broken in ["=?base64?ZWNobw?=", "=?base64?!!!!?=", "=?base64?/w==?=", "=?base64?ZWN obw==?="] {
            assert_eq!(decoded(broken).unwrap_err().code, code::HEADER_MISMATCH, "{broken}");
        }
    }
}
