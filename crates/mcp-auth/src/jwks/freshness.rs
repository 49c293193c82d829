//! How long keys stay fresh, when to try again, when they are too old.

use std::time::Duration;

use headers::{Age, CacheControl, HeaderMap, HeaderMapExt};

use crate::moment::Moment;

/// Keycloak says `no-cache`; a fetch for every request is not what it means.
const SHORTEST: Duration = Duration::from_secs(60);
/// A key that is removed must go within a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// If the provider says nothing.
const UNSAID: Duration = Duration::from_secs(5 * 60);

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How long an answer with these headers is fresh: `max-age` without what it has spent in caches (RFC 9111 §4.2),
/// within one minute and 24 hours.
pub(super) fn fresh_for(headers: &HeaderMap) -> Duration {
    let spent = headers.typed_get::<Age>().map_or(Duration::ZERO, Duration::from);
    let allowed = match headers.typed_get::<CacheControl>() {
        Some(cache) if cache.no_store() || cache.no_cache() => SHORTEST,
        Some(cache) => cache.max_age().map_or(UNSAID, |max_age| max_age.saturating_sub(spent)),
        None => UNSAID,
    };
    allowed.clamp(SHORTEST, LONGEST)
}

/// When to fetch, without being asked.
#[derive(Debug)]
pub(super) struct Schedule {
    stale_for: Duration,
    /// The last good answer, and how long it is fresh.
    success: Option<(Moment, Duration)>,
    /// The last fetch, if it failed, and how long after it to try again.
    failure: Option<(Moment, Duration)>,
}

impl Schedule {
    pub(super) const fn new(stale_for: Duration) -> Self {
        Self { stale_for, success: None, failure: None }
    }

    pub(super) fn succeeded(&mut self, fresh_for: Duration) {
        // Some providers allow 24 hours, which is how long stale keys may serve: fetched that late, the first failure
        // would be the end of them.
        self.success = Some((Moment::now(), fresh_for.min(self.stale_for / 2)));
        self.failure = None;
    }

    pub(super) fn failed(&mut self) {
        let wait = self.failure.map_or(FIRST_RETRY, |(_, last)| (last * 2).min(LAST_RETRY));
        self.failure = Some((Moment::now(), wait));
    }

    /// Whether the last fetch failed.
    pub(super) const fn is_down(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn until_fetch(&self) -> Duration {
        let (since, wait) = match (self.failure, self.success) {
            (Some(failure), _) => failure,
            (None, Some(success)) => success,
            (None, None) => return Duration::ZERO,
        };
        wait.saturating_sub(since.elapsed())
    }

    /// How long the keys may still be used; nothing if there are none.
    pub(super) fn until_stale(&self) -> Option<Duration> {
        self.success.map(|(since, _)| self.stale_for.saturating_sub(since.elapsed()))
    }

    /// Whether they are not to be used any more. Only a fetch that failed says so: after a suspended night, or when the
    /// clock is set, one is tried first.
    pub(super) fn is_stale(&self) -> bool {
        self.is_down() && self.until_stale() == Some(Duration::ZERO)
    }

    /// The keys were dropped.
    pub(super) const fn forgotten(&mut self) {
        self.success = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use headers::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn what_a_provider_may_say() {
        for (cache_control, age, seconds) in [
            (None, None, 300),
            (None, Some("10"), 300),
            (Some("no-cache"), None, 60),
            (Some("no-store"), None, 60),
            (Some("no-cache, max-age=3600"), None, 60),
            (Some("max-age=0, no-store, must-revalidate"), None, 60),
            (Some("max-age=3600"), None, 3600),
            (Some("public, max-age=21600, must-revalidate, no-transform"), None, 21_600),
            (Some("max-age=\"3600\""), None, 3600),
            (Some("max-age=3600"), Some("600"), 3000),
            (Some("max-age=3600"), Some("3600"), 60),
            (Some("max-age=3600"), Some("99999"), 60),
            (Some("max-age=3600"), Some("yesterday"), 3600),
            (Some("max-age=0"), None, 60),
            (Some("max-age=59"), None, 60),
            (Some("max-age=86400, private"), None, 86_400),
            (Some("max-age=31536000, immutable"), None, 86_400),
            (Some("max-age=18446744073709551615"), None, 86_400),
            (Some("max-age=18446744073709551615"), Some("18446744073709551615"), 60),
            (Some("max-age=-1"), None, 300),
            (Some("max-age="), None, 300),
            (Some("private"), None, 300),
            (Some("s-maxage=9999"), None, 300),
            (Some(""), None, 300),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("cache-control", cache_control), ("age", age)] {
                if let Some(value) = value {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
                }
            }
            assert_eq!(fresh_for(&headers).as_secs(), seconds, "{cache_control:?}, age {age:?}");
        }
    }

    fn ago(seconds: u64) -> Moment {
        let past = Duration::from_secs(seconds);
        Moment { steady: Instant::now(), wall: SystemTime::now() - past }
    }

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn retries_back_off() {
        let mut schedule = Schedule::new(LONGEST);
        assert_eq!(schedule.until_fetch(), Duration::ZERO);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            schedule.failed();
            let wait = schedule.until_fetch().as_secs_f64();
            assert!(wait <= f64::from(expected) && wait > f64::from(expected) - 0.9, "{wait} of {expected}");
        }
        schedule.succeeded(Duration::from_secs(3600));
        assert!(!schedule.is_down() && schedule.until_fetch() > Duration::from_secs(3500));
        schedule.failed();
        assert!(schedule.until_fetch() <= FIRST_RETRY);
    }

    #[test]
    fn half_of_their_life_is_kept_for_an_outage() {
        let mut schedule = Schedule::new(LONGEST);
        schedule.succeeded(LONGEST);
        assert!(schedule.until_fetch() <= LONGEST / 2);
    }

    #[test]
    fn keys_are_stale_after_a_failed_fetch_and_not_before() {
        let mut schedule = Schedule::new(LONGEST);
        assert!(!schedule.is_stale());
        schedule.failed();
        assert!(!schedule.is_stale(), "there are none");
        // The steady clock says that no time has passed: a suspended machine.
        schedule.success = Some((ago(DAY + 1), SHORTEST));
        schedule.failure = None;
        assert_eq!(schedule.until_fetch(), Duration::ZERO);
        assert!(!schedule.is_stale());
        schedule.failed();
        assert!(schedule.is_stale());
        schedule.success = Some((ago(DAY - 60), SHORTEST));
        assert!(!schedule.is_stale());
        schedule.succeeded(SHORTEST);
        assert!(!schedule.is_stale());
    }
}
