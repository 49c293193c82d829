//! So many at once, then one every so often, for each address by itself.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};

use super::{asker, whole_seconds};

/// After so many questions, those who have not asked for long are forgotten.
const SWEEP: u32 = 1024;

/// A limit for each address: IPv4 as it is, IPv6 by its /64.
///
/// What it remembers is whoever asked within the last `burst` × `per`.
pub(crate) struct PerAddress<C: Clock = DefaultClock> {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    questions: AtomicU32,
}

impl PerAddress {
    /// Allows `burst` at once, and one more every `per` (at least a nanosecond).
    pub(crate) fn new(burst: NonZeroU32, per: Duration) -> Self {
        Self::with_clock(burst, per, DefaultClock::default())
    }
}

impl<C: Clock + Clone> PerAddress<C> {
    fn with_clock(burst: NonZeroU32, per: Duration, clock: C) -> Self {
        // There is a quota for every period but none.
        let quota = Quota::with_period(per).unwrap_or(Quota::per_second(NonZeroU32::MAX)).allow_burst(burst);
        let limiter = RateLimiter::dashmap_with_clock(quota, clock.clone());
        Self { limiter, clock, questions: AtomicU32::new(0) }
    }

    /// Takes one of what `from` may have.
    ///
    /// # Errors
    /// When there is none left: how long until there is, in whole seconds.
    pub(crate) fn check(&self, from: IpAddr) -> Result<(), Duration> {
        if self.questions.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
        }
        let answer = self.limiter.check_key(&asker(from));
        answer.map_err(|not_until| whole_seconds(not_until.wait_time_from(self.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const PER: Duration = Duration::from_secs(10);

    fn limit(burst: u32) -> (PerAddress<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (PerAddress::with_clock(NonZeroU32::new(burst).unwrap(), PER, clock.clone()), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_then_one_every_so_often() {
        let (limit, clock) = limit(3);
        let from = ip("203.0.113.7");
        for _ in 0..3 {
            assert_eq!(limit.check(from), Ok(()));
        }
        assert_eq!(limit.check(from), Err(PER));
        clock.advance(Duration::from_millis(9001));
        assert_eq!(limit.check(from), Err(Duration::from_secs(1)), "rounded up");
        clock.advance(Duration::from_millis(999));
        assert_eq!(limit.check(from), Ok(()), "what was refused has cost nothing");
        assert_eq!(limit.check(from), Err(PER));
    }

    #[test]
    fn others_are_not_affected() {
        let (limit, _) = limit(1);
        assert_eq!(limit.check(ip("203.0.113.7")), Ok(()));
        assert_eq!(limit.check(ip("::ffff:203.0.113.7")), Err(PER), "the same address");
        assert_eq!(limit.check(ip("203.0.113.8")), Ok(()));
        assert_eq!(limit.check(ip("2001:db8::1")), Ok(()));
        assert_eq!(limit.check(ip("2001:db8::2")), Err(PER), "the same network");
        assert_eq!(limit.check(ip("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn who_has_not_asked_for_long_is_forgotten() {
        let (limit, clock) = limit(3);
        let strangers = 10 * SWEEP;
        for n in 0..strangers {
            assert_eq!(limit.check(IpAddr::V4(n.into())), Ok(()));
        }
        assert_eq!(limit.limiter.len(), strangers as usize);
        clock.advance(4 * PER);
        let patient = ip("203.0.113.7");
        for _ in 0..SWEEP {
            let _ = limit.check(patient);
        }
        assert_eq!(limit.limiter.len(), 1);
        assert!(limit.check(patient).is_err(), "who asks is remembered");
    }
}
