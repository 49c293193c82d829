//! Passwords that are guessed get slower; nobody is locked out.
//!
//! Failures are counted three times: for an account from one address, for an account over all addresses (many machines,
//! one account), and for an address over all accounts (one password, tried on many). A stranger can make the second slow
//! for the account's owner, which is why it grows least, and why it does not count where the owner has logged in before.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use super::{asker, whole_seconds};

/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Failures are forgotten so long after the last of them.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// The count of an account over all addresses.
const OF_ACCOUNT: usize = 1;
/// How long an address is an account's own after a login.
const OWNED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How much each count remembers. Pushing something out takes as many failures.
const REMEMBERED: u64 = 20_000;
/// No account's name is longer, in characters.
const NAME: usize = 256;

/// How long the next attempt at a password has to wait.
pub(crate) struct LoginDelays {
    /// By account and address, by account, by address.
    counts: [Count; 3],
    /// Where an account's owner has logged in before: what others do to the account does not slow the owner there.
    owners: Cache<u64, ()>,
    hasher: RandomState,
    /// Held over all counts: whether an attempt may begin is decided, and taken down, in one step.
    turn: Mutex<()>,
}

/// Failures of one kind.
struct Count {
    /// So many cost nothing.
    free: u32,
    longest_wait: Duration,
    cleared_by_success: bool,
    /// The keys are hashes: names and addresses of any length take the same room.
    failures: Cache<u64, Failures>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    number: u32,
    last: Option<Instant>,
    /// Attempts whose outcome is not known: each may become a failure.
    under_way: u32,
}

impl Count {
    fn new(free: u32, longest_wait: Duration, cleared_by_success: bool, remembered: u64) -> Self {
        // Not by popularity: what was written last is what is under attack.
        let failures = Cache::builder().max_capacity(remembered).eviction_policy(EvictionPolicy::lru()).build();
        Self { free, longest_wait, cleared_by_success, failures }
    }

    fn of(&self, key: u64, now: Instant) -> Failures {
        let failures = self.failures.get(&key).unwrap_or_default();
        let forgotten = failures.last.is_some_and(|last| now.duration_since(last) >= FORGOTTEN);
        if forgotten { Failures { under_way: failures.under_way, ..Failures::default() } } else { failures }
    }

    fn set(&self, key: u64, failures: Failures) {
        if failures.number == 0 && failures.under_way == 0 {
            self.failures.invalidate(&key);
        } else {
            self.failures.insert(key, failures);
        }
    }

    /// How long one more attempt has to wait; nothing if it need not.
    fn wait(&self, key: u64, now: Instant) -> Option<Duration> {
        let failures = self.of(key, now);
        if failures.number.saturating_add(failures.under_way) < self.free {
            return None;
        }
        if failures.under_way > 0 {
            // Past the free ones it is one at a time: of many at once, all but one would have begun too soon.
            return Some(FIRST_WAIT);
        }
        let doubled = 1_u32.checked_shl(failures.number - self.free).unwrap_or(u32::MAX);
        let wait = FIRST_WAIT.saturating_mul(doubled).min(self.longest_wait);
        let over = failures.last? + wait;
        (now < over).then(|| over - now)
    }

    fn begin(&self, key: u64, now: Instant) {
        let failures = self.of(key, now);
        self.set(key, Failures { under_way: failures.under_way + 1, ..failures });
    }

    fn end(&self, key: u64, now: Instant, succeeded: bool) {
        let mut failures = self.of(key, now);
        failures.under_way = failures.under_way.saturating_sub(1);
        if !succeeded {
            failures.number = failures.number.saturating_add(1);
            failures.last = Some(now);
        } else if self.cleared_by_success {
            failures.number = 0;
            failures.last = None;
        }
        self.set(key, failures);
    }
}

impl LoginDelays {
    pub(crate) fn new() -> Self {
        Self::remembering(REMEMBERED)
    }

