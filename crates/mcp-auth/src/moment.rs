//! A moment by two clocks.

use std::time::{Duration, Instant, SystemTime};

/// The steady clock may stand still while the machine is suspended (Linux), the one on the wall may be set back; neither
/// must make what is kept younger than it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) steady: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or(Duration::ZERO))
    }
}
