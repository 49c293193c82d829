use std::{ops::Deref, sync::Arc};

use crate::AccessToken;

/// Who is behind a request: its verified access token. The guard puts it into the request's extensions.
#[derive(Clone, Debug)]
pub struct Principal(Arc<AccessToken>);

impl Principal {
    /// The bearer of a token that was verified.
    pub const fn new(token: Arc<AccessToken>) -> Self {
        Self(token)
    }
}

impl Deref for Principal {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.0
    }
}
