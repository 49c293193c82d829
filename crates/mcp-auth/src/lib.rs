//! The resource server's side of OAuth, for any tower service.
//!
//! Layout:
//! - [`keys`]: a directory of public keys and its JWKS; with the feature `signing`, making keys and tokens;
//! - [`ResourceUri`]: what a token is for, and when two spellings name the same;
//! - [`TokenVerifier`], [`AccessToken`], [`TokenError`]: who decides about a token, what it says, why it is refused;
//! - [`JwtVerifier`]: signed tokens.

mod jwt;
pub mod keys;
mod resource_uri;
mod strict_json;
mod token;

pub use self::{
    jwt::JwtVerifier,
    resource_uri::{ResourceUri, ResourceUriError},
    token::{AccessToken, TokenError, TokenVerifier},
};
