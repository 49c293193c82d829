use std::{ops::Deref, sync::Arc};

use crate::{AccessToken, Challenge};

/// Who is behind a request: its verified access token. The guard puts it into the request's extensions.
#[derive(Clone, Debug)]
pub struct Principal {
    token: Arc<AccessToken>,
    /// What is behind the guard may refuse too, and sees no headers to choose the spelling by.
    metadata_url: Option<Arc<str>>,
}

impl Principal {
    /// The bearer of a token that was verified.
    pub const fn new(token: Arc<AccessToken>) -> Self {
        Self { token, metadata_url: None }
    }

    pub(crate) fn metadata_at(mut self, url: Option<Arc<str>>) -> Self {
        self.metadata_url = url;
        self
    }

    /// How a challenge to this request begins: where the resource's metadata is, if the guard knows (RFC 9728 §5.1).
    pub fn challenge(&self) -> Challenge {
        // Made of a URL, it has no character that would not fit.
        let known = self.metadata_url.as_deref().and_then(|url| Challenge::new().resource_metadata(url).ok());
        known.unwrap_or_default()
    }
}

impl Deref for Principal {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.token
    }
}
