//! What was answered a moment ago, and who waits for which question.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::room::Room;
use crate::{AccessToken, TokenError, moment::Moment};

/// So many good answers are kept, of a few kilobytes each.
const KEPT: usize = 4096;
/// So many tokens are asked about or wait for it. Beyond that the server is flooded, or the issuer down.
const MOST: usize = 256;
/// Of so many tokens it is known that they were good, in 40 bytes each.
const MARKED: usize = 32 * 1024;
/// When nobody was turned away for so long, a flood is over: one that comes and goes is logged once.
const PEACE: Duration = Duration::from_secs(60);

/// What is said of a token.
pub(super) type Outcome = Result<Arc<AccessToken>, TokenError>;
type Key = [u8; 32];

pub(super) struct Flights(Arc<Shared>);

struct Shared {
    kept: Cache<Key, Kept>,
    /// Tokens that were good when they were last asked about, and their `exp`. It gets them a place, never an answer.
    marked: Cache<Key, u64>,
    under_way: Mutex<HashMap<Key, Flight>>,
    places: Room,
    /// When somebody was last turned away.
    flooded: Mutex<Option<Moment>>,
    remember: Duration,
}

#[derive(Clone)]
struct Kept {
    token: Arc<AccessToken>,
    /// Before it was asked about: the answer may have been true then and no longer when it came.
    asked: Moment,
}

struct Flight {
    asked: Moment,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Flights {
    /// Each good answer serves so long.
    pub(super) fn new(remember: Duration) -> Self {
        Self(Arc::new(Shared {
            kept: Cache::new(KEPT),
            marked: Cache::new(MARKED),
            under_way: Mutex::default(),
            places: Room::of(MOST),
            flooded: Mutex::default(),
            remember,
        }))
    }

    /// A good answer of a moment ago.
    pub(super) fn known(&self, key: &Key) -> Option<Arc<AccessToken>> {
        self.0.known(key)
    }

    /// A good answer of a moment ago, or what a question under way brings, or else what `ask` brings, which is told
    /// whether the token is a stranger's. That goes on in a task of its own, whatever becomes of this caller.
    pub(super) async fn outcome<F>(&self, key: Key, ask: impl FnOnce(bool) -> F + Send + 'static) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut outcome = match self.0.board(key, ask) {
            Ok(outcome) => outcome,
            Err(known) => return known,
        };
        let ended = outcome.wait_for(Option::is_some).await;
        // Without an outcome the task has died.
        ended.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(TokenError::Unavailable))
    }
}

impl Shared {
    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: &Key) -> Option<Arc<AccessToken>> {
        let kept = self.kept.get(key)?;
        if kept.asked.elapsed() < self.remember && now() < kept.token.expires_at {
            return Some(kept.token);
        }
        self.kept.remove(key);
        None
    }

    /// The question to wait for, unless there is no need, or no room.
    fn board<F>(
        self: &Arc<Self>,
        key: Key,
        ask: impl FnOnce(bool) -> F + Send + 'static,
    ) -> Result<watch::Receiver<Option<Outcome>>, Outcome>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        // Held while both are looked at: a question that ends in between would be asked again.
        let mut under_way = self.under_way();
        if let Some(known) = self.known(&key) {
            return Err(Ok(known));
        }
        // One that began too long ago may bring what is no longer true.
        if let Some(flight) = under_way.get(&key).filter(|flight| flight.asked.elapsed() < self.remember) {
            return Ok(flight.outcome.clone());
        }
        let stranger = !self.is_marked(&key);
        let place = self.places.enter(stranger);
        self.tell_of_floods(place.is_none());
        let place = place.ok_or(Err(TokenError::Unavailable))?;
        let (sender, outcome) = watch::channel(None);
        let asked = Moment::now();
        under_way.insert(key, Flight { asked, outcome: outcome.clone() });
        drop(under_way);
        let landing = Landing { shared: Arc::clone(self), key, outcome: outcome.clone() };
        tokio::spawn(async move {
            let _place = place;
            let said = ask(stranger).await;
            landing.shared.mark(key, &said);
            if let Ok(token) = &said {
                landing.shared.keep(key, Kept { token: Arc::clone(token), asked });
            }
            // Whoever comes from here on finds what was kept, or asks anew.
            drop(landing);
            sender.send_replace(Some(said));
        });
        Ok(outcome)
    }

    fn keep(&self, key: Key, kept: Kept) {
        if kept.asked.elapsed() < self.remember {
            self.kept.insert(key, kept);
        }
    }

    fn is_marked(&self, key: &Key) -> bool {
        self.marked.get(key).is_some_and(|expires_at| now() < expires_at)
    }

    fn mark(&self, key: Key, said: &Outcome) {
        match said {
            Ok(token) => self.marked.insert(key, token.expires_at),
            Err(error) if error.is_undecided() => {}
            Err(_) => {
                self.marked.remove(&key);
            }
        }
    }

    /// Those who are turned away are told no reason: the operator is, once.
    fn tell_of_floods(&self, turned_away: bool) {
        let mut flooded = self.flooded.lock().unwrap_or_else(PoisonError::into_inner);
        match *flooded {
            None if turned_away => tracing::warn!(
                "more tokens are to be introspected than there is room for; some are answered 503 without a question, \
                 those that were good before last"
            ),
            Some(last) if !turned_away && last.elapsed() >= PEACE => {
                tracing::info!("there is room again for every token that is to be introspected");
                *flooded = None;
            }
            _ => {}
        }
        if turned_away {
            *flooded = Some(Moment::now());
        }
    }
}

