//! The headers that repeat the body (MCP 2026-07-28, *Streamable HTTP*, "Request Metadata").

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName};

use super::{Message, refusal::Refusal};
use crate::shown::shown;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Each header of MCP stands once, `Mcp-Session-Id` and `Mcp-Param-…` among them: of two, whoever stands in front may
/// take the other one.
///
/// # Errors
/// -32020.
pub(super) fn check_single(headers: &HeaderMap) -> Result<(), Refusal> {
    // `keys` names each header once, however often it stands there.
    let twice =
        headers.keys().find(|name| name.as_str().starts_with("mcp-") && headers.get_all(*name).iter().count() > 1);
    match twice {
        Some(name) => {
            Err(Refusal::mismatch("a header is given twice").with_detail(format!(": {}", shown(name.as_str()))))
        }
        None => Ok(()),
    }
}

/// Whatever header is there must say what the body says.
///
/// # Errors
/// -32020, with both values.
pub(super) fn check(headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    check_single(headers)?;
    if let Some(header) = value(headers, &METHOD)? {
        agree(&METHOD, header, message.method())?;
    }
    if let Some(header) = value(headers, &NAME)? {
        let header = decoded(header)?;
        match message.subject() {
            Some(in_body) => agree(&NAME, &header, in_body)?,
            None if message.method().is_none() => agree(&NAME, &header, None)?,
            // A method of some extension; what its header repeats is for the extension to say.
            None => {}
        }
    }
    match (value(headers, &PROTOCOL_VERSION)?, message.protocol_version()) {
        (Some(header), Some(in_body)) => agree(&PROTOCOL_VERSION, header, in_body.as_str()),
        _ => Ok(()),
    }
}

/// The value without the whitespace around it (RFC 9110 §5.5). [`check_single`] has seen to it that there is one.
fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(|text| Some(text.trim_matches([' ', '\t']))).map_err(|_| {
        Refusal::mismatch("a header has characters outside visible ASCII").with_detail(format!(": {name}"))
    })
}

fn agree(name: &HeaderName, header: &str, in_body: Option<&str>) -> Result<(), Refusal> {
    if in_body == Some(header) {
        return Ok(());
    }
    let in_body = in_body.map_or_else(|| "nothing of the kind".to_owned(), shown);
    Err(Refusal::mismatch("a header contradicts the body")
        .with_detail(format!(": {name} says {}, the body says {in_body}", shown(header))))
}

/// `=?base64?…?=` carries what a header cannot ("Value Encoding"); the markers are exact, anything else is literal.
fn decoded(value: &str) -> Result<String, Refusal> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.to_owned());
    };
    BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Refusal::mismatch("the header mcp-name is not base64 of UTF-8").with_detail(format!(": {}", shown(encoded)))
    })
}
