//! [`Introspection`]: the issuer is asked about each token (RFC 7662).
//!
//! ```no_run
//! use mcp_auth::{ClientCredentials, Guard, Introspection};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = ClientCredentials::new("echo-mcp-server", "its secret");
//! let issuer = "https://idp.example.com/realms/mcp";
//! // The endpoint is found in the background: the server starts whether the provider is there or not.
//! let introspection = Introspection::builder(issuer, "https://mcp.example.com/mcp", client)?.start();
//! introspection.check().await?;
//! let guard = Guard::new(introspection);
//! # Ok(())
//! # }
//! ```
//!
//! A signature says what was true when a token was issued; the issuer says what is true now. The price is a request for
//! (nearly) each of ours, so the answers are kept for a second, and nobody asks twice at once. Layout:
//! - `client`: who asks, and how it says so;
//! - `search`: where the endpoint is, found out by a task of its own;
//! - `question`: one question and its answer;
//! - `flights`: what was answered a moment ago, and who waits for which question;
//! - `room`: how many may, and how much of that is for tokens that were good before;
//! - `check`: what can be wrong with the setup, found out when the server starts.

mod check;
mod client;
mod flights;
mod question;
mod room;
mod search;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};
use url::Url;

pub use self::{
    check::IntrospectionProblem,
    client::{ClientAuthentication, ClientCredentials},
};
use self::{
    flights::{Flights, Outcome},
    question::{Answer, Fault},
    room::Room,
    search::{Endpoint, Search, Whereabouts},
};
use crate::{
    AccessToken, DiscoveryError, TokenError, TokenVerifier,
    claims::Expected,
    discovery::well_known_urls,
    provider::{Http, permitted, within},
    reachability::{ProviderStatus, Reachability},
    token::MAX_TOKEN,
};

/// For one question, waiting for its turn included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer is good for, and at most.
const REMEMBERED: Duration = Duration::from_secs(1);
const LONGEST_REMEMBERED: Duration = Duration::from_secs(60);
/// So many questions at once.
const AT_ONCE: usize = 32;

/// Asks the issuer about each token. Cheap to clone; it ends with the last clone.
///
/// - What the issuer calls active is checked like a signed token: audience, `exp`, `nbf`, kind, scopes, roles, the claim
///   `tools`. `iss` has to be the issuer where the answer has one; an answer without is the issuer's all the same, since
///   nobody else was asked.
/// - A good answer serves for a second ([`IntrospectionBuilder::remember_for`]), counted from when it was asked for, and
///   never beyond the token's `exp`. Refusals are not kept.
/// - Requests with one token make one question; a request that is given up takes no other with it. 32 questions are
///   under way at most, and 256 tokens wait at most. Tokens that were not good when they were last asked about, as all
///   made-up ones, take three quarters of that at most.
/// - Whatever else happens (no connection, too slow, 5xx, a page instead of an answer, our own secret refused) says
///   nothing about the token: [`TokenError::Unavailable`], which a guard makes a 503 of.
///
/// [`VerifiedTokens`](crate::VerifiedTokens) around it remembers nothing, since it must not.
#[derive(Clone)]
pub struct Introspection {
    shared: Arc<Shared>,
    _search: Option<Arc<Task>>,
}

/// Ends with its last handle.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared {
    http: Http,
    client: ClientCredentials,
    authentication: Option<ClientAuthentication>,
    expected: Expected,
    /// The first, for what people are told, and for tokens of our own.
    resource: String,
    timeout: Duration,
    endpoint: watch::Receiver<Whereabouts>,
    /// The endpoint may no longer be where it was.
    lost: Arc<Notify>,
    flights: Flights,
    at_once: Room,
    reachability: Arc<Reachability>,
    /// The endpoint that last gave a well-formed answer.
    understood: Mutex<Option<Url>>,
    epoch: AtomicU64,
}

