//! The resource server's side of OAuth, for any tower service.
//!
//! Layout:
//! - [`keys`]: a directory of public keys and its JWKS; with the feature `signing`, making keys and tokens.

pub mod keys;
