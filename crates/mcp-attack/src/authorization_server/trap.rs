//! An address on this machine that nobody has any business to call: whoever does was talked into it.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use super::found::Stop;
use crate::run::LATE;

/// It counts connections, says nothing and hangs up: with TLS or without, to connect is to be caught.
pub(super) struct Trap {
    pub(super) port: u16,
    calls: Arc<AtomicUsize>,
    _listening: JoinSet<()>,
}

impl Trap {
    pub(super) async fn set() -> Result<Self, Stop> {
        let failed = |error| Stop::NotRun(format!("cannot listen on a loopback port: {error}"));
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = first.local_addr().map_err(failed)?.port();
        // `localhost` may be either.
        let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        let calls = Arc::new(AtomicUsize::new(0));
        let mut listening = JoinSet::new();
        for listener in [Some(first), second].into_iter().flatten() {
            let calls = Arc::clone(&calls);
            listening.spawn(async move {
                while listener.accept().await.is_ok() {
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(Self { port, calls, _listening: listening })
    }

    /// Whether anybody has called, also a moment late.
    pub(super) async fn was_called(&self) -> bool {
        if self.calls.load(Ordering::Relaxed) == 0 {
            sleep(LATE).await;
        }
        self.calls.load(Ordering::Relaxed) > 0
    }
}
