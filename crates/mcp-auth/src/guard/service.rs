use std::{
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::future::Either;
use http::{Request, Response, header::AUTHORIZATION, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower_service::Service;

use super::{
    Guard,
    credential::{self, AGENT_SESSION, Presented},
    refusal::{self, Refusal},
};
use crate::{
    AccessToken, Challenge, Principal, TokenVerifier,
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
    S::Error: Send + 'static,
    V: TokenVerifier,
    B: Body + Send + 'static,
    B::Data: Send,
    R: From<Bytes> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    /// A remembered token goes straight on; what has to be verified, or is refused, takes a box.
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let token = match self.guard.presented(&parts) {
            Ok(token) => token,
            Err(refusal) => {
                return Either::Right(Box::pin(async move {
                    drain(body).await;
                    Ok(refusal.map(R::from))
                }));
            }
        };
        if let Some(known) = self.guard.verifier.remembered(token) {
            return Either::Left(self.inner.call(self.guard.admitted(parts, body, known)));
        }
        let token = token.to_owned();
        let guard = self.guard.clone();
        // The one that was polled ready is the one to call.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Either::Right(Box::pin(async move {
            match guard.verifier.verify(&token).await {
                Ok(verified) => inner.call(guard.admitted(parts, body, verified)).await,
                Err(error) => {
                    audit::refused(&parts, Refused::Token(&error));
                    drain(body).await;
                    Ok(refusal::bad_token(&guard.challenge_for(&parts), &error).map(R::from))
                }
            }
        }))
    }
}

/// No more of the body of a refused request is read, in bytes; with a longer one the connection ends.
const DRAINED: usize = 64 * 1024;
/// Nor is it waited for any longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads what a refused client is still sending: answered in the middle of it, hyper closes the connection without
/// saying so, and the client's next request on it is lost.
async fn drain<B: Body>(body: B) {
    let mut body = pin!(body);
    let read = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    // Not to come to an end is no error here.
    let _ = timeout(PATIENCE, read).await;
}

impl<V: TokenVerifier> Guard<V> {
    /// The token that a request presents.
    fn presented<'a>(&self, parts: &'a Parts) -> Result<&'a str, Box<Refusal>> {
        let presented = credential::presented(parts, self.settings.agent_session).map_err(|invalid| {
            audit::refused(parts, Refused::Request(invalid.0));
            Box::new(refusal::invalid_request(&self.challenge_for(parts), invalid))
        })?;
        match presented {
            Presented::Token(token) => Ok(token),
            Presented::Unreadable(error) => {
                audit::refused(parts, Refused::Token(&error));
                Err(Box::new(refusal::bad_token(&self.challenge_for(parts), &error)))
            }
            Presented::Nothing => {
                audit::refused(parts, Refused::NoToken);
                Err(Box::new(refusal::no_token(&self.challenge_for(parts))))
            }
        }
    }

    /// How every challenge to this request begins.
    fn challenge_for(&self, parts: &Parts) -> Challenge {
        let challenge = self.settings.challenge.clone();
        let Some(resource) = &self.settings.resource else { return challenge };
        // Made of a URL, it has no character that would not fit.
        challenge.clone().resource_metadata(resource.metadata_url(&parts.headers)).unwrap_or(challenge)
    }

    /// The request as it goes on: with the principal, and without the credential.
    fn admitted<B>(&self, mut parts: Parts, body: B, token: Arc<AccessToken>) -> Request<B> {
        if self.settings.audit_accepted {
            audit::accepted(&parts, &token);
        }
        parts.headers.remove(AUTHORIZATION);
        parts.headers.remove(AGENT_SESSION);
        let metadata_url =
            self.settings.resource.as_ref().map(|resource| resource.metadata_url_to_keep(&parts.headers));
        parts.extensions.insert(Principal::new(token).metadata_at(metadata_url));
        Request::from_parts(parts, body)
    }
}
