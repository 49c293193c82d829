//! DNS rebinding protection: requests must be meant for this server, and come from its own pages if from any.
//!
//! A page on `http://evil.example` can point its own name at 127.0.0.1 and then read and post here as "same origin".
//! What it cannot do is choose the `Host` and `Origin` headers: the browser writes its name into both
//! (MCP 2026-07-28, *Streamable HTTP*, "Security & Endpoint").
//!
//! ```
//! # use std::convert::Infallible;
//! # use axum::body::Body;
//! # use http::{Request, Response, StatusCode};
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use mcp_core::http::DnsRebindingLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let service = ServiceBuilder::new()
//!     .layer(DnsRebindingLayer::loopback())
//!     .service(service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty()))));
//!
//! let ours = Request::builder().header("host", "localhost:9000").body(Body::empty()).unwrap();
//! assert_eq!(service.clone().oneshot(ours).await?.status(), StatusCode::OK);
//!
//! let rebound = Request::builder().header("host", "evil.example:9000").body(Body::empty()).unwrap();
//! assert_eq!(service.clone().oneshot(rebound).await?.status(), StatusCode::MISDIRECTED_REQUEST);
//!
//! let foreign = Request::builder()
//!     .header("host", "localhost:9000")
//!     .header("origin", "https://evil.example")
//!     .body(Body::empty())
//!     .unwrap();
//! assert_eq!(service.oneshot(foreign).await?.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```

use std::{
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::future::Either;
use http::{
    HeaderMap, HeaderName, Request, StatusCode, Uri, Version,
    header::{HOST, ORIGIN},
    uri::Authority,
};
use tower_layer::Layer;
use tower_service::Service;

use super::{Whole, headers};
use crate::shown::shown;

/// Refuses requests for another host (421) or from another origin's page (403).
///
/// Hosts are compared without their port: a rebinding attacker needs a name, and the port differs wherever a container
/// or a tunnel maps it.
#[derive(Clone, Debug)]
pub struct DnsRebindingLayer(Arc<Allowed>);

#[derive(Clone, Debug, Default)]
struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
    any_address: bool,
}

impl DnsRebindingLayer {
    /// For a server on this machine: `localhost` and the loopback addresses.
    pub fn loopback() -> Self {
        Self(Arc::default())
    }

    /// For a server that listens on `host`: the loopback names, and `host` itself. One that listens on every address
    /// (`0.0.0.0`, `::`) is also reached by any IP address, since an address is no name that could be rebound.
    pub fn for_listener(host: &str) -> Self {
        let unspecified = host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        let layer = Self(Arc::new(Allowed { any_address: unspecified, ..Allowed::default() }));
        if unspecified { layer } else { layer.allow_host(host) }
    }

    /// Also serves this name or address, and pages from it. Without a port.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        Arc::make_mut(&mut self.0).hosts.push(host.trim_matches(['[', ']']).to_ascii_lowercase());
        self
    }

    /// Also serves pages of this origin, such as `https://app.example.com`.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        Arc::make_mut(&mut self.0).origins.push(origin.to_ascii_lowercase());
        self
    }
}

impl Allowed {
    fn host(&self, authority: &Authority) -> bool {
        let host = host_of(authority);
        self.name(host) || (self.any_address && host.parse::<IpAddr>().is_ok())
    }

    /// A name or address that is this server's own.
    fn name(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            || self.hosts.iter().any(|allowed| host.eq_ignore_ascii_case(allowed))
    }

