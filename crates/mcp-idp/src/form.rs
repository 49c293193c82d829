//! The parameters of a request: a query, or a form (RFC 6749 §3.1, §3.2).

use std::borrow::Cow;

use axum::{
    body::{Body, to_bytes},
    extract::FromRequest,
    http::{Request, header::CONTENT_TYPE},
};
use oauth_as::{ErrorCode, ErrorResponse};
use url::form_urlencoded;

use crate::oauth_error::{OAuthError, refused};

/// No form is larger, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// More parameters than any request has.
const MAX_PARAMETERS: usize = 64;

/// Parameters by name. Each stands there once, except `resource` (RFC 8707 §2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// # Errors
    /// When one is repeated: two readers might take two of them (RFC 6749 §3.1).
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, ErrorResponse> {
        let mut all: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(encoded).map(|(n, v): (Cow<'_, str>, Cow<'_, str>)| (n, v)) {
            if all.len() == MAX_PARAMETERS {
                return Err(refused(ErrorCode::InvalidRequest, "there are too many parameters"));
            }
            if name != "resource" && all.iter().any(|(other, _)| *other == name) {
                let why = format!("the parameter {} is repeated", crate::shown(&name));
                return Err(refused(ErrorCode::InvalidRequest, why));
            }
            all.push((name.into_owned(), value.into_owned()));
        }
        // RFC 6749 §3.1: a parameter without a value is as if it were not there.
        all.retain(|(_, value)| !value.is_empty());
        Ok(Self(all))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<&str, ErrorResponse> {
        self.get(name).ok_or_else(|| refused(ErrorCode::InvalidRequest, format!("the parameter {name} is missing")))
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<S: Sync> FromRequest<S> for Parameters {
    type Rejection = OAuthError;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, OAuthError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let why = "send the parameters as application/x-www-form-urlencoded in the body";
            return Err(refused(ErrorCode::InvalidRequest, why).into());
        }
        // RFC 6749 §2.3.1: credentials, and whatever else a token is asked for with, are never in the URL: logs keep it.
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(refused(ErrorCode::InvalidRequest, "send the parameters in the body, not in the URL").into());
        }
        let body = to_bytes(request.into_body(), MAX_BODY).await;
        let body = body.map_err(|_| refused(ErrorCode::InvalidRequest, "the body is too large or broke off"))?;
        Ok(Self::parse(&body)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_each_but_for_resource() {
        let parameters = Parameters::parse(b"a=1&resource=x&resource=y&empty=&b=%20+").unwrap();
        assert_eq!((parameters.get("a"), parameters.get("b"), parameters.get("empty")), (Some("1"), Some("  "), None));
        assert_eq!(parameters.all("resource"), ["x", "y"]);
        assert!(Parameters::parse(b"a=1&a=1").is_err());
        assert!(Parameters::parse(b"scope=a&scope=").is_err(), "also if one is empty");
        let many: String = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1&")).collect();
        assert!(Parameters::parse(many.as_bytes()).is_err());
    }
}
