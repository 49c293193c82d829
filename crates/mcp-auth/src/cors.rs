use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use http::{
    HeaderName, Method, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tower_http::cors;
use tower_layer::Layer;
use tower_service::Service;

/// CORS for an MCP server: what a client in a browser needs to send its requests and to see why one was refused.
///
/// Any origin may ask, because nothing here is granted for asking from a browser: there are no cookies, and a page has
/// the token or it has not. Put it around the guard, since a preflight carries no token; and put a layer that checks
/// `Origin` around both, where a server on a loopback address must not talk to every page. A request without `Origin`,
/// which no page sends across origins, passes untouched.
#[derive(Clone, Debug)]
pub struct CorsLayer(Arc<cors::CorsLayer>);

/// A service with [`CorsLayer`].
#[derive(Clone, Debug)]
pub struct Cors<S> {
    inner: S,
    layer: Arc<cors::CorsLayer>,
}

/// [`CorsLayer`].
pub fn cors() -> CorsLayer {
    let header = HeaderName::from_static;
    CorsLayer(Arc::new(
        cors::CorsLayer::new()
            .allow_origin(cors::Any)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([
                ACCEPT,
                AUTHORIZATION,
                CONTENT_TYPE,
                header("agent-session"),
                header("last-event-id"),
                header("mcp-method"),
                header("mcp-name"),
                header("mcp-protocol-version"),
                header("mcp-session-id"),
            ])
            .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, header("mcp-session-id")])
            .max_age(Duration::from_secs(3600)),
    ))
}

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors { inner, layer: Arc::clone(&self.0) }
    }
}

impl<S, B, R> Service<Request<B>> for Cors<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<<cors::Cors<S> as Service<Request<B>>>::Future, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.headers().contains_key(ORIGIN) {
            // The one that was polled ready is the one to call.
            let next = self.inner.clone();
            Either::Left(self.layer.layer(mem::replace(&mut self.inner, next)).call(request))
        } else {
            Either::Right(self.inner.call(request))
        }
    }
}
