//! The resource server's side of OAuth, for any tower service.
//!
//! Layout, in the order a request meets it:
//! - [`cors()`]: so that a client in a browser may ask at all;
//! - [`Guard`]: nobody gets in without a valid token; [`Challenge`], what those are told who do not; [`Principal`], who
//!   did; [`audit`], one event for each decision;
//! - [`strict`]: one reading of a request, in front of an MCP service that is not ours;
//! - [`Policy`]: what those may do who are in, by scope, role and the claim `tools`; [`Operation`], what is asked for;
//!   [`Denied`], why not; [`PolicyLayer`], the same in front of an MCP service that is not ours;
//! - [`TokenVerifier`], [`AccessToken`], [`TokenError`]: who decides about a token, what it says, why it is refused;
//! - [`VerifiedTokens`]: remembers what was decided; [`JwtVerifier`]: decides about signed tokens;
//! - [`ResourceUri`]: what a token is for, and when two spellings name the same; [`ProtectedResource`]: what a client is
//!   told about it (RFC 9728);
//! - [`keys`]: a directory of public keys and its JWKS; with the feature `signing`, making keys and tokens;
#![cfg_attr(
    feature = "remote",
    doc = "- [`RemoteKeySet`]: the keys behind an identity provider's JWKS URL, or its issuer;\n\
           - [`Introspection`]: decides by asking the issuer (RFC 7662); [`Either`]: which of two verifiers decides;\n\
           - [`discover`], [`AuthorizationServerMetadata`]: what an authorization server says of itself (RFC 8414)."
)]

pub mod audit;
mod challenge;
mod claims;
mod cors;
#[cfg(feature = "remote")]
mod discovery;
mod either;
mod guard;
#[cfg(feature = "remote")]
mod introspection;
#[cfg(feature = "remote")]
mod jwks;
mod jwt;
pub mod keys;
#[cfg(feature = "remote")]
mod moment;
mod policy;
mod principal;
mod protected_resource;
#[cfg(feature = "remote")]
mod provider;
#[cfg(feature = "remote")]
mod reachability;
mod resource_uri;
mod shown;
pub mod strict;
mod strict_json;
mod token;
mod verified;

pub use self::{
    challenge::{Challenge, ChallengeError},
    cors::{Cors, CorsLayer, cors},
    either::Either,
    guard::{Guard, Guarded},
    jwt::JwtVerifier,
    policy::{Denied, Enforced, InitialScopes, Operation, Policy, PolicyError, PolicyLayer},
    principal::Principal,
    protected_resource::{ProtectedResource, ProtectedResourceError},
    resource_uri::{ResourceUri, ResourceUriError},
    token::{AccessToken, TokenError, TokenVerifier},
    verified::VerifiedTokens,
};
#[cfg(feature = "remote")]
pub use self::{
    discovery::{AuthorizationServerMetadata, DiscoveryError, MetadataError, discover, well_known_urls},
    introspection::{
        ClientAuthentication, ClientCredentials, Introspection, IntrospectionBuilder, IntrospectionError,
        IntrospectionProblem,
    },
    jwks::{RemoteKeySet, RemoteKeySetBuilder, RemoteKeySetError},
    reachability::ProviderStatus,
};
