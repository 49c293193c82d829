//! Who a client says it is (RFC 6749 §2.3.1).

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, prelude::BASE64_STANDARD};
use oauth_as::{ClientId, ErrorCode, ErrorResponse};
use url::form_urlencoded;

use crate::{form::Parameters, oauth_error::refused};

/// No client's id is longer, in bytes: the longest are URLs, and each refusal is logged with it.
const MAX_ID: usize = 2048;

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
        if id.is_some_and(|id| id.len() > MAX_ID) {
            return Err(refused(ErrorCode::InvalidClient, "the client_id is too long"));
        }
        let mut basics = headers.get_all(AUTHORIZATION).iter();
        let Some(basic) = basics.next() else {
            let id = id.ok_or_else(|| refused(ErrorCode::InvalidClient, "there is no client_id"))?;
            return Ok(Self { id: ClientId::new(id), secret: secret.map(str::to_owned) });
        };
        let basic = basic.to_str().ok().filter(|_| basics.next().is_none()).and_then(decode);
        let (basic_id, basic_secret) = basic
            .filter(|(id, _)| id.len() <= MAX_ID)
            .ok_or_else(|| refused(ErrorCode::InvalidClient, "Authorization is not one of Basic"))?;
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
    (!id.is_empty()).then(|| (plain(id), plain(secret)))
}

/// RFC 6749 §2.3.1 has both form-encoded first, and neither curl nor the TypeScript SDK does it. What has something that
/// encoding would have taken away, or nothing that it would have brought, is as it is meant.
fn plain(text: &str) -> String {
    if !text.contains('%') || text.contains(['=', '&', ' ']) {
        return text.to_owned();
    }
    form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned())
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
        for unencoded in ["not=encoded", "abc=", "a+b/c==", "a+b", "100%=x", "a&b"] {
            assert_eq!(of(Some(&format!("a:{unencoded}")), ""), Ok(("a".into(), secret(unencoded))));
        }
    }

    #[test]
    fn refused() {
        assert_eq!(of(None, ""), Err(ErrorCode::InvalidClient));
        assert_eq!(of(None, &format!("client_id={}", "x".repeat(MAX_ID + 1))), Err(ErrorCode::InvalidClient));
        assert_eq!(of(Some(&format!("{}:s", "x".repeat(MAX_ID + 1))), ""), Err(ErrorCode::InvalidClient));
        assert_eq!(of(Some("a:s"), "client_id=b"), Err(ErrorCode::InvalidRequest));
        assert_eq!(of(Some("a:s"), "client_id=a&client_secret=s"), Err(ErrorCode::InvalidRequest));
        assert_eq!(of(Some(":s"), ""), Err(ErrorCode::InvalidClient));
        assert_eq!(of(Some("no colon"), ""), Err(ErrorCode::InvalidClient));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert!(ClientCredentials::of(&headers, &Parameters::parse(b"client_id=a").unwrap()).is_err());
    }
}
