//! Room for so many, in which those of whom nothing is known leave some for the others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Anybody can make up tokens, so whoever does may crowd out other strangers alone.
pub(super) struct Room {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// Free again when it is dropped.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _strangers: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Strangers take three quarters of it at most.
    pub(super) fn of(places: usize) -> Self {
        let room = |places| Arc::new(Semaphore::new(places));
        Self { all: room(places), strangers: room(places / 4 * 3) }
    }

    /// A place, if there is one at once.
    pub(super) fn enter(&self, stranger: bool) -> Option<Place> {
        let at_once = |room: &Arc<Semaphore>| Arc::clone(room).try_acquire_owned().ok();
        let strangers = if stranger { Some(at_once(&self.strangers)?) } else { None };
        Some(Place { _all: at_once(&self.all)?, _strangers: strangers })
    }

    /// A place when there is one. Strangers wait among themselves first: nobody else stands behind all of them.
    pub(super) async fn wait(&self, stranger: bool) -> Option<Place> {
        let in_turn = |room: &Arc<Semaphore>| Arc::clone(room).acquire_owned();
        let strangers = if stranger { Some(in_turn(&self.strangers).await.ok()?) } else { None };
        Some(Place { _all: in_turn(&self.all).await.ok()?, _strangers: strangers })
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.all.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strangers_leave_a_quarter() {
        let room = Room::of(8);
        let mut strangers: Vec<_> = std::iter::from_fn(|| room.enter(true)).collect();
        assert_eq!((strangers.len(), room.free()), (6, 2));
        let others: Vec<_> = std::iter::from_fn(|| room.enter(false)).collect();
        assert_eq!((others.len(), room.free()), (2, 0));
        strangers.pop();
        drop(others);
        assert!(room.wait(false).await.is_some() && room.wait(true).await.is_some());
        // Known ones may take all of it, and a place that a stranger did not get is not lost.
        drop(strangers);
        let others: Vec<_> = std::iter::from_fn(|| room.enter(false)).collect();
        assert_eq!(others.len(), 8);
        assert!(room.enter(true).is_none());
        drop(others);
        let strangers: Vec<_> = std::iter::from_fn(|| room.enter(true)).collect();
        assert_eq!(strangers.len(), 6);
    }
}
