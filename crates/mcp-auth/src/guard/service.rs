use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION, request::Parts};
use http_body::Body;
use http_body_util::{Either, Full};
use tower_service::Service;

use super::{
    Guard,
    credential::{self, AGENT_SESSION, Presented},
    refusal,
};
use crate::{
    AccessToken, Principal, TokenVerifier,
    audit::{self, Refused},
};

/// A service behind a [`Guard`].
#[derive(Debug)]
pub struct Guarded<S, V> {
    inner: S,
    guard: Guard<V>,
}

impl<S, V> Guarded<S, V> {
    pub(super) const fn new(inner: S, guard: Guard<V>) -> Self {
        Self { inner, guard }
    }
}

impl<S: Clone, V> Clone for Guarded<S, V> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.guard.clone())
    }
}

impl<S, V, B, R> Service<Request<B>> for Guarded<S, V>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    V: TokenVerifier,
    B: Send + 'static,
    R: Body<Data = Bytes>,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let guard = self.guard.clone();
        // The one that was polled ready is the one to call.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let token = match guard.admit(&parts).await {
                Ok(token) => token,
                Err(refusal) => return Ok(refusal.map(Either::Right)),
            };
            parts.headers.remove(AUTHORIZATION);
            parts.headers.remove(AGENT_SESSION);
            parts.extensions.insert(Principal::new(token));
            inner.call(Request::from_parts(parts, body)).await.map(|response| response.map(Either::Left))
        })
    }
}

impl<V: TokenVerifier> Guard<V> {
    /// The decision, and its event.
    async fn admit(&self, parts: &Parts) -> Result<Arc<AccessToken>, Response<Full<Bytes>>> {
        let settings = &*self.settings;
        let presented = credential::presented(parts, settings.agent_session).map_err(|invalid| {
            audit::refused(parts, Refused::Request(invalid.0));
            refusal::invalid_request(&settings.challenge, invalid)
        })?;
        let verified = match presented {
            Presented::Token(token) => self.verifier.verify(token).await,
            Presented::Unreadable(error) => Err(error),
            Presented::Nothing => {
                audit::refused(parts, Refused::NoToken);
                return Err(refusal::no_token(&settings.challenge));
            }
        };
        let token = verified.map_err(|error| {
            audit::refused(parts, Refused::Token(&error));
            refusal::bad_token(&settings.challenge, &error)
        })?;
        if settings.audit_accepted {
            audit::accepted(parts, &token);
        }
        Ok(token)
    }
}
