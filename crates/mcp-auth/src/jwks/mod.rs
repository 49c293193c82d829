//! [`RemoteKeySet`]: the keys behind an identity provider's JWKS URL.
//!
//! ```no_run
//! use mcp_auth::{JwtVerifier, RemoteKeySet, TokenVerifier};
//!
//! # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let realm = "https://idp.example.com/realms/mcp";
//! // Fetches in the background: the server starts whether the provider is there or not.
//! let keys = RemoteKeySet::of_issuer(realm)?.start();
//! let verifier = JwtVerifier::with_key_set(keys, realm, "https://mcp.example.com/mcp");
//! println!("{}", verifier.verify(token).await?.subject);
//! # Ok(())
//! # }
//! ```
//!
//! One task fetches, and nothing else does: a request that needs a newer set asks that task and waits, so no number of
//! requests makes a second fetch, and none that is given up stops the one under way. Layout:
//! - `demand`: when a request's question is worth a fetch;
//! - `fetch`: one attempt to get the keys, and to find out where they are;
//! - `freshness`: how long keys stay fresh, when to try again, when they are too old;
//! - `refresh`: the task.

mod demand;
mod fetch;
mod freshness;
mod refresh;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::Instant,
};

use self::{
    demand::{Answer, Demand},
    fetch::{Fetcher, Source},
    refresh::Refresh,
};
use crate::{
    DiscoveryError, TokenError,
    discovery::well_known_urls,
    keys::{PublicKey, PublicKeys},
    provider::permitted,
    reachability::{ProviderStatus, Reachability},
};

/// The longest that keys are used after the provider last published them.
const STALE_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// For one attempt, from the first name look-up to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The keys behind a JWKS URL, kept fresh by a task of their own until the last handle is dropped.
///
/// - The URL is given ([`RemoteKeySet::builder`]), or the issuer's metadata says it ([`RemoteKeySet::of_issuer`]). Then
///   the metadata is asked again as soon as the keys cannot be fetched where they were. Metadata of another issuer
///   counts as an outage.
/// - A set is fetched anew when its `Cache-Control` says so, within one minute and 24 hours; after five minutes if it
///   says nothing.
/// - A token with an unknown `kid` has it fetched at once, and waits. If that brings no new key, the next such token has
///   to wait out a cool-down of a second, doubled each time up to 30. Meanwhile that `kid` is refused; of any other
///   nothing is known, so its bearer is to keep the token and come back ([`TokenError::Unavailable`]).
/// - Through an outage the last good keys serve, until [`RemoteKeySetBuilder::stale_for`] has passed. Answers that are
///   not a JWK Set with at least one usable key count as an outage. That includes an empty set: a provider that is
///   starting up says the same as one that withdraws every key, and one that replaces a stolen key names the new one,
///   which takes effect at once.
/// - A key that the provider removes verifies nothing from the next fetch on.
pub struct RemoteKeySet {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What requests and the task have in common.
struct Shared {
    /// The URL or the issuer, for the log.
    source: String,
    reachability: Reachability,
    current: ArcSwap<PublicKeys>,
    demand: Mutex<Demand>,
    /// Somebody asks for a fetch.
    wake: Notify,
    /// Ticks when a fetch has ended, however. The task holds the other end: if it dies, nobody waits for it.
    ended: watch::Receiver<()>,
}

impl Shared {
    fn demand(&self) -> MutexGuard<'_, Demand> {
        self.demand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts these keys in the place of the current ones, if they are others. True if one of them is new.
    fn replace(&self, keys: Vec<PublicKey>) -> bool {
        let old = self.current.load();
        let new = old.followed_by(keys);
        // As sets: a provider that shuffles its keys has nothing new to say.
        let brought = new.keys().iter().any(|key| old.keys().iter().all(|other| other.jwk() != key.jwk()));
        if brought || new.epoch() != old.epoch() {
            let kids: Vec<_> = new.keys().iter().map(PublicKey::kid).collect();
            tracing::info!(url = self.source, ?kids, "public keys");
            self.current.store(Arc::new(new));
        }
        brought
    }
}

impl RemoteKeySet {
    /// Keys from this URL: https, or http on a loopback host.
    ///
    /// # Errors
    /// When it is another kind of URL, has user information or a fragment, or TLS cannot be set up.
    pub fn builder(url: &str) -> Result<RemoteKeySetBuilder, RemoteKeySetError> {
        Self::of(Source::Url(permitted(url).map_err(RemoteKeySetError::Url)?))
    }

