//! Reading the body: JSON, uncompressed, within a size and a time.

use std::pin::pin;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mediatype::{MediaType, ReadParams, names};

use super::{StrictJsonRpcLayer, refusal::Refusal};

/// A compressed body is one that the service could read where we cannot. Insisting on the media type is also what makes
/// a browser ask (a CORS preflight) before another site's page may post here.
///
/// # Errors
/// 415.
pub(super) fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let reason = "the body must not be compressed; leave Content-Encoding out";
        return Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(value), None) if is_json(value) => Ok(()),
        _ => {
            let reason = "send one JSON-RPC message with one Content-Type, application/json in UTF-8";
            Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason))
        }
    }
}

/// `application/json`, at most with one `charset=utf-8`: RFC 8259 §11 defines no parameter, but many clients send it.
fn is_json(value: &HeaderValue) -> bool {
    let Some(media) = value.to_str().ok().and_then(|text| MediaType::parse(text).ok()) else { return false };
    let mut params = media.params();
    let charset = params.next();
    media.ty == names::APPLICATION
        && media.subty == names::JSON
        && media.suffix.is_none()
        && charset
            .is_none_or(|(name, value)| name == names::CHARSET && value.unquoted_str().eq_ignore_ascii_case("utf-8"))
        && params.next().is_none()
}

/// # Errors
/// 413 as soon as the declared or the received length exceeds the limit, 408 after the time, 400 when the body breaks
/// off.
pub(super) async fn read<B>(body: B, settings: StrictJsonRpcLayer) -> Result<Bytes, Refusal>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let StrictJsonRpcLayer { body_limit, body_timeout } = settings;
    let too_large = || {
        Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            .with_detail(format!("; send at most {body_limit} bytes"))
    };
    if body.size_hint().lower() > body_limit as u64 {
        return Err(too_large());
    }
    let collecting = pin!(Limited::new(body, body_limit).collect());
    match tokio::time::timeout(body_timeout, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::parse("the body broke off or is not framed as HTTP")),
        Err(_) => Err(Refusal::http(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
            .with_detail(format!("; send it within {} seconds", body_timeout.as_secs_f32()))),
    }
}
