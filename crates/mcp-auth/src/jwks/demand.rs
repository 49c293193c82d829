//! When a request's question is worth a fetch.
//!
//! Anybody can make up a `kid`. What it may cost the provider is one fetch, then a cool-down for all; what it may cost
//! others is that a truly new key is found later, so a `kid` that keeps coming back (the token of another realm, or of a
//! key that was removed, in a client that tries again and again) cools down by itself and holds up nobody else. Whom the
//! cool-down for all does hold up is told to come back: its token may be good.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// How many vain `kid`s are known by name. Each may cost a fetch per [`LONGEST`] for as long as it is asked for.
const REMEMBERED: usize = 8;

/// What to do about a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing: what there is, is all there is.
    No,
    /// Nothing for now, and nobody knows: others have asked in vain too often.
    NotNow,
    /// Wait for the fetch under way and look again.
    Wait,
    /// Wake the task, then wait.
    Begin,
}

/// Who wanted the fetch under way.
#[derive(Debug)]
enum Fetch {
    Schedule,
    /// A request, for this `kid` (its hash: a `kid` may be 12 KB long).
    Request(u64),
}

#[derive(Debug)]
pub(super) struct Demand {
    under_way: Option<Fetch>,
    /// The last fetch failed.
    down: bool,
    overall: CoolDown,
    vain: VecDeque<(u64, CoolDown)>,
    hasher: RandomState,
}

