//! What a client is told when its request is not handed on.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_TYPE},
};
use http_body_util::Full;
use serde_json::{Value, json};

/// JSON-RPC and MCP error codes (MCP 2026-07-28, *Overview*, "Error Codes").
pub(super) mod code {
    pub(crate) const PARSE_ERROR: i64 = -32700;
    pub(crate) const INVALID_REQUEST: i64 = -32600;
    pub(crate) const HEADER_MISMATCH: i64 = -32020;
}

/// The answer instead of the service's.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{reason}{detail}")]
pub(super) struct Refusal {
    status: StatusCode,
    code: i64,
    /// Our words; these are logged.
    reason: &'static str,
    /// The client's, cut and quoted; those only go back to where they came from.
    detail: String,
    id: Option<Box<Value>>,
}

impl Refusal {
    fn new(status: StatusCode, code: i64, reason: &'static str) -> Self {
        Self { status, code, reason, detail: String::new(), id: None }
    }

    pub(super) fn http(status: StatusCode, reason: &'static str) -> Self {
        Self::new(status, code::INVALID_REQUEST, reason)
    }

    pub(super) fn parse(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::PARSE_ERROR, reason)
    }

    pub(super) fn invalid(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, reason)
    }

    pub(super) fn mismatch(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::HEADER_MISMATCH, reason)
    }

    pub(super) fn with_detail(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }

    pub(super) fn with_id(mut self, id: Option<&Value>) -> Self {
        self.id = id.cloned().map(Box::new);
        self
    }

    pub(super) fn log(&self) {
        tracing::info!(
            target: "mcp_auth::strict",
            status = self.status.as_u16(),
            code = self.code,
            reason = self.reason,
            "refused"
        );
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut body = json!({ "jsonrpc": "2.0", "error": { "code": self.code, "message": self.to_string() } });
        // Without an id the member is left out, not null (MCP 2026-07-28, *Overview*, "Error Responses").
        if let Some(id) = self.id {
            body["id"] = *id;
        }
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // RFC 9110 §15.5.16: how a client learns which encoding would have done.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response
    }
}