impl Introspection {
    /// Asks this issuer about tokens that have to be for this audience (one more by
    /// [`IntrospectionBuilder::also_for`]), as this client.
    ///
    /// # Errors
    /// When it is no issuer: https, or http on a loopback host, without query, fragment and user; or TLS cannot be set
    /// up.
    pub fn builder(
        issuer: &str,
        audience: &str,
        client: ClientCredentials,
    ) -> Result<IntrospectionBuilder, IntrospectionError> {
        well_known_urls(issuer)?;
        Ok(IntrospectionBuilder {
            http: Http::new(AT_ONCE).map_err(IntrospectionError::Client)?,
            client,
            authentication: None,
            endpoint: None,
            expected: Expected::new(issuer.to_owned(), audience),
            resource: audience.to_owned(),
            timeout: TIMEOUT,
            remember: REMEMBERED,
        })
    }

    /// How the endpoint is at this moment, for a health endpoint.
    pub fn status(&self) -> ProviderStatus {
        self.shared.reachability.status()
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("issuer", &self.shared.expected.issuer)
            .field("client", &self.shared.client)
            .finish_non_exhaustive()
    }
}

/// Settings of an [`Introspection`], before it is started.
#[derive(Debug)]
pub struct IntrospectionBuilder {
    http: Http,
    client: ClientCredentials,
    authentication: Option<ClientAuthentication>,
    endpoint: Option<Endpoint>,
    expected: Expected,
    resource: String,
    timeout: Duration,
    remember: Duration,
}

impl IntrospectionBuilder {
    /// Asks here; without it the issuer's metadata says where.
    ///
    /// # Errors
    /// When the URL is not https (or http on a loopback host), or has user information or a fragment.
    pub fn endpoint(mut self, url: &str) -> Result<Self, IntrospectionError> {
        self.endpoint = Some(Endpoint::at(permitted(url).map_err(IntrospectionError::Endpoint)?));
        Ok(self)
    }

    /// Accepts one more audience.
    #[must_use]
    pub fn also_for(mut self, audience: &str) -> Self {
        self.expected.also_for(audience);
        self
    }

    /// How the client says who it is; without it as the issuer's metadata allows, and Basic if that says nothing.
    #[must_use]
    pub const fn authentication(mut self, how: ClientAuthentication) -> Self {
        self.authentication = Some(how);
        self
    }

    /// How long a good answer serves: a second by default, a minute at most. Not at all with zero: every request asks.
    ///
    /// It is how long a revoked token is still accepted.
    #[must_use]
    pub fn remember_for(mut self, time: Duration) -> Self {
        self.remember = time.min(LONGEST_REMEMBERED);
        self
    }

    /// How long a question may take, and so how long a request may wait for it; 5 seconds by default.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How far the clocks of issuer and server may differ; 30 seconds by default.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.expected.leeway = leeway;
        self
    }

    /// Starts the task that finds the endpoint, unless that is given. It does so at once, and this does not wait for it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, unless the endpoint is given.
    pub fn start(self) -> Introspection {
        let reachability = Arc::new(Reachability::default());
        let lost = Arc::new(Notify::new());
        let known = self.endpoint.is_some();
        let whereabouts = self.endpoint.map_or(Whereabouts::Sought, |endpoint| Whereabouts::Known(Arc::new(endpoint)));
        let (sender, endpoint) = watch::channel(whereabouts);
        let shared = Arc::new(Shared {
            http: self.http,
            client: self.client,
            authentication: self.authentication,
            expected: self.expected,
            resource: self.resource,
            timeout: self.timeout,
            endpoint,
            lost: Arc::clone(&lost),
            flights: Flights::new(self.remember),
            at_once: Room::of(AT_ONCE),
            reachability,
            understood: Mutex::default(),
            epoch: AtomicU64::new(0),
        });
        let search = (!known).then(|| {
            let search = Search { shared: Arc::clone(&shared), lost, found: sender };
            Arc::new(Task(tokio::spawn(search.run()).abort_handle()))
        });
        Introspection { shared, _search: search }
    }
}

