//! The call in progress: who makes it, how to report progress, whether anybody still waits.

use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Caller, protocol::ProgressToken, schema};

/// What a tool or prompt can know of the request it serves.
#[derive(Debug)]
pub struct CallContext {
    caller: Option<Caller>,
    /// Made when a handler asks for it; few do.
    cancellation: OnceLock<CancellationToken>,
    progress: Option<ProgressSink>,
}

impl Drop for CallContext {
    fn drop(&mut self) {
        if let Some(token) = self.cancellation.get() {
            token.cancel();
        }
    }
}

impl CallContext {
    pub(crate) const fn new(caller: Option<Caller>, progress: Option<ProgressSink>) -> Self {
        Self { caller, cancellation: OnceLock::new(), progress }
    }

    /// Who is calling; `None` when the server asks nobody who they are.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Cancelled when the call is over, whether it was answered or its client went away. The call's own future is
    /// dropped then; this is for what it started elsewhere (a thread, a process) and must stop too.
    pub fn cancellation(&self) -> &CancellationToken {
        self.cancellation.get_or_init(CancellationToken::new)
    }

    /// Whether anybody will see progress: the request asked for it and accepts a stream.
    pub fn wants_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Reports progress, waiting while the client is slow to read. Does nothing if nobody asked. `done` must grow from
    /// one report to the next.
    pub async fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        let Some(sink) = &self.progress else { return };
        let mut params = json!({ "progressToken": sink.token.as_value(), "progress": done });
        if let Some(total) = total {
            params["total"] = json!(total);
        }
        if let Some(message) = message {
            params["message"] = json!(message);
        }
        schema::integers_as_integers(&mut params);
        // A closed channel means that the client is gone, and this future is about to be dropped.
        let _ = sink.notifications.send(notification("notifications/progress", &params)).await;
    }
}

fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

/// Where progress goes.
#[derive(Debug)]
pub(crate) struct ProgressSink {
    pub(crate) token: ProgressToken,
    pub(crate) notifications: mpsc::Sender<String>,
}