    /// Keys from the URL that this issuer's metadata names as `jwks_uri` (RFC 8414 §2). The metadata is fetched in the
    /// background too: the server starts whether the provider is there or not.
    ///
    /// # Errors
    /// When it is no issuer: https, or http on a loopback host, without query, fragment and user; or TLS cannot be set
    /// up.
    pub fn of_issuer(issuer: &str) -> Result<RemoteKeySetBuilder, RemoteKeySetError> {
        well_known_urls(issuer)?;
        Self::of(Source::Issuer { issuer: issuer.to_owned(), found: None })
    }

    fn of(source: Source) -> Result<RemoteKeySetBuilder, RemoteKeySetError> {
        let fetcher = Fetcher::new(source).map_err(RemoteKeySetError::Client)?;
        Ok(RemoteKeySetBuilder { fetcher, stale_for: STALE_FOR })
    }

    /// How the keys are at this moment, for a health endpoint.
    pub fn status(&self) -> ProviderStatus {
        self.shared.reachability.status()
    }

    /// The keys at this moment; none before the first fetch has succeeded, and after an outage that was too long.
    pub fn public_keys(&self) -> Arc<PublicKeys> {
        self.shared.current.load_full()
    }

    /// Keys that are not `seen`, in which `kid` was looked up in vain: those that are there by now, or else those that a
    /// fetch brings.
    ///
    /// # Errors
    /// `reason` if that brought nothing new; [`TokenError::Unavailable`] if nobody looked.
    pub(crate) async fn newer_than(
        &self,
        seen: &Arc<PublicKeys>,
        kid: Option<&str>,
        reason: TokenError,
    ) -> Result<Arc<PublicKeys>, TokenError> {
        // Before looking, so that no end is missed between the look and the wait.
        let mut ended = self.shared.ended.clone();
        ended.mark_unchanged();
        loop {
            let answer = {
                // Under the lock, as the task does: what is seen here and what is asked for belong together.
                let mut demand = self.shared.demand();
                let current = self.public_keys();
                if !Arc::ptr_eq(&current, seen) {
                    return Ok(current);
                }
                demand.ask(kid, current.keys().is_empty(), Instant::now())
            };
            match answer {
                Answer::No => return Err(reason),
                Answer::NotNow => return Err(TokenError::Unavailable),
                Answer::Wait => {}
                Answer::Begin => self.shared.wake.notify_one(),
            }
            if ended.changed().await.is_err() {
                return Err(reason);
            }
        }
    }
}

impl Drop for RemoteKeySet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for RemoteKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<_> = self.public_keys().keys().iter().map(|key| key.kid().to_owned()).collect();
        f.debug_struct("RemoteKeySet").field("url", &self.shared.source).field("kids", &kids).finish()
    }
}

/// Settings of a [`RemoteKeySet`], before it is started.
#[derive(Debug)]
pub struct RemoteKeySetBuilder {
    fetcher: Fetcher,
    stale_for: Duration,
}

impl RemoteKeySetBuilder {
    /// How long keys are used after the provider last published them; 24 hours by default and at most, a second at
    /// least. They are fetched anew when half of it has passed, whatever the provider allows: an outage has to be longer
    /// than the other half to matter.
    #[must_use]
    pub fn stale_for(mut self, limit: Duration) -> Self {
        self.stale_for = limit.clamp(Duration::from_secs(1), STALE_FOR);
        self
    }

    /// How long one fetch may take, and so how long a request may wait for it; 10 seconds by default.
    #[must_use]
    pub const fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.fetcher.timeout = limit;
        self
    }

    /// Starts the task that fetches. It does so at once, and this does not wait for it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(self) -> Arc<RemoteKeySet> {
        let (ticker, ended) = watch::channel(());
        let shared = Arc::new(Shared {
            source: self.fetcher.source().to_string(),
            reachability: Reachability::default(),
            current: ArcSwap::from_pointee(PublicKeys::new(Vec::new())),
            demand: Mutex::new(Demand::new()),
            wake: Notify::new(),
            ended,
        });
        let refresh = Refresh::new(Arc::clone(&shared), self.fetcher, self.stale_for, ticker);
        Arc::new(RemoteKeySet { shared, task: tokio::spawn(refresh.run()).abort_handle() })
    }
}

/// Why there can be no [`RemoteKeySet`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteKeySetError {
    /// Keys are not fetched from such a URL.
    #[error("no URL for a JWK Set: {0}")]
    Url(&'static str),
    /// Nobody's metadata is asked for under such a name.
    #[error(transparent)]
    Issuer(#[from] DiscoveryError),
    /// There can be no HTTP client, usually for want of root certificates.
    #[error("no HTTP client: {0}")]
    Client(String),
}
