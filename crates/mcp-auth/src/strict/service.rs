use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING},
    request::Parts,
};
use http_body::Body;
use http_body_util::{Either, Full};
use tower_service::Service;

use super::{Message, StrictJsonRpcLayer, body, headers, refusal::Refusal};

/// The service that [`StrictJsonRpcLayer`] makes.
#[derive(Clone, Debug)]
pub struct StrictJsonRpc<S> {
    inner: S,
    settings: StrictJsonRpcLayer,
}

impl<S> StrictJsonRpc<S> {
    pub(super) const fn new(inner: S, settings: StrictJsonRpcLayer) -> Self {
        Self { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for StrictJsonRpc<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call; its clone may not be ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let settings = self.settings;
        Box::pin(async move {
            match understood(request, settings).await {
                Ok(request) => Ok(inner.call(request).await?.map(Either::Left)),
                Err(refusal) => {
                    refusal.log();
                    Ok(refusal.into_response().map(Either::Right))
                }
            }
        })
    }
}

/// The request as the service behind gets it.
async fn understood<B>(request: Request<B>, settings: StrictJsonRpcLayer) -> Result<Request<Full<Bytes>>, Refusal>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut parts, body) = request.into_parts();
    if parts.method != Method::POST {
        headers::check_single(&parts.headers)?;
        return Ok(with_body(parts, Bytes::new()));
    }
    body::check_media(&parts.headers)?;
    let bytes = body::read(body, settings).await?;
    let message = Message::parse(&bytes)?;
    headers::check(&parts.headers, &message).map_err(|refusal| refusal.with_id(message.id_to_echo()))?;

    let bytes = message.to_bytes();
    parts.extensions.insert(message);
    Ok(with_body(parts, bytes))
}

fn with_body(mut parts: Parts, body: Bytes) -> Request<Full<Bytes>> {
    describe(&mut parts.headers, body.len());
    Request::from_parts(parts, Full::new(body))
}

/// What the headers said about the client's body is no longer true of this one.
fn describe(headers: &mut HeaderMap, length: usize) {
    for name in [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if length > 0 {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}
