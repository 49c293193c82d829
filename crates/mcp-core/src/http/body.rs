//! Reading the body once, within a size and a time.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

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
    let mut collecting = pin!(Limited::new(body, limit).collect());
    let collected = match at_once(collecting.as_mut()).await {
        Some(collected) => collected,
        None => Box::pin(tokio::time::timeout(timeout, collecting)).await.map_err(|_| {
            let message = format!("the body did not arrive within {} seconds", timeout.as_secs_f32());
            Whole::refusal(StatusCode::REQUEST_TIMEOUT, message)
        })?,
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Whole::refusal(StatusCode::BAD_REQUEST, "the body broke off or is not framed as HTTP")),
    }
}

/// The output of `future` if it is there by the second poll. hyper hands a body over only after it was asked once, so a
/// body that came along with its head is complete then, and needs no timer: starting and stopping one for each request
/// is a tenth of what an answer costs.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut asked = false;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}
