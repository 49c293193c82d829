//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document-02; sections are its sections): a client
//! whose `client_id` is a URL, and what it says of itself at that URL.
//!
//! Anybody may name any URL, so this is a request forgery that was asked for (§8.6). What keeps it harmless, in the order
//! that a request meets it: the rules on the URL ([`metadata`]), the cache, one fetch at a time for one URL,
//! a limit for each address that asks and one for all of them, a [`resolver`] that answers with public addresses alone,
//! and a fetch that follows nothing, believes no length and ends.

mod address;
mod error;
mod fetch;
mod freshness;
mod metadata;
mod resolver;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use oauth_as::{CimdPolicy, Client};
use reqwest::{Certificate, dns::Resolve};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

pub(crate) use self::error::DocumentError;
use self::{fetch::Fetcher, metadata::Location, resolver::System};
use crate::throttle::PerAddress;

/// How many documents are remembered.
const REMEMBERED: u64 = 1000;
/// A URL that failed is left alone for so long. No response is kept by it (§5.2 forbids to cache one): it is the pause
/// before the next try, during which the last reason is given.
const PAUSE: Duration = Duration::from_secs(30);

/// How documents are fetched.
pub(crate) struct Settings {
    /// Whether documents on this machine are fetched, from any port: for trying things out (§8.6), never in production.
    pub(crate) loopback: bool,
    /// Trusted beside the system's.
    pub(crate) root_certificates: Vec<Certificate>,
    /// For all of a fetch, from the name's resolution to the body's last byte.
    pub(crate) deadline: Duration,
    /// How many fetches one address may cause at once…
    pub(crate) burst: NonZeroU32,
    /// …and how often one more.
    pub(crate) per: Duration,
    /// How many fetches there may be at a time. More than `burst`, or one address could keep all others waiting.
    pub(crate) at_a_time: usize,
    /// Who resolves names. What it answers is checked.
    pub(crate) names: Arc<dyn Resolve>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            loopback: false,
            root_certificates: Vec::new(),
            deadline: Duration::from_secs(5),
            burst: const { NonZeroU32::new(10).unwrap() },
            per: Duration::from_secs(10),
            at_a_time: 256,
            names: Arc::new(System),
        }
    }
}

/// A client as it describes itself. Nothing of it is verified but that it stands at its URL.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// A public client with a name. It has no scopes: which it may have is not its own decision.
    pub(crate) client: Client,
    /// Where the document stands, as people know it: to be shown beside the name (§8.5), which anybody can choose.
    pub(crate) host: String,
}

/// The documents of the world, as far as they were asked for.
pub(crate) struct Documents {
    policy: CimdPolicy,
    fetcher: Fetcher,
    per_address: PerAddress,
    patience: Duration,
    /// By URL. The lock is held during a fetch: whoever wants the same document waits for it.
    known: Cache<String, Arc<Mutex<Option<Known>>>>,
}

struct Known {
    answer: Result<Arc<Document>, DocumentError>,
    until: Instant,
}

impl Documents {
    /// # Errors
    /// When there are no certificate authorities to trust, or one of those given is none.
    pub(crate) fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            policy: metadata::policy(settings.loopback),
            per_address: PerAddress::new(settings.burst, settings.per),
            patience: settings.deadline,
            known: Cache::builder()
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(REMEMBERED)
                .time_to_idle(freshness::LONGEST)
                .build(),
            fetcher: Fetcher::new(settings)?,
        })
    }

    /// Whether `client_id` is for this module: a URL, even if it will be refused as one.
    pub(crate) fn is_document_url(client_id: &str) -> bool {
        ["https://", "http://"]
            .iter()
            .any(|scheme| client_id.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
    }

    /// The client that the document at `url` describes, remembered for as long as the document's headers say (§5.2),
    /// between a minute and a day. `from` is who asked.
    ///
    /// A document that cannot be fetched again is not served from memory: whoever takes his document down has no client
    /// any more, a minute to a day later.
    ///
    /// # Errors
    /// When it is not a URL that is fetched, the document cannot be had, or it does not describe a client that can log
    /// in here. The request has to be refused (§5.1), without a redirect: there is nobody to trust with one.
    pub(crate) async fn resolve(&self, url: &str, from: IpAddr) -> Result<Arc<Document>, DocumentError> {
        let location = Location::parse(url, &self.policy)?;
        let too_many = |_| DocumentError::TooMany { retry_after: self.patience };
        let until = Instant::now() + self.patience;

        // Who asks for what nobody has asked for has to be allowed to, before there is a place for it.
        let new = !self.known.contains_key(url);
        let allowed = || self.per_address.check(from).map_err(|retry_after| DocumentError::TooMany { retry_after });
        if new {
            allowed()?;
        }
        let known = self.known.get_with_by_ref(url, Arc::default);
        let mut known = timeout_at(until, known.lock()).await.map_err(too_many)?;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return known.answer.clone();
        }
        // Who waited for another's fetch has caused none.
        if !new {
            allowed()?;
        }
        let slot = timeout_at(until, self.fetcher.slot()).await.map_err(too_many)?;
        // Waiting has not used up its deadline: that would be held against the URL.
        let (answer, fresh_for) = match self.fetcher.fetch(&location).await {
            Ok(fetched) => match metadata::read(&location, &fetched.body, &self.policy) {
                Ok(document) => (Ok(Arc::new(document)), fetched.fresh_for),
                Err(error) => (Err(error), PAUSE),
            },
            Err(error) => (Err(error), PAUSE),
        };
        drop(slot);
        if let Err(error) = &answer {
            tracing::info!(client_id = url, %error, "a client metadata document is refused");
        }
        *known = Some(Known { answer: answer.clone(), until: Instant::now() + fresh_for });
        answer
    }
}
