//! The layer that lets nobody in without a valid access token.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http::{Request, Response, StatusCode, header::WWW_AUTHENTICATE};
//! # use http_body_util::Full;
//! # use bytes::Bytes;
//! # use tower::{Layer, ServiceExt, service_fn};
//! use mcp_auth::{Guard, JwtVerifier, Principal, keys::PublicKey};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
//! let key = PublicKey::from_jwk(jwk)?;
//! let verifier = JwtVerifier::with_keys(vec![key], "https://idp.example", "https://mcp.example/mcp");
//!
//! let service = Guard::new(verifier).layer(service_fn(async |request: Request<Full<Bytes>>| {
//!     let who = request.extensions().get::<Principal>().expect("the guard has put it there");
//!     Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(who.subject.to_string())))
//! }));
//!
//! // Nobody, who is told that a token is needed:
//! let refused = service.clone().oneshot(Request::new(Full::default())).await?;
//! assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(refused.headers()[WWW_AUTHENTICATE], "Bearer");
//!
//! // Somebody with a token of somebody else:
//! # let token = "eyJhbGciOiJFZERTQSJ9.e30.AAAA";
//! let request = Request::builder().header("authorization", format!("Bearer {token}")).body(Full::default())?;
//! let refused = service.oneshot(request).await?;
//! assert_eq!(
//!     refused.headers()[WWW_AUTHENTICATE],
//!     "Bearer error=\"invalid_token\", error_description=\"the token's signature is not valid\""
//! );
//! # Ok(())
//! # }
//! ```

mod credential;
mod refusal;
mod service;

use std::{fmt, sync::Arc};

use tower_layer::Layer;

pub use self::service::Guarded;
use crate::{Challenge, ProtectedResource, TokenVerifier};

/// Lets a request pass with a token that its verifier accepts, leaves the [`Principal`](crate::Principal) in the
/// request's extensions, and takes the credential off the request: what is behind the guard can neither log it nor
/// pass it on (MCP 2026-07-28, *Security Best Practices*, "Token Passthrough").
///
/// Without a token, or with a bad one: 401 and a challenge. With a token in the query, or two credentials: 400. As long
/// as there is no key to verify with, or nobody to ask: 503 for a request with a token, 401 for one without.
///
/// It looks at headers and URL alone, whatever the HTTP method: put it around everything that is not public, before any
/// 404 or 405 can tell a stranger what there is.
pub struct Guard<V> {
    verifier: Arc<V>,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    challenge: Challenge,
    resource: Option<ProtectedResource>,
    agent_session: bool,
    audit_accepted: bool,
}

impl<V: TokenVerifier> Guard<V> {
    /// A guard that challenges with `Bearer` alone, takes `Authorization: Bearer` alone, and audits refusals alone.
    pub fn new(verifier: V) -> Self {
        Self { verifier: Arc::new(verifier), settings: Arc::default() }
    }

    /// What every challenge begins with: where a token is to be had, and for which scope.
    #[must_use]
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        Arc::make_mut(&mut self.settings).challenge = challenge;
        self
    }

    /// Adds to every challenge where the resource's metadata is, in the spelling that the client used (RFC 9728 §5.1).
    #[must_use]
    pub fn protects(mut self, resource: ProtectedResource) -> Self {
        Arc::make_mut(&mut self.settings).resource = Some(resource);
        self
    }

    /// Whether the raw token may also come in the header `agent-session`, for agents that cannot set `Authorization`.
    #[must_use]
    pub fn agent_session(mut self, allowed: bool) -> Self {
        Arc::make_mut(&mut self.settings).agent_session = allowed;
        self
    }

    /// Whether accepted requests are audited too ([`audit`](crate::audit)).
    #[must_use]
    pub fn audit_accepted(mut self, wanted: bool) -> Self {
        Arc::make_mut(&mut self.settings).audit_accepted = wanted;
        self
    }
}

impl<V> Clone for Guard<V> {
    fn clone(&self) -> Self {
        Self { verifier: Arc::clone(&self.verifier), settings: Arc::clone(&self.settings) }
    }
}

impl<V> fmt::Debug for Guard<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S, V: TokenVerifier> Layer<S> for Guard<V> {
    type Service = Guarded<S, V>;

    fn layer(&self, inner: S) -> Guarded<S, V> {
        Guarded::new(inner, self.clone())
    }
}