    fn remembering(entries: u64) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            counts: [
                Count::new(3, minute, true, entries),
                Count::new(30, Duration::from_secs(10), true, entries),
                // A guesser with one account of his own must not be able to wipe it out.
                Count::new(20, minute, false, entries),
            ],
            owners: Cache::builder()
                .max_capacity(entries)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(OWNED)
                .build(),
            hasher: RandomState::new(),
            turn: Mutex::new(()),
        }
    }

    /// Begins an attempt to log in, before the password is looked at. `account` is what was typed; upper case and space
    /// around it do not matter.
    ///
    /// # Errors
    /// When it comes too soon: how long to wait, in whole seconds. Asking again before that makes it no longer.
    pub(crate) fn begin(&self, account: &str, from: IpAddr) -> Result<Attempt<'_>, Duration> {
        let account: String = account.trim().chars().take(NAME).flat_map(char::to_lowercase).collect();
        let from = asker(from);
        let keys = [self.hasher.hash_one((&account, from)), self.hasher.hash_one(&account), self.hasher.hash_one(from)];

        let _turn = self.turn();
        let now = Instant::now();
        let waits = self.counts.iter().zip(keys).map(|(count, key)| count.wait(key, now));
        let own = self.owners.contains_key(&keys[0]);
        let waits = waits.enumerate().filter(|(count, _)| !(own && *count == OF_ACCOUNT));
        if let Some(wait) = waits.filter_map(|(_, wait)| wait).max() {
            return Err(whole_seconds(wait));
        }
        for (count, key) in self.counts.iter().zip(keys) {
            count.begin(key, now);
        }
        Ok(Attempt { delays: self, keys, succeeded: false })
    }

    fn end(&self, keys: [u64; 3], succeeded: bool) {
        let _turn = self.turn();
        let now = Instant::now();
        if succeeded {
            self.owners.insert(keys[0], ());
        }
        for (count, key) in self.counts.iter().zip(keys) {
            count.end(key, now, succeeded);
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // It guards no value that a panic could leave half written.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt whose outcome is not known. Dropped without a word it has failed: a guess must not be free because its
/// connection was closed in time.
#[must_use]
pub(crate) struct Attempt<'a> {
    delays: &'a LoginDelays,
    keys: [u64; 3],
    succeeded: bool,
}

impl Attempt<'_> {
    /// The password was right: what was counted for the account is forgotten.
    pub(crate) fn succeeded(mut self) {
        self.succeeded = true;
    }

    /// The password was wrong, or there is no such account.
    pub(crate) fn failed(self) {}
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.delays.end(self.keys, self.succeeded);
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::AssertUnwindSafe, sync::Barrier};

    use tokio::time::advance;

    use super::*;

    const HERE: &str = "203.0.113.7";
    const THERE: &str = "198.51.100.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The `n`th of many addresses.
    fn nth(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[track_caller]
    fn begin<'a>(delays: &'a LoginDelays, account: &str, from: IpAddr) -> Attempt<'a> {
        delays.begin(account, from).unwrap_or_else(|wait| panic!("{account} from {from} has to wait for {wait:?}"))
    }

    #[track_caller]
    fn fail(delays: &LoginDelays, account: &str, from: &str, times: u32) {
        for _ in 0..times {
            begin(delays, account, ip(from)).failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_doubles_the_wait() {
        let delays = LoginDelays::new();
        fail(&delays, "alice", HERE, 3);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(expected)));
            advance(seconds(expected) - Duration::from_millis(1)).await;
            assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(1)), "rounded up");
            advance(Duration::from_millis(1)).await;
            fail(&delays, "alice", HERE, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_costs_nothing() {
        let delays = LoginDelays::new();
        fail(&delays, "alice", HERE, 3);
        advance(seconds(1)).await;
        fail(&delays, "alice", HERE, 1);
        for _ in 0..1000 {
            assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(2)));
        }
        advance(seconds(2)).await;
        begin(&delays, "alice", ip(HERE)).succeeded();
    }

    #[tokio::test(start_paused = true)]
    async fn other_accounts_and_other_addresses_are_not_affected() {
        let delays = LoginDelays::new();
        fail(&delays, "alice", HERE, 3);
        assert!(delays.begin("alice", ip(HERE)).is_err());
        assert!(delays.begin(" ALICE ", ip("::ffff:203.0.113.7")).is_err(), "the same account, the same address");
        fail(&delays, "alice", THERE, 1);
        fail(&delays, "bob", HERE, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_password_on_many_accounts() {
        let delays = LoginDelays::new();
        for n in 0..20 {
            fail(&delays, &format!("user{n}"), HERE, 1);
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(delays.begin("somebody else", ip(HERE)).err(), Some(seconds(expected)));
            advance(seconds(expected)).await;
            fail(&delays, &format!("after {expected}"), HERE, 1);
        }
        fail(&delays, "somebody else", THERE, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_account_from_many_addresses() {
        let delays = LoginDelays::new();
        for n in 0..30 {
            begin(&delays, "alice", nth(n)).failed();
        }
        for (n, expected) in (100..).zip([1, 2, 4, 8, 10, 10, 10]) {
            assert_eq!(delays.begin("alice", ip(THERE)).err(), Some(seconds(expected)), "the owner's wait");
            advance(seconds(expected)).await;
            begin(&delays, "alice", nth(n)).failed();
        }
        fail(&delays, "bob", THERE, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn success_clears_the_account_and_not_the_address() {
        let delays = LoginDelays::new();
        for n in 0..27 {
            begin(&delays, "alice", nth(n)).failed();
        }
        fail(&delays, "alice", HERE, 3);
        assert!(delays.begin("alice", ip(THERE)).is_err());
        advance(seconds(1)).await;
        begin(&delays, "alice", ip(HERE)).succeeded();
        fail(&delays, "alice", HERE, 3);
        fail(&delays, "alice", THERE, 3);

        // Three of HERE's are alice's before, three after: with 14 more it has had its 20.
        for n in 0..14 {
            fail(&delays, &format!("user{n}"), HERE, 1);
        }
        advance(seconds(1)).await;
        begin(&delays, "mallory", ip(HERE)).succeeded();
        fail(&delays, "user14", HERE, 1);
        assert_eq!(delays.begin("user15", ip(HERE)).err(), Some(seconds(2)), "his own login has not helped");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_locked_out_for_good() {
        let delays = LoginDelays::new();
        for _ in 0..200 {
            advance(seconds(60)).await;
            fail(&delays, "alice", HERE, 1);
        }
        advance(seconds(60)).await;
        begin(&delays, "alice", ip(HERE)).succeeded();
        fail(&delays, "alice", THERE, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten() {
        let delays = LoginDelays::new();
        fail(&delays, "alice", HERE, 3);
        for wait in [1, 2, 4, 8, 16, 32, 60] {
            advance(seconds(wait)).await;
            fail(&delays, "alice", HERE, 1);
        }
        advance(FORGOTTEN - seconds(1)).await;
        fail(&delays, "alice", HERE, 1);
        assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(60)), "that was a moment too early");
        advance(FORGOTTEN).await;
        fail(&delays, "alice", HERE, 3);
        assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(1)));
    }

    #[test]
    fn guesses_in_parallel_do_not_slip_through() {
        for (free, account, address) in [
            (3, (|_| "alice".to_owned()) as fn(u32) -> String, (|_| ip(HERE)) as fn(u32) -> IpAddr),
            (20, |n| format!("user{n}"), |_| ip(HERE)),
            (30, |_| "alice".to_owned(), nth),
        ] {
            let delays = LoginDelays::new();
            let together = Barrier::new(100);
            let attempts: Vec<_> = std::thread::scope(|scope| {
                let guess = |n| {
                    let (delays, together) = (&delays, &together);
                    scope.spawn(move || {
                        together.wait();
                        delays.begin(&account(n), address(n))
                    })
                };
                let guesses: Vec<_> = (0..100).map(guess).collect();
                guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
            });
            let begun = attempts.iter().filter(|attempt| attempt.is_ok()).count();
            assert_eq!(begun, free);
            assert!(attempts.iter().all(|attempt| attempt.as_ref().err().is_none_or(|wait| *wait == seconds(1))));
            drop(attempts);
            assert!(delays.begin(&account(0), address(0)).is_err(), "dropped without a word, they have failed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_free_ones_it_is_one_at_a_time() {
        let delays = LoginDelays::new();
        fail(&delays, "alice", HERE, 3);
        advance(seconds(1)).await;
        let guess = begin(&delays, "alice", ip(HERE));
        assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(1)));
        guess.failed();
        assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure() {
        let delays = LoginDelays::new();
        for _ in 0..3 {
            let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let _attempt = begin(&delays, "alice", ip(HERE));
                std::panic::resume_unwind(Box::new("while the password is looked at"));
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(delays.begin("alice", ip(HERE)).err(), Some(seconds(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let delays = LoginDelays::remembering(100);
        let name = "x".repeat(100_000);
        for n in 0..5000 {
            let _ = delays.begin(&format!("{n}{name}"), nth(n)).map(Attempt::failed);
        }
        for count in &delays.counts {
            count.failures.run_pending_tasks();
            assert!(count.failures.entry_count() <= 100, "{}", count.failures.entry_count());
        }
        // Those who were last are known.
        let last = format!("4999{name}");
        for _ in 0..2 {
            begin(&delays, &last, nth(4999)).failed();
        }
        assert!(delays.begin(&last, nth(4999)).is_err());
    }

    #[test]
    fn success_leaves_nothing_behind() {
        let delays = LoginDelays::new();
        begin(&delays, "alice", ip(HERE)).succeeded();
        for count in &delays.counts {
            count.failures.run_pending_tasks();
            assert_eq!(count.failures.entry_count(), 0);
        }
    }
}
