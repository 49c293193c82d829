//! Whether a provider can be reached, for a health endpoint and for the log.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::moment::Moment;

/// How the last attempt ended, and when the last good one did.
#[derive(Debug, Default)]
pub(crate) struct Reachability(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    good: Option<Moment>,
    outcome: Option<Result<(), String>>,
}

impl Reachability {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the attempt before had failed.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.state();
        state.good = Some(Moment::now());
        matches!(state.outcome.replace(Ok(())), Some(Err(_)))
    }

    /// The problem of the attempt before, if that failed too.
    pub(crate) fn failed(&self, problem: String) -> Option<String> {
        self.state().outcome.replace(Err(problem)).and_then(Result::err)
    }

    pub(crate) fn is_reachable(&self) -> bool {
        matches!(self.state().outcome, Some(Ok(())))
    }

    /// Since the last good attempt.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.state().good.map(|moment| moment.elapsed())
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.state().outcome.clone().and_then(Result::err)
    }
}
