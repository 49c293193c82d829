//! The one stylesheet of the pages.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

/// The stylesheet.
pub(crate) const STYLE: &str = include_str!("../../templates/style.css");

/// Changes whenever the stylesheet does: part of its URL, so that a browser may keep it for ever.
pub(crate) fn style_hash() -> &'static str {
    static HASH: LazyLock<String> =
        LazyLock::new(|| BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, STYLE.as_bytes()).as_ref()[..9]));
    &HASH
}

/// Answers for the stylesheet's route.
pub(crate) fn style_response() -> Response {
    let head = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, STYLE).into_response()
}
