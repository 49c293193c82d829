//! Reading the body once, within a size and a time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Whole;

/// # Errors
/// 413 as soon as the declared or the received length exceeds `limit`, 408 after `timeout`, 400 when the body breaks
/// off.
pub(super) async fn read(body: Body, limit: usize, timeout: Duration) -> Result<Bytes, Whole> {
    let too_large = || {
        Whole::refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than the {limit} bytes accepted here"),
        )
    };
    let declared = http_body::Body::size_hint(&body).lower();
    if declared > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Whole::refusal(StatusCode::BAD_REQUEST, "the body broke off or is not framed as HTTP")),
        Err(_) => Err(Whole::refusal(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} seconds", timeout.as_secs_f32()),
        )),
    }
}
