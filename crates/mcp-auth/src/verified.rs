use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use crate::{AccessToken, TokenError, TokenVerifier, token::MAX_TOKEN};

/// Remembers the tokens that another verifier accepted, so that a client that sends the same one with each request costs
/// one signature check.
///
/// A token is known by its SHA-256 alone, and never beyond its `exp` or beyond the key that signed it. Refusals are not
/// remembered: their number is the attacker's choice.
#[derive(Debug)]
pub struct VerifiedTokens<V> {
    verifier: V,
    cache: Option<Cache<[u8; 32], Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    token: Arc<AccessToken>,
    /// The verifier's, from before the token was verified.
    epoch: u64,
}

impl<V: TokenVerifier> VerifiedTokens<V> {
    /// Remembers up to `capacity` tokens of a few kilobytes each; none with 0.
    pub fn new(verifier: V, capacity: usize) -> Self {
        Self { verifier, cache: (capacity > 0).then(|| Cache::new(capacity)) }
    }

    fn find(&self, cache: &Cache<[u8; 32], Entry>, key: &[u8; 32]) -> Option<Arc<AccessToken>> {
        let entry = cache.get(key)?;
        // The leeway is the verifier's to grant.
        if entry.epoch == self.verifier.epoch() && now() < entry.token.expires_at {
            return Some(entry.token);
        }
        cache.remove(key);
        None
    }
}

/// What a token is known by; nothing for one that is too long to be accepted, and not worth a digest.
fn key(token: &str) -> Option<[u8; 32]> {
    let digest = (token.len() <= MAX_TOKEN).then(|| digest(&SHA256, token.as_bytes()))?;
    digest.as_ref().try_into().ok()
}

impl<V: TokenVerifier> TokenVerifier for VerifiedTokens<V> {
    async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
        let Some((cache, key)) = self.cache.as_ref().and_then(|cache| Some((cache, key(token)?))) else {
            return self.verifier.verify(token).await;
        };
        if let Some(known) = self.find(cache, &key) {
            return Ok(known);
        }
        let epoch = self.verifier.epoch();
        let verified = self.verifier.verify(token).await?;
        cache.insert(key, Entry { token: Arc::clone(&verified), epoch });
        Ok(verified)
    }

    fn remembered(&self, token: &str) -> Option<Arc<AccessToken>> {
        self.find(self.cache.as_ref()?, &key(token)?)
    }

    #[cfg(feature = "remote")]
    fn provider(&self) -> Option<crate::ProviderStatus> {
        self.verifier.provider()
    }

    fn epoch(&self) -> u64 {
        self.verifier.epoch()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::Map;

    use super::*;

    /// Accepts everything but `bad`, and counts how often it was asked.
    #[derive(Default)]
    struct Counting {
        asked: AtomicU64,
        epoch: AtomicU64,
        expires_at: u64,
    }

    impl TokenVerifier for &'static Counting {
        async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if token == "bad" {
                return Err(TokenError::Signature);
            }
            Ok(Arc::new(AccessToken {
                issuer: "issuer".into(),
                subject: token.into(),
                client_id: None,
                username: None,
                scopes: Vec::new(),
                roles: Vec::new(),
                tools: None,
                expires_at: self.expires_at,
                kid: None,
                claims: Map::new(),
            }))
        }

        fn epoch(&self) -> u64 {
            self.epoch.load(Ordering::Relaxed)
        }
    }

    fn counting(lifetime: u64) -> &'static Counting {
        Box::leak(Box::new(Counting { expires_at: now() + lifetime, ..Counting::default() }))
    }

    async fn ask(tokens: &VerifiedTokens<&'static Counting>, token: &str) -> u64 {
        match tokens.verify(token).await {
            Ok(verified) => assert_eq!(&*verified.subject, token),
            Err(error) => assert_eq!(error, TokenError::Signature),
        }
        tokens.verifier.asked.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn one_check_for_many_requests() {
        let tokens = VerifiedTokens::new(counting(60), 100);
        assert_eq!((ask(&tokens, "a").await, ask(&tokens, "a").await, ask(&tokens, "b").await), (1, 1, 2));
    }

    #[tokio::test]
    async fn refusals_and_long_tokens_are_not_remembered() {
        let tokens = VerifiedTokens::new(counting(60), 100);
        assert_eq!((ask(&tokens, "bad").await, ask(&tokens, "bad").await), (1, 2));
        let long = "x".repeat(MAX_TOKEN + 1);
        assert_eq!((ask(&tokens, &long).await, ask(&tokens, &long).await), (3, 4));
    }

    #[tokio::test]
    async fn an_expired_token_is_verified_again() {
        let tokens = VerifiedTokens::new(counting(0), 100);
        assert_eq!((ask(&tokens, "a").await, ask(&tokens, "a").await), (1, 2));
    }

    #[tokio::test]
    async fn a_lost_key_takes_its_tokens_along() {
        let tokens = VerifiedTokens::new(counting(60), 100);
        ask(&tokens, "a").await;
        tokens.verifier.epoch.fetch_add(1, Ordering::Relaxed);
        assert_eq!((ask(&tokens, "a").await, ask(&tokens, "a").await), (2, 2));
    }

    #[tokio::test]
    async fn bounded_and_off() {
        let tokens = VerifiedTokens::new(counting(60), 100);
        for n in 0..1000 {
            ask(&tokens, &n.to_string()).await;
        }
        assert!(tokens.cache.as_ref().unwrap().len() <= 100);
        let off = VerifiedTokens::new(counting(60), 0);
        assert_eq!((ask(&off, "a").await, ask(&off, "a").await), (1, 2));
    }
}
