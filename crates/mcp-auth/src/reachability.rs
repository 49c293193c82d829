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

    pub(crate) fn status(&self) -> ProviderStatus {
        let state = self.state();
        ProviderStatus {
            reachable: matches!(state.outcome, Some(Ok(()))),
            age: state.good.map(|moment| moment.elapsed()),
            problem: state.outcome.clone().and_then(Result::err),
        }
    }
}

/// How the identity provider is that vouches for tokens: its keys, or its answers about them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderStatus {
    /// Whether it answered when it was last asked; false before. Keys serve on through an outage.
    pub reachable: bool,
    /// Since it last did: how old the keys are.
    pub age: Option<Duration>,
    /// Why it did not, if so. For the operator: it names hosts.
    pub problem: Option<String>,
}