/// Takes a question off the list when it has ended, however.
struct Landing {
    shared: Arc<Shared>,
    key: Key,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut under_way = self.shared.under_way();
        // Another may have taken its place.
        if under_way.get(&self.key).is_some_and(|flight| flight.outcome.same_channel(&self.outcome)) {
            under_way.remove(&self.key);
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::Map;
    use tokio::sync::Semaphore;

    use super::*;

    fn token(expires_at: u64) -> Arc<AccessToken> {
        Arc::new(AccessToken {
            issuer: "issuer".into(),
            subject: "alice".into(),
            client_id: None,
            username: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            tools: None,
            expires_at,
            kid: None,
            claims: Map::new(),
        })
    }

    fn key(n: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_le_bytes());
        key
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let flights = Flights::new(Duration::from_secs(60));
        let good = token(now() + 600);
        for n in 0..3 * KEPT {
            let good = Arc::clone(&good);
            assert!(flights.outcome(key(n), async move |_| Ok(good)).await.is_ok());
        }
        assert!(flights.0.kept.len() <= KEPT, "{}", flights.0.kept.len());
        assert!(flights.0.under_way().is_empty());
    }

    #[tokio::test]
    async fn who_is_no_stranger() {
        let flights = Flights::new(Duration::ZERO);
        let strange = async |said: Outcome| {
            let (sender, told) = tokio::sync::oneshot::channel();
            let ask = async move |stranger| {
                sender.send(stranger).unwrap();
                said
            };
            let _ = flights.outcome(key(0), ask).await;
            told.await.unwrap()
        };
        let good = || Ok(token(now() + 600));
        assert!(strange(Err(TokenError::Inactive)).await && strange(good()).await);
        assert!(!strange(Err(TokenError::Unavailable)).await, "it was good");
        assert!(!strange(Err(TokenError::Inactive)).await, "an outage says nothing about it");
        assert!(strange(good()).await, "it was revoked");
        assert!(!strange(Ok(token(now()))).await);
        assert!(strange(good()).await, "it has expired");
        for n in 0..2 * MARKED {
            flights.0.mark(key(n), &good());
        }
        assert!(flights.0.marked.len() <= MARKED, "{}", flights.0.marked.len());
    }

    #[tokio::test]
    async fn an_answer_is_as_old_as_its_question() {
        let flights = Flights::new(Duration::from_millis(50));
        let good = token(now() + 600);
        let asked = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let (asked, good) = (Arc::clone(&asked), Arc::clone(&good));
            let slow = async move |_| {
                tokio::time::sleep(Duration::from_millis(51)).await;
                asked.fetch_add(1, Ordering::SeqCst);
                Ok(good)
            };
            assert!(flights.outcome(key(0), slow).await.is_ok());
            assert_eq!(flights.known(&key(0)), None, "it may have been revoked while the answer was on its way");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn nobody_joins_a_question_that_is_too_old() {
        let flights = Arc::new(Flights::new(Duration::ZERO));
        let gate = Arc::new(Semaphore::new(0));
        let ask = || {
            let (flights, gate) = (Arc::clone(&flights), Arc::clone(&gate));
            tokio::spawn(async move {
                let held = async move |_| {
                    gate.acquire().await.map_err(|_| TokenError::Unavailable)?.forget();
                    Ok(token(0))
                };
                flights.outcome(key(0), held).await
            })
        };
        let (first, second) = (ask(), ask());
        while flights.0.places.free() > MOST - 2 {
            tokio::task::yield_now().await;
        }
        // The first to end does not take the other off the list.
        gate.add_permits(1);
        assert!(first.await.unwrap().is_ok());
        assert_eq!(flights.0.under_way().len(), 1);
        gate.add_permits(1);
        assert!(second.await.unwrap().is_ok());
        assert!(flights.0.under_way().is_empty());
    }

    #[tokio::test]
    async fn a_question_that_dies_leaves_nobody_waiting() {
        let flights = Flights::new(Duration::from_secs(60));
        let dies = async |_| -> Outcome { panic!("as it should in this test") };
        assert_eq!(flights.outcome(key(0), dies).await, Err(TokenError::Unavailable));
        assert!(flights.0.under_way().is_empty());
        assert!(flights.outcome(key(0), async |_| Ok(token(now() + 600))).await.is_ok());
        assert_eq!(flights.0.places.free(), MOST);
    }
}
