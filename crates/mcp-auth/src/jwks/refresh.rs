//! The task that fetches: when it is time, and when a request asks.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::{
    Shared,
    fetch::{FetchError, Fetched, Fetcher},
    freshness::Schedule,
};

/// It looks at the clocks this often at least: a timer may stand still while the machine is suspended.
const LOOK: Duration = Duration::from_secs(30);

pub(super) struct Refresh {
    shared: Arc<Shared>,
    fetcher: Fetcher,
    schedule: Schedule,
    ticker: watch::Sender<()>,
}

impl Refresh {
    pub(super) const fn new(
        shared: Arc<Shared>,
        fetcher: Fetcher,
        stale_for: Duration,
        ticker: watch::Sender<()>,
    ) -> Self {
        Self { shared, fetcher, schedule: Schedule::new(stale_for), ticker }
    }

    /// Until it is aborted.
    pub(super) async fn run(mut self) {
        loop {
            let fetched = self.fetcher.fetch(self.limit()).await;
            self.end(fetched);
            self.wait().await;
        }
    }

    /// The next fetch ends before the keys are too old, so that they can be dropped in time.
    fn limit(&self) -> Duration {
        let left = self.schedule.until_stale().filter(|left| !left.is_zero());
        left.map_or(self.fetcher.timeout, |left| left.min(self.fetcher.timeout))
    }

    fn end(&mut self, fetched: Result<Fetched, FetchError>) {
        let url = &self.shared.source;
        // Held while the keys change: who waits sees both, or neither.
        let mut demand = self.shared.demand();
        let brought = match fetched {
            Ok(fetched) => {
                if self.schedule.is_down() {
                    tracing::info!(url, "the JWK Set can be fetched again");
                }
                self.schedule.succeeded(fetched.fresh_for);
                self.shared.reachability.succeeded();
                self.shared.replace(fetched.keys)
            }
            Err(error) => {
                // Once, not at every attempt of a long night.
                if self.schedule.is_down() {
                    tracing::debug!(url, %error, "the JWK Set still cannot be fetched");
                } else {
                    tracing::warn!(url, %error, "the JWK Set cannot be fetched; the keys stay as they are");
                }
                self.schedule.failed();
                self.shared.reachability.failed(error.to_string());
                false
            }
        };
        demand.end(self.schedule.is_down(), brought, Instant::now());
        drop(demand);
        self.forget_if_stale();
        self.ticker.send_replace(());
    }

    fn forget_if_stale(&mut self) {
        if self.schedule.is_stale() {
            tracing::warn!(
                url = self.shared.source,
                "the keys are too old to be used any longer; no token is accepted"
            );
            self.schedule.forgotten();
            self.shared.replace(Vec::new());
        }
    }

    /// Until there is a reason to fetch.
    async fn wait(&mut self) {
        loop {
            let until_fetch = self.schedule.until_fetch();
            if self.shared.demand().begin(until_fetch.is_zero()) {
                return;
            }
            let next = self.schedule.until_stale().map_or(until_fetch, |until_stale| until_stale.min(until_fetch));
            tokio::select! {
                () = time::sleep(next.min(LOOK)) => {}
                () = self.shared.wake.notified() => {}
            }
            self.forget_if_stale();
        }
    }
}
