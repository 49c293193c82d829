//! Keys in a directory, and the JWK Set that publishes them (RFC 7517).
//!
//! A key is a public JWK in `NAME.jwk.json` (or a JWK Set in `NAME.jwks.json`, or a PEM in `NAME.pub.pem`), and the private half, where tokens are made,
//! a PKCS #8 PEM in `NAME.private.pem`. A server reads the public ones alone. Rotation is a new file: a
//! [`KeyDirectory`] that watches sees it within a second.

mod algorithm;
mod directory;
mod public_key;
mod public_keys;
#[cfg(feature = "signing")]
mod signing;

#[cfg(feature = "signing")]
pub use self::signing::{SigningKey, make_pair};
pub use self::{
    algorithm::{Algorithm, UnknownAlgorithm},
    directory::KeyDirectory,
    public_key::PublicKey,
    public_keys::PublicKeys,
};

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{0}: {1}")]
    File(std::path::PathBuf, std::io::Error),
    /// The key is not one of ours.
    #[error("{0}")]
    Unusable(String),
}
