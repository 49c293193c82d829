//! Media types: what a request brings, and what it takes back.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
};
use mediatype::{MediaType, MediaTypeList, ReadParams, names};

use super::Whole;

/// A body must be JSON, uncompressed. Insisting on the media type is also what makes a browser ask (a CORS preflight)
/// before another site's page may post here: `text/plain` and forms it sends unasked.
///
/// # Errors
/// 415, with what is accepted.
pub(super) fn check_content(headers: &HeaderMap) -> Result<(), Whole> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let message = "the body must not be compressed; leave Content-Encoding out";
        return Err(Whole::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
            // RFC 9110 §15.5.16: how a client learns that the encoding was the problem.
            .with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(value), None) if is_json(value) => Ok(()),
        _ => Err(Whole::refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send one JSON-RPC message as Content-Type: application/json",
        )),
    }
}

fn is_json(value: &HeaderValue) -> bool {
    if value == "application/json" {
        return true;
    }
    let Some(media) = value.to_str().ok().and_then(|text| MediaType::parse(text).ok()) else { return false };
    let utf8 = media.get_param(names::CHARSET).is_none_or(|set| set.unquoted_str().eq_ignore_ascii_case("utf-8"));
    media.ty == names::APPLICATION && media.subty == names::JSON && media.suffix.is_none() && utf8
}

/// What a request takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepts {
    pub(super) json: bool,
    pub(super) sse: bool,
}

impl Accepts {
    const BOTH: Self = Self { json: true, sse: true };

    /// Without `Accept` anything is welcome (RFC 9110 §12.5.1): whoever types curl should not need it.
    ///
    /// # Errors
    /// 406 when it takes neither.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Whole> {
        let mut values = headers.get_all(ACCEPT).iter().peekable();
        match values.peek().map(|value| value.as_bytes()) {
            // What curl, the TypeScript and the Python SDK, and rmcp send.
            None | Some(b"*/*" | b"application/json, text/event-stream" | b"text/event-stream, application/json") => {
                return Ok(Self::BOTH);
            }
            _ => {}
        }
        let ranges: Vec<MediaType<'_>> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| MediaTypeList::new(value).filter_map(Result::ok))
            .collect();
        let accepts = |ty: mediatype::Name<'_>, subty: mediatype::Name<'_>| {
            // The most specific range that matches decides.
            let specificity = |range: &&MediaType<'_>| match (range.ty == ty, range.subty == subty) {
                (true, true) => 2,
                (true, false) => 1,
                _ => 0,
            };
            let star = names::_STAR;
            ranges
                .iter()
                .filter(|range| {
                    (range.ty == ty && (range.subty == subty || range.subty == star))
                        || (range.ty == star && range.subty == star)
                })
                .max_by_key(specificity)
                .is_some_and(|range| quality(range) > 0.0)
        };
        let accepted =
            Self { json: accepts(names::APPLICATION, names::JSON), sse: accepts(names::TEXT, names::EVENT_STREAM) };
        if accepted.json || accepted.sse {
            Ok(accepted)
        } else {
            let message = "answers are application/json or text/event-stream; accept at least one of them";
            Err(Whole::refusal(StatusCode::NOT_ACCEPTABLE, message))
        }
    }
}

fn quality(range: &MediaType<'_>) -> f32 {
    range.get_param(names::Q).map_or(1.0, |q| q.unquoted_str().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_plain_json_comes_in() {
        for (value, accepted) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            (r#"application/json;charset="utf-8""#, true),
            ("application/json; charset=latin1", false),
            ("application/json-seq", false),
            ("application/problem+json", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(check_content(&with(CONTENT_TYPE, value)).is_ok(), accepted, "{value}");
        }
        assert!(check_content(&HeaderMap::new()).is_err());
    }

    #[test]
    fn accept_is_parsed_not_compared() {
        let json = Some((true, false));
        let sse = Some((false, true));
        let both = Some((true, true));
        for (value, expected) in [
            ("text/event-stream,application/json", both),
            ("application/json", json),
            ("text/event-stream", sse),
            ("application/*", json),
            ("*/*;q=0.1", both),
            ("application/json;q=0, */*", sse),
            ("text/html, application/json;q=0.9", json),
            ("text/html", None),
            ("application/json;q=0", None),
            ("nonsense", None),
        ] {
            let accepts = Accepts::of(&with(ACCEPT, value)).ok().map(|accepts| (accepts.json, accepts.sse));
            assert_eq!(accepts, expected, "{value}");
        }
        assert_eq!(Accepts::of(&HeaderMap::new()).ok(), Some(Accepts::BOTH));
    }
}
