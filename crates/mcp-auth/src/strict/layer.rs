use std::time::Duration;

use tower_layer::Layer;

use super::StrictJsonRpc;

/// Puts [`StrictJsonRpc`] in front of a service. See the [module](super) for what it refuses and why.
///
/// It stands behind the guard (nobody unknown should make it parse) and in front of any policy that reads [`Message`].
///
/// [`Message`]: super::Message
#[derive(Clone, Copy, Debug)]
pub struct StrictJsonRpcLayer {
    pub(super) body_limit: usize,
    pub(super) body_timeout: Duration,
}

impl StrictJsonRpcLayer {
    /// Bodies of up to 1 MiB that arrive within 30 seconds.
    pub const fn new() -> Self {
        Self { body_limit: 1024 * 1024, body_timeout: Duration::from_secs(30) }
    }

    /// How large a body may be, in bytes.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long a body may take to arrive.
    #[must_use]
    pub const fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }
}

impl Default for StrictJsonRpcLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for StrictJsonRpcLayer {
    type Service = StrictJsonRpc<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StrictJsonRpc::new(inner, *self)
    }
}
