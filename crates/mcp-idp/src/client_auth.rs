//! Who a client says it is (RFC 6749 §2.3.1).

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, prelude::BASE64_STANDARD};
use oauth_as::{ClientId, ErrorCode, ErrorResponse};
use url::form_urlencoded;

use crate::{form::Parameters, oauth_error::refused};

/// A client's id, and its secret if it sent one. Whether it is right is the state machine's to say.
pub(crate) struct ClientCredentials {
    pub(crate) id: ClientId,
    pub(crate) secret: Option<String>,
}

impl ClientCredentials {
    /// From `Authorization: Basic` or the form. Basic with the same `client_id` in the form is what Python's SDK sends;
    /// with another, or with a second secret, two readers would see two clients (RFC 6749 §2.3).
    pub(crate) fn of(headers: &HeaderMap, form: &Parameters) -> Result<Self, ErrorResponse> {
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        let mut basics = headers.get_all(AUTHORIZATION).iter();
        let Some(basic) = basics.next() else {
            let id = id.ok_or_else(|| refused(ErrorCode::InvalidClient, "there is no client_id"))?;
            return Ok(Self { id: ClientId::new(id), secret: secret.map(str::to_owned) });
        };
        let basic = basic.to_str().ok().filter(|_| basics.next().is_none()).and_then(decode);
        let (basic_id, basic_secret) =
            basic.ok_or_else(|| refused(ErrorCode::InvalidClient, "Authorization is not one of Basic"))?;
        if id.is_some_and(|id| id != basic_id) || secret.is_some() {
            return Err(refused(ErrorCode::InvalidRequest, "the client says twice who it is"));
        }
        // A public client has no secret, and some write that down as an empty one.
        Ok(Self { id: ClientId::new(basic_id), secret: Some(basic_secret).filter(|secret| !secret.is_empty()) })
    }
}

fn decode(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    // RFC 6749 §2.3.1: both are form-encoded first.
    let plain = |text: &str| {
        let mut pairs = form_urlencoded::parse(text.as_bytes());
        match (pairs.next(), pairs.next()) {
            (None, _) => Some(String::new()),
            // Encoded, neither `=` nor `&` is left in it.
            (Some((name, value)), None) if value.is_empty() => Some(name.into_owned()),
            _ => None,
        }
    };
    let (id, secret) = (plain(id)?, plain(secret).unwrap_or_else(|| secret.to_owned()));
    (!id.is_empty()).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(basic: Option<&str>, form: &str) -> Result<(String, Option<String>), ErrorCode> {
        let mut headers = HeaderMap::new();
        if let Some(basic) = basic {
            let value = format!("Basic {}", BASE64_STANDARD.encode(basic));
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        }
        let found = ClientCredentials::of(&headers, &Parameters::parse(form.as_bytes()).unwrap());
        found.map(|found| (found.id.as_str().to_owned(), found.secret)).map_err(|error| error.error)
    }

    #[test]
    fn each_way_alone_and_the_two_that_agree() {
        let secret = |text: &str| Some(text.to_owned());
        assert_eq!(of(None, "client_id=a"), Ok(("a".into(), None)));
        assert_eq!(of(None, "client_id=a&client_secret=s"), Ok(("a".into(), secret("s"))));
        assert_eq!(of(Some("a:s"), ""), Ok(("a".into(), secret("s"))));
        assert_eq!(of(Some("a:s"), "client_id=a"), Ok(("a".into(), secret("s"))));
        assert_eq!(of(Some("a:"), "client_id=a"), Ok(("a".into(), None)));
        assert_eq!(of(Some("https%3A%2F%2Fa:p%26%20s"), ""), Ok(("https://a".into(), secret("p& s"))));
        assert_eq!(of(Some("a:not=encoded"), ""), Ok(("a".into(), secret("not=encoded"))));
    }

    #[test]
    fn refused() {
        assert_eq!(of(None, ""), Err(ErrorCode::InvalidClient));
        assert_eq!(of(Some("a:s"), "client_id=b"), Err(ErrorCode::InvalidRequest));
        assert_eq!(of(Some("a:s"), "client_id=a&client_secret=s"), Err(ErrorCode::InvalidRequest));
        assert_eq!(of(Some(":s"), ""), Err(ErrorCode::InvalidClient));
        assert_eq!(of(Some("no colon"), ""), Err(ErrorCode::InvalidClient));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert!(ClientCredentials::of(&headers, &Parameters::parse(b"client_id=a").unwrap()).is_err());
    }
}
