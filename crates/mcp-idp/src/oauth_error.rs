//! Errors as RFC 6749 §5.2 writes them.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use oauth_as::{ErrorCode, ErrorResponse, StorageError};
use serde_json::json;

/// RFC 6749 §5.1: what is said here is for one client, once.
pub(crate) const NO_STORE: [(HeaderName, HeaderValue); 2] =
    [(CACHE_CONTROL, HeaderValue::from_static("no-store")), (PRAGMA, HeaderValue::from_static("no-cache"))];

/// A refusal for a client, in JSON.
#[derive(Debug)]
pub(crate) enum OAuthError {
    /// What the state machine, or one of our checks, says.
    Refused(Box<ErrorResponse>),
    /// RFC 6585 §4: not now.
    TooMany(Duration),
    /// An error of a registration (RFC 7591 §3.2.2).
    Registration { error: &'static str, description: String },
}

/// An error with a sentence.
pub(crate) fn refused(error: ErrorCode, description: impl Into<Cow<'static, str>>) -> ErrorResponse {
    ErrorResponse::new(error).with_description(description)
}

impl From<ErrorResponse> for OAuthError {
    fn from(error: ErrorResponse) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<StorageError> for OAuthError {
    fn from(error: StorageError) -> Self {
        tracing::error!(%error, "the store");
        ErrorResponse::new(ErrorCode::ServerError).into()
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => {
                let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
                let mut response = (status, NO_STORE, Json(&*error)).into_response();
                if error.error == ErrorCode::InvalidClient {
                    // RFC 6749 §5.2, RFC 9110 §11.6.1: a 401 names the scheme.
                    let basic = HeaderValue::from_static("Basic realm=\"token endpoint\"");
                    response.headers_mut().insert(WWW_AUTHENTICATE, basic);
                }
                response
            }
            Self::TooMany(after) => too_many(after),
            Self::Registration { error, description } => {
                let body = json!({ "error": error, "error_description": description });
                (StatusCode::BAD_REQUEST, NO_STORE, Json(body)).into_response()
            }
        }
    }
}

fn too_many(after: Duration) -> Response {
    let body = json!({
        "error": "temporarily_unavailable",
        "error_description": format!("too many requests from this address; try again in {} s", after.as_secs()),
    });
    let after = [(RETRY_AFTER, HeaderValue::from(after.as_secs()))];
    (StatusCode::TOO_MANY_REQUESTS, after, NO_STORE, Json(body)).into_response()
}
