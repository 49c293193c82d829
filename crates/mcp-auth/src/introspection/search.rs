//! Where the endpoint is, found out by a task of its own.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time,
};
use url::Url;

use super::{ClientAuthentication, Shared, question::Fault};
use crate::{AuthorizationServerMetadata, discovery::discover_within};

/// As a key set tries again.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) authentication: ClientAuthentication,
}

impl Endpoint {
    pub(super) const fn at(url: Url) -> Self {
        Self { url, authentication: ClientAuthentication::Basic }
    }

    pub(super) fn of(metadata: &AuthorizationServerMetadata) -> Option<Self> {
        // RFC 8414 §2 has a list of its own for this endpoint; a server without it means the other.
        let supported = metadata
            .introspection_endpoint_auth_methods_supported
            .as_ref()
            .or(metadata.token_endpoint_auth_methods_supported.as_ref());
        let url = metadata.introspection_endpoint.clone()?;
        Some(Self { url, authentication: ClientAuthentication::of(supported) })
    }
}

/// What is known of it.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// The first search is under way, and worth waiting for.
    Sought,
    /// It will be sought again.
    Unknown,
    Known(Arc<Endpoint>),
}

impl Whereabouts {
    pub(super) fn endpoint(&self) -> Option<Arc<Endpoint>> {
        match self {
            Self::Known(endpoint) => Some(Arc::clone(endpoint)),
            Self::Sought | Self::Unknown => None,
        }
    }
}

pub(super) struct Search {
    pub(super) shared: Arc<Shared>,
    pub(super) lost: Arc<Notify>,
    pub(super) found: watch::Sender<Whereabouts>,
}

impl Search {
    /// Until it is aborted.
    pub(super) async fn run(self) {
        let mut pause = FIRST_RETRY;
        loop {
            let known = self.found.borrow().endpoint();
            let found = self.shared.discover().await;
            if found.is_ok() {
                pause = FIRST_RETRY;
            }
            match (found, &known) {
                // Whether it answers about tokens is another question.
                (Ok(endpoint), Some(known)) if endpoint == **known => {}
                (Ok(endpoint), _) => {
                    tracing::info!(url = %endpoint.url, "introspection endpoint");
                    if known.is_none() {
                        self.shared.answered();
                    }
                    self.found.send_replace(Whereabouts::Known(Arc::new(endpoint)));
                }
                // One that was found, and is perhaps there again, stays. What is wrong with it has been told.
                (Err(error), Some(_)) => tracing::debug!(%error, "the introspection endpoint is sought in vain"),
                (Err(fault), None) => {
                    self.shared.tell(&fault);
                    self.found.send_replace(Whereabouts::Unknown);
                }
            }
            // No more often than that, whatever strangers bring about.
            time::sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
            if self.found.borrow().endpoint().is_some() {
                self.lost.notified().await;
            }
        }
    }
}

impl Shared {
    pub(super) async fn metadata(&self) -> Result<AuthorizationServerMetadata, Fault> {
        Ok(discover_within(self.timeout, &self.http, &self.expected.issuer).await?)
    }

    pub(super) async fn discover(&self) -> Result<Endpoint, Fault> {
        Endpoint::of(&self.metadata().await?).ok_or(Fault::NotOffered)
    }
}