impl Demand {
    /// The first fetch is under way from the start.
    pub(super) fn new() -> Self {
        Self {
            under_way: Some(Fetch::Schedule),
            down: false,
            overall: CoolDown::default(),
            vain: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// A request looked up `kid` in vain; `no_keys` at all if there are none.
    pub(super) fn ask(&mut self, kid: Option<&str>, no_keys: bool, now: Instant) -> Answer {
        // Without keys every request would wait for a provider that may take its full time to fail. The task tries again
        // by itself.
        if no_keys && self.down {
            return Answer::No;
        }
        if self.under_way.is_some() {
            return Answer::Wait;
        }
        let kid = self.hasher.hash_one(kid);
        let of_this = self.vain.iter().find(|(other, _)| *other == kid).map(|(_, cool_down)| cool_down);
        if of_this.is_some_and(|cool_down| cool_down.is_on(now)) {
            return Answer::No;
        }
        if self.overall.is_on(now) {
            return Answer::NotNow;
        }
        self.under_way = Some(Fetch::Request(kid));
        Answer::Begin
    }

    /// Whether to fetch now: because a request asked, or because it is time.
    pub(super) fn begin(&mut self, due: bool) -> bool {
        if due && self.under_way.is_none() {
            self.under_way = Some(Fetch::Schedule);
        }
        self.under_way.is_some()
    }

    /// A fetch has ended; it failed, or it brought a new key, or neither.
    pub(super) fn end(&mut self, failed: bool, brought: bool, now: Instant) {
        self.down = failed;
        match self.under_way.take() {
            _ if brought => {
                self.overall = CoolDown::default();
                self.vain.clear();
            }
            Some(Fetch::Request(kid)) => self.in_vain(kid, now),
            Some(Fetch::Schedule) | None => {}
        }
    }

    fn in_vain(&mut self, kid: u64, now: Instant) {
        if let Some((_, cool_down)) = self.vain.iter_mut().find(|(other, _)| *other == kid) {
            cool_down.start(now);
            return;
        }
        self.overall.start(now);
        if self.vain.len() == REMEMBERED {
            self.vain.pop_front();
        }
        let mut cool_down = CoolDown::default();
        cool_down.start(now);
        self.vain.push_back((kid, cool_down));
    }
}

/// A second at first, twice as long each time it starts, 30 seconds at most; a second again after half a minute's peace.
#[derive(Debug, Default)]
struct CoolDown(Option<(Instant, Duration)>);

impl CoolDown {
    fn is_on(&self, now: Instant) -> bool {
        self.0.is_some_and(|(until, _)| now < until)
    }

    fn start(&mut self, now: Instant) {
        let length = match self.0 {
            Some((until, last)) if now < until + LONGEST => (last * 2).min(LONGEST),
            _ => SHORTEST,
        };
        self.0 = Some((now + length, length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One `kid` after the other in vain, every 100 ms for `seconds`: the seconds at which there was a fetch.
    fn fetches(demand: &mut Demand, seconds: u64, kid: impl Fn(u64) -> String) -> Vec<f64> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for tenth in 0..seconds * 10 {
            let now = begun + Duration::from_millis(tenth * 100);
            if demand.ask(Some(&kid(tenth)), false, now) == Answer::Begin {
                assert!(demand.begin(false));
                demand.end(false, false, now);
                times.push((now - begun).as_secs_f64());
            }
        }
        times
    }

    fn idle() -> Demand {
        let mut demand = Demand::new();
        demand.end(false, true, Instant::now());
        demand
    }

    #[test]
    fn vain_questions_cool_down() {
        let expected = [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0];
        assert_eq!(fetches(&mut idle(), 100, |_| "one".to_owned()), expected);
        assert_eq!(fetches(&mut idle(), 100, |tenth| tenth.to_string()), expected);
    }

    #[test]
    fn the_worst_that_an_attacker_can_make_of_it() {
        // Ever new kids between those that are remembered.
        let times = fetches(&mut idle(), 600, |tenth| (if tenth % 2 == 0 { tenth } else { tenth % 15 }).to_string());
        assert!(times.len() <= 600 / 30 * (REMEMBERED + 1) + 10, "{}", times.len());
        assert!(times.iter().filter(|time| **time < 1.0).count() == 1);
    }

    #[test]
    fn a_kid_that_keeps_coming_back_holds_up_nobody_else() {
        let mut demand = idle();
        let begun = Instant::now();
        let mut cooling = 0;
        for second in 0..120 {
            let now = begun + Duration::from_secs(second);
            if demand.ask(Some("another realm's"), false, now) == Answer::Begin {
                demand.end(false, false, now);
            }
            cooling += u64::from(demand.overall.is_on(now));
        }
        assert_eq!(cooling, 1, "the one second after it was first seen");
    }

    #[test]
    fn a_new_key_ends_every_cool_down() {
        let mut demand = idle();
        let now = Instant::now();
        assert_eq!(fetches(&mut demand, 1, |_| "one".to_owned()).len(), 1);
        assert_eq!(demand.ask(Some("one"), false, now), Answer::No, "it was looked for");
        assert_eq!(demand.ask(Some("two"), false, now), Answer::NotNow, "it was not");
        assert!(demand.begin(true));
        demand.end(false, false, now);
        assert_eq!(
            demand.ask(Some("two"), false, now),
            Answer::NotNow,
            "a scheduled fetch without news changes nothing"
        );
        assert!(demand.begin(true));
        demand.end(false, true, now);
        assert_eq!(demand.ask(Some("one"), false, now), Answer::Begin);
    }

    #[test]
    fn one_fetch_at_a_time() {
        let mut demand = Demand::new();
        let now = Instant::now();
        assert_eq!(demand.ask(None, true, now), Answer::Wait, "the first is under way");
        demand.end(true, false, now);
        assert_eq!(demand.ask(None, true, now), Answer::No, "no keys, and a provider that is down");
        assert!(!demand.begin(false));
        assert_eq!(demand.ask(None, false, now), Answer::Begin);
        assert_eq!(demand.ask(Some("other"), false, now), Answer::Wait);
        assert!(demand.begin(false));
        assert!(demand.begin(true));
        demand.end(false, false, now);
        assert_eq!(demand.ask(Some("other"), false, now), Answer::NotNow, "that was for the one before");
    }
}
