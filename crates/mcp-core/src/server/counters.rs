//! What a server counts of itself.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Apart from the rest of the server, which every request reads and none writes.
#[derive(Debug)]
pub(crate) struct Counters {
    since: Instant,
    requests: AtomicU64,
    tool_calls: AtomicU64,
    refusals: AtomicU64,
}

/// The counters at one moment, or nearly: each is exact, but they are read one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) uptime: Duration,
    pub(crate) requests: u64,
    pub(crate) tool_calls: u64,
    pub(crate) refusals: u64,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            requests: AtomicU64::new(0),
            tool_calls: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }

    /// A request was understood.
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A tool is about to run.
    pub(super) fn tool_call(&self) {
        self.tool_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// The authorize hook said no to a request or a notification.
    pub(super) fn refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counted {
        Counted {
            uptime: self.since.elapsed(),
            requests: self.requests.load(Ordering::Relaxed),
            tool_calls: self.tool_calls.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
        }
    }
}