/// Why there can be no [`Introspection`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// Nobody is asked under such a name.
    #[error(transparent)]
    Issuer(#[from] DiscoveryError),
    /// Tokens and a secret are not sent to such a URL.
    #[error("no URL for an introspection endpoint: {0}")]
    Endpoint(&'static str),
    /// There can be no HTTP client, usually for want of root certificates.
    #[error("no HTTP client: {0}")]
    Client(String),
}

/// What a token is known by, if it can be one at all. Nothing is sent to the issuer that cannot.
fn key(token: &str) -> Result<[u8; 32], TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed("the token is longer than 16 KiB"));
    }
    // RFC 6750 §2.1.
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if token.is_empty() || !token.bytes().all(fits) {
        return Err(TokenError::Malformed("the token has characters that no token has"));
    }
    digest(&SHA256, token.as_bytes()).as_ref().try_into().map_err(|_| TokenError::Unavailable)
}

impl TokenVerifier for Introspection {
    async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
        let key = key(token)?;
        let shared = Arc::clone(&self.shared);
        let token = token.to_owned();
        self.shared.flights.outcome(key, async move |stranger| shared.outcome(&token, stranger).await).await
    }

    fn remembered(&self, token: &str) -> Option<Arc<AccessToken>> {
        self.shared.flights.known(&key(token).ok()?)
    }

    fn provider(&self) -> Option<ProviderStatus> {
        Some(self.status())
    }

    /// Another each time: what was good a moment ago is asked about again, whoever remembers it.
    fn epoch(&self) -> u64 {
        self.shared.epoch.fetch_add(1, Ordering::Relaxed)
    }
}

impl Shared {
    async fn outcome(&self, token: &str, stranger: bool) -> Outcome {
        let answer = within(self.timeout, async {
            let endpoint = self.whereabouts().await.ok_or(Fault::NoEndpoint)?;
            let _turn = self.at_once.wait(stranger).await.ok_or(Fault::NoEndpoint)?;
            match self.question(&endpoint, token).await {
                // The question is the same for each token, and was understood here before: it is the token.
                Err(Fault::InvalidRequest) if self.is_understood_at(&endpoint) => Ok(Answer::Inactive),
                said => said,
            }
        })
        .await
        // Its own time-out included. The search paces itself.
        .inspect_err(|fault| {
            if fault.may_be_of_another_place() {
                self.lost.notify_one();
            }
        });
        match answer {
            Ok(answer) => {
                self.answered();
                match answer {
                    Answer::Inactive => Err(TokenError::Inactive),
                    Answer::Active(claims) => self.expected.of_introspected(claims, SystemTime::now()).map(Arc::new),
                }
            }
            // The search has said why.
            Err(Fault::NoEndpoint) => Err(TokenError::Unavailable),
            Err(fault) => {
                self.tell(&fault);
                Err(TokenError::Unavailable)
            }
        }
    }

    /// Where to ask, when the search under way has ended.
    async fn whereabouts(&self) -> Option<Arc<Endpoint>> {
        let mut endpoint = self.endpoint.clone();
        let known = endpoint.wait_for(|whereabouts| !matches!(whereabouts, Whereabouts::Sought)).await.ok()?;
        known.endpoint()
    }

    fn understood(&self) -> MutexGuard<'_, Option<Url>> {
        self.understood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_understood_at(&self, endpoint: &Endpoint) -> bool {
        self.understood().as_ref() == Some(&endpoint.url)
    }

    fn answered(&self) {
        if self.reachability.succeeded() {
            tracing::info!(issuer = &*self.expected.issuer, "the issuer answers about tokens again");
        }
    }

    /// Once, not for every request of a long night; and again when it turns out to be our own mistake.
    fn tell(&self, fault: &Fault) {
        let problem = self.in_words(fault);
        let before = self.reachability.failed(problem.clone());
        let issuer = &*self.expected.issuer;
        if matches!(fault, Fault::ClientRefused) && before.as_ref() != Some(&problem) {
            tracing::error!(issuer, "no token can be introspected: {problem}");
        } else if before.is_none() {
            tracing::warn!(issuer, "no token can be introspected: {problem}");
        } else {
            tracing::debug!(issuer, "still no token can be introspected: {problem}");
        }
    }
}