    fn origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed)) {
            return true;
        }
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        matches!(scheme, "http" | "https")
            // Not any address: what cannot be rebound as a Host can still serve a hostile page.
            && authority.parse::<Authority>().is_ok_and(|authority| self.name(host_of(&authority)))
    }

    fn check(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Whole> {
        let host = headers::value(headers, &HOST)
            .map_err(|_| Whole::refusal(StatusCode::BAD_REQUEST, "send one Host header (RFC 9112 §3.2)"))?;
        let for_this_server = |authority: &Authority| {
            if self.host(authority) {
                Ok(())
            } else {
                let message = format!(
                    "this server does not answer for {:?}; call it by a name it allows",
                    shown(authority.as_str())
                );
                Err(Whole::refusal(StatusCode::MISDIRECTED_REQUEST, message))
            }
        };
        // An absolute request target, and `:authority` in HTTP/2, say what Host says; neither may say otherwise.
        if let Some(authority) = uri.authority() {
            for_this_server(authority)?;
        }
        match host {
            // Nearly every request; spares it the parser.
            Some(host) if is_localhost(host) => {}
            Some(host) => {
                let authority = host.parse().map_err(|_| {
                    Whole::refusal(StatusCode::BAD_REQUEST, "the Host header is not a host with an optional port")
                })?;
                for_this_server(&authority)?;
            }
            // No browser speaks HTTP/1.0, so nobody's page can leave Host out; a simple health check may.
            None if uri.authority().is_some() || version <= Version::HTTP_10 => {}
            None => return Err(Whole::refusal(StatusCode::BAD_REQUEST, "send one Host header (RFC 9112 §3.2)")),
        }
        match headers::value(headers, &ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if self.origin(origin) => Ok(()),
            _ => Err(Whole::refusal(StatusCode::FORBIDDEN, "pages of this Origin may not call this server")),
        }
    }
}

/// Without port and brackets; nothing if there is a user in it (`localhost@evil.example`).
fn host_of(authority: &Authority) -> &str {
    if authority.as_str().contains('@') { "" } else { authority.host().trim_matches(['[', ']']) }
}

fn is_localhost(host: &str) -> bool {
    let port = host.strip_prefix("localhost").or_else(|| host.strip_prefix("127.0.0.1"));
    port.is_some_and(|port| {
        port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn logged<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().map_or("not text", shown))
}

impl<S> Layer<S> for DnsRebindingLayer {
    type Service = DnsRebinding<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DnsRebinding { inner, allowed: Arc::clone(&self.0) }
    }
}

/// The service that [`DnsRebindingLayer`] makes.
#[derive(Clone, Debug)]
pub struct DnsRebinding<S> {
    inner: S,
    allowed: Arc<Allowed>,
}

impl<S, B> Service<Request<B>> for DnsRebinding<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Self::Response, Self::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.allowed.check(request.version(), request.uri(), request.headers()) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(refusal) => {
                tracing::info!(
                    target: "mcp_core::request",
                    status = refusal.status.as_u16(),
                    path = shown(request.uri().path()),
                    host = logged(request.headers(), &HOST),
                    origin = logged(request.headers(), &ORIGIN),
                    "refused"
                );
                Either::Left(ready(Ok(refusal.into_response())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(layer: &DnsRebindingLayer, host: &str) -> bool {
        host.parse().is_ok_and(|authority| layer.0.host(&authority))
    }

    #[test]
    fn hosts() {
        let layer = DnsRebindingLayer::loopback();
        for name in ["localhost", "LOCALHOST:1", "127.0.0.1:9000", "127.8.8.8", "[::1]", "[::1]:9000"] {
            assert!(host(&layer, name), "{name}");
        }
        for name in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "192.0.2.1",
            "[2001:db8::1]",
            "0.0.0.0",
            "2130706433",
            "",
        ] {
            assert!(!host(&layer, name), "{name}");
        }
    }

    #[test]
    fn hosts_of_a_public_listener() {
        let anywhere = DnsRebindingLayer::for_listener("0.0.0.0");
        assert!(host(&anywhere, "192.0.2.1:9000") && !host(&anywhere, "evil.example"));
        assert!(anywhere.0.origin("http://127.0.0.1:9000") && !anywhere.0.origin("http://192.0.2.66"));
        let named = DnsRebindingLayer::for_listener("mcp.example.com");
        assert!(host(&named, "MCP.example.com:443") && !host(&named, "192.0.2.1"));
    }

    #[test]
    fn origins() {
        let layer = DnsRebindingLayer::loopback().allow_origin("https://app.example.com");
        for origin in ["http://localhost:6274", "https://127.0.0.1", "http://[::1]:3000", "https://app.example.com"] {
            assert!(layer.0.origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.example",
            "file://localhost",
            "http://app.example.com",
            "https://app.example.com.evil.example",
            "http://localhost/path",
            "localhost",
        ] {
            assert!(!layer.0.origin(origin), "{origin}");
        }
    }
}
