//! One question and its answer.

use mediatype::MediaType;
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::{Shared, search::Endpoint};
use crate::{
    DiscoveryError,
    provider::{JSON, RequestError, body},
    strict_json,
};

/// What the issuer says of a token.
pub(super) enum Answer {
    Inactive,
    /// With these claims, none of which is checked yet.
    Active(Map<String, Value>),
}

/// Why it says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("its endpoint is not known yet")]
    NoEndpoint,
    #[error("{0}")]
    Discovery(#[from] DiscoveryError),
    #[error("its metadata has no introspection_endpoint: it introspects nothing")]
    NotOffered,
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("it refuses the client")]
    ClientRefused,
    /// What Keycloak says to a token whose header it cannot read, instead of that it is inactive.
    #[error("its status is 400, invalid_request")]
    InvalidRequest,
    #[error("its status is {0}, not 200")]
    Status(StatusCode),
    #[error("{0}")]
    Malformed(&'static str),
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.into())
    }
}

impl Fault {
    /// The endpoint may no longer be where it was: nobody answers there, or somebody who is not it.
    pub(super) const fn may_be_of_another_place(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Status(_) | Self::ClientRefused | Self::Malformed(_))
    }
}

impl Shared {
    /// What it takes is bounded by whoever asks.
    pub(super) async fn question(&self, endpoint: &Endpoint, token: &str) -> Result<Answer, Fault> {
        let how = self.authentication.unwrap_or(endpoint.authentication);
        let form = [("token", token), ("token_type_hint", "access_token")];
        let answer = self.client.send(self.http.post(&endpoint.url, JSON), how, &form).send().await?;
        let claims = object(answer).await?;
        // Strictly: nothing that merely looks true (RFC 7662 §2.2).
        let said = match claims.get("active") {
            Some(Value::Bool(true)) => Answer::Active(claims),
            Some(Value::Bool(false)) => Answer::Inactive,
            _ => return Err(Fault::Malformed("its answer has no member active that is true or false")),
        };
        *self.understood() = Some(endpoint.url.clone());
        Ok(said)
    }

    /// A fault, for the operator: who does what about it.
    pub(super) fn in_words(&self, fault: &Fault) -> String {
        match fault {
            Fault::ClientRefused => {
                format!("the client secret of {:?} is wrong, or there is no such client", self.client.id)
            }
            Fault::Discovery(_) | Fault::NoEndpoint | Fault::NotOffered => fault.to_string(),
            _ => format!("the introspection endpoint{}: {fault}", self.shown_endpoint()),
        }
    }

    fn shown_endpoint(&self) -> String {
        self.endpoint.borrow().endpoint().map_or_else(String::new, |endpoint| format!(" {}", endpoint.url))
    }
}

/// One JSON object, under its name (RFC 7662 §2.2; a signed answer, RFC 9701, was not asked for).
pub(super) async fn object(answer: Response) -> Result<Map<String, Value>, Fault> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(Fault::ClientRefused),
        StatusCode::BAD_REQUEST => {
            // RFC 6749 §5.2 leaves servers the choice of 400.
            let error = strict_json::object(&body(answer).await?).unwrap_or_default();
            return Err(match error.get("error").and_then(Value::as_str) {
                Some("invalid_client") => Fault::ClientRefused,
                Some("invalid_request") => Fault::InvalidRequest,
                _ => Fault::Status(StatusCode::BAD_REQUEST),
            });
        }
        status => return Err(Fault::Status(status)),
    }
    let named = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|text| {
        let media_type = MediaType::parse(text).ok()?;
        Some(media_type.essence() == MediaType::new(mediatype::names::APPLICATION, mediatype::names::JSON))
    });
    if named != Some(true) {
        return Err(Fault::Malformed("its answer is not application/json"));
    }
    strict_json::object(&body(answer).await?)
        .map_err(|_| Fault::Malformed("its answer is not one JSON object without repetition"))
}
