//! [`JwtVerifier`]: signed access tokens (RFC 9068, with what identity providers really send), by RFC 8725.
//!
//! The rules of the algorithm are not settings. A token's header only *names* a key and an algorithm; which keys there
//! are and what each may verify is decided before any token arrives. Nothing in a header (`jwk`, `jku`, `x5u`, `x5c`)
//! ever brings a key along.
//!
//! Layout: [`compact`], the token's three parts, its header, and the key that it means. What it says is read where all
//! tokens' claims are.

mod compact;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;

use self::compact::{Header, Parts};
use crate::{
    AccessToken, TokenError, TokenVerifier,
    claims::Expected,
    keys::{KeyDirectory, PublicKey, PublicKeys},
};
#[cfg(feature = "remote")]
use crate::{ProviderStatus, RemoteKeySet};

/// How often a newer set of keys is looked at for one token. Two sets may come in between; a third is a provider at odds
/// with itself.
const ROUNDS: usize = 3;

/// Verifies JWT access tokens with the keys of a directory, of a JWKS URL, or with a fixed set.
#[derive(Debug)]
pub struct JwtVerifier {
    keys: Keys,
    expected: Expected,
    /// The header of the last good token: all tokens of one key have the same.
    last: ArcSwapOption<Header>,
}

#[derive(Debug)]
enum Keys {
    Directory(Arc<KeyDirectory>),
    Fixed(Arc<PublicKeys>),
    /// One that came without a name.
    Anonymous(Arc<PublicKeys>),
    #[cfg(feature = "remote")]
    Remote(Arc<RemoteKeySet>),
}

impl Keys {
    fn current(&self) -> Arc<PublicKeys> {
        match self {
            Self::Directory(directory) => directory.public_keys(),
            Self::Fixed(keys) | Self::Anonymous(keys) => Arc::clone(keys),
            #[cfg(feature = "remote")]
            Self::Remote(keys) => keys.public_keys(),
        }
    }

    /// Other keys than `seen`, in which `kid` is unknown, if it is worth looking for them; else `reason`, or that nobody
    /// could look.
    #[cfg_attr(not(feature = "remote"), expect(unused_variables, clippy::unused_async, reason = "only URLs are asked"))]
    async fn newer_than(
        &self,
        seen: &Arc<PublicKeys>,
        kid: Option<&str>,
        reason: TokenError,
    ) -> Result<Arc<PublicKeys>, TokenError> {
        match self {
            Self::Directory(_) | Self::Fixed(_) | Self::Anonymous(_) => Err(reason),
            #[cfg(feature = "remote")]
            Self::Remote(keys) => keys.newer_than(seen, kid, reason).await,
        }
    }
}

impl JwtVerifier {
    /// Verifies with the keys that a directory holds at the time.
    pub fn with_directory(keys: Arc<KeyDirectory>, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Directory(keys), issuer.into(), audience)
    }

    /// Verifies with these keys for good.
    pub fn with_keys(keys: Vec<PublicKey>, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Fixed(Arc::new(PublicKeys::new(keys))), issuer.into(), audience)
    }

    /// Verifies with this one key for good, whatever `kid` a token has: a PEM does not say what its issuer calls it.
    pub fn with_public_key(key: PublicKey, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Anonymous(Arc::new(PublicKeys::new(vec![key]))), issuer.into(), audience)
    }

    /// Verifies with the keys behind a JWKS URL. A token with an unknown `kid` may wait for one fetch of it.
    #[cfg(feature = "remote")]
    pub fn with_key_set(keys: Arc<RemoteKeySet>, issuer: impl Into<String>, audience: &str) -> Self {
        Self::new(Keys::Remote(keys), issuer.into(), audience)
    }

    fn new(keys: Keys, issuer: String, audience: &str) -> Self {
        Self { keys, expected: Expected::new(issuer, audience), last: ArcSwapOption::empty() }
    }

    /// Accepts one more audience.
    #[must_use]
    pub fn also_for(mut self, audience: &str) -> Self {
        self.expected.also_for(audience);
        self
    }

    /// How far the clocks of issuer and server may differ; 30 seconds by default.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.expected.leeway = leeway;
        self
    }

    async fn check(&self, token: &str) -> Result<AccessToken, TokenError> {
        let parts = Parts::split(token)?;
        let known = self.last.load_full().filter(|last| last.is(parts.header));
        let header = match &known {
            Some(header) => Arc::clone(header),
            None => {
                let header = Header::decode(parts.header)?;
                Arc::new(if matches!(self.keys, Keys::Anonymous(_)) { header.without_kid() } else { header })
            }
        };
        let signature = parts.signature()?;
        let mut keys = self.keys.current();
        let mut rounds = 1;
        loop {
            let reason = match header.verify(&keys, parts.signed, &signature) {
                Ok(key) => {
                    let token = self.expected.of_signed(parts.claims()?, key, SystemTime::now())?;
                    if known.is_none() {
                        self.last.store(Some(header));
                    }
                    return Ok(token);
                }
                Err(reason) => reason,
            };
            let unknown = match reason {
                TokenError::NoKeys | TokenError::UnknownKey => true,
                // Without a `kid`, the one key that there was may have been followed by another.
                TokenError::Signature => header.kid().is_none(),
                _ => false,
            };
            if !unknown || rounds == ROUNDS {
                return Err(reason);
            }
            keys = self.keys.newer_than(&keys, header.kid(), reason).await?;
            rounds += 1;
        }
    }
}

impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
        self.check(token).await.map(Arc::new)
    }

    #[cfg(feature = "remote")]
    fn provider(&self) -> Option<ProviderStatus> {
        match &self.keys {
            Keys::Remote(keys) => Some(keys.status()),
            Keys::Directory(_) | Keys::Fixed(_) | Keys::Anonymous(_) => None,
        }
    }

    fn epoch(&self) -> u64 {
        self.keys.current().epoch()
    }
}
