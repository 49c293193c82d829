use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};
use tower_layer::Layer;
use tower_service::Service;

use super::{Denied, Operation, Policy};
use crate::{Principal, strict::Message};

/// JSON-RPC 2.0: the server's own fault.
const INTERNAL_ERROR: i64 = -32603;

/// Puts a [`Policy`] in front of an MCP service that is not ours.
///
/// It stands behind the [`Guard`](crate::Guard), which says who asks, and behind the [strict layer](crate::strict),
/// which says what is asked for; without both it answers 500. It cannot look into answers: lists come whole, with tools
/// that a call would be denied. A request by any other method than POST passes, since the strict layer leaves it no
/// message.
#[derive(Clone, Debug)]
pub struct PolicyLayer(Policy);

impl PolicyLayer {
    /// The layer that asks this policy.
    pub const fn new(policy: Policy) -> Self {
        Self(policy)
    }
}

impl<S> Layer<S> for PolicyLayer {
    type Service = Enforced<S>;

    fn layer(&self, inner: S) -> Enforced<S> {
        Enforced { inner, policy: self.0.clone() }
    }
}

/// A service behind a [`PolicyLayer`].
#[derive(Clone, Debug)]
pub struct Enforced<S> {
    inner: S,
    policy: Policy,
}

impl<S, B, R> Service<Request<B>> for Enforced<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<R>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.policy.refusal(&request) {
            None => Either::Left(self.inner.call(request)),
            Some(refusal) => Either::Right(ready(Ok(refusal.map(R::from)))),
        }
    }
}

impl Policy {
    fn refusal<B>(&self, request: &Request<B>) -> Option<Box<Response<Bytes>>> {
        let (who, what) = (request.extensions().get::<Principal>(), request.extensions().get::<Message>());
        match (who, what) {
            (Some(principal), Some(message)) => {
                let denied = self.decide(principal, Operation::of(message)).err()?;
                Some(Box::new(forbidden(&denied, message)))
            }
            (Some(_), None) if request.method() != Method::POST => None,
            _ => {
                tracing::error!("a policy needs the guard and the strict layer in front of it");
                let error = json!({ "code": INTERNAL_ERROR, "message": "the server is not set up as it should be" });
                Some(Box::new(answer(StatusCode::INTERNAL_SERVER_ERROR, error, None)))
            }
        }
    }
}

fn forbidden(denied: &Denied<'_>, message: &Message) -> Response<Bytes> {
    // The code is the HTTP status: JSON-RPC has none for it, and MCP leaves -32000 to -32099 to itself.
    let error = json!({ "code": 403, "message": denied.to_string(), "data": denied.data() });
    // A response would have an id of the server's own, but no response is denied.
    let mut response = answer(StatusCode::FORBIDDEN, error, message.id());
    if let Some(challenge) = denied.challenge() {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Without an id the member is left out, not null (MCP 2026-07-28, *Overview*, "Error Responses").
fn answer(status: StatusCode, error: Value, id: Option<&Value>) -> Response<Bytes> {
    let mut body = json!({ "jsonrpc": "2.0", "error": error });
    if let Some(id) = id {
        body["id"] = id.clone();
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
