//! How a refusal looks: status, challenge, and a JSON-RPC error that a person can read.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use super::credential::InvalidRequest;
use crate::{Challenge, TokenError};

/// Whatever body the guarded service has, it can be made of these bytes.
pub(super) type Refusal = Response<Bytes>;

/// In seconds: how soon it is worth asking again when there are no keys yet, or the issuer does not answer. A provider is
/// tried again with pauses of 1 to 30 seconds.
const UNDECIDED_RETRY: HeaderValue = HeaderValue::from_static("5");
/// JSON-RPC 2.0: the request is not a valid one.
const INVALID_REQUEST: i32 = -32600;

/// Nothing was sent, so no `error` is told (RFC 6750 §3.1).
pub(super) fn no_token(challenge: &Challenge) -> Refusal {
    let message = "this server needs an access token; send it as Authorization: Bearer";
    answer(StatusCode::UNAUTHORIZED, 401, message, Some(challenge))
}

pub(super) fn invalid_request(challenge: &Challenge, InvalidRequest(why): InvalidRequest) -> Refusal {
    let challenge = with_error(challenge, "invalid_request", why);
    answer(StatusCode::BAD_REQUEST, INVALID_REQUEST, why, Some(&challenge))
}

pub(super) fn bad_token(challenge: &Challenge, error: &TokenError) -> Refusal {
    let why = error.description();
    if error.is_undecided() {
        // The token may be good: the client must keep it and come back, not log in again.
        let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, 503, why, None);
        response.headers_mut().insert(RETRY_AFTER, UNDECIDED_RETRY);
        return response;
    }
    let challenge = with_error(challenge, "invalid_token", why);
    answer(StatusCode::UNAUTHORIZED, 401, why, Some(&challenge))
}

fn with_error(challenge: &Challenge, code: &'static str, why: &str) -> Challenge {
    // Every description is a sentence of ours; were one ever not fit for a header, the challenge goes without it.
    challenge.clone().error(code, why).unwrap_or_else(|_| challenge.clone())
}

/// The code is the HTTP status where JSON-RPC has none for it: MCP leaves -32000 to -32099 to itself (2026-07-28,
/// *Error Codes*). There is no `id`, since the body was not read.
fn answer(status: StatusCode, code: i32, message: &str, challenge: Option<&Challenge>) -> Refusal {
    let body = json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message } });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge.to_header());
    }
    response
}
