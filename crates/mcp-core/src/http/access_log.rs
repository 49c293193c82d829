//! One event per request: accepted at `debug`, refused at `info`. Never a body, never a header.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::StatusCode;

use crate::{Caller, jsonrpc::Id, shown::shown};

/// Numbers the requests of this process, so that an answer can say where in the log its reason is.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// Writes its event when it is finished, or when it is dropped because the client went away.
pub(super) struct AccessLog {
    pub(super) request: u64,
    started: Instant,
    method: Option<String>,
    /// The JSON-RPC id, by which the client knows the request.
    id: Option<String>,
    name: Option<String>,
    /// Who is calling, if anybody was asked.
    subject: Option<Arc<str>>,
    finished: bool,
}

impl AccessLog {
    pub(super) fn start() -> Self {
        let request = REQUESTS.fetch_add(1, Ordering::Relaxed);
        Self { request, started: Instant::now(), method: None, id: None, name: None, subject: None, finished: false }
    }

    pub(super) fn message(&mut self, method: &str, id: Option<&Id>, name: Option<&str>) {
        self.method = Some(shown(method).to_owned());
        self.id = id.map(|id| match id {
            Id::String(id) => shown(id).to_owned(),
            Id::Integer(id) => id.to_string(),
        });
        self.name = name.map(|name| shown(name).to_owned());
    }

    pub(super) fn caller(&mut self, caller: Option<&Caller>) {
        self.subject = caller.map(|caller| Arc::clone(&caller.subject));
    }

    pub(super) fn finish(mut self, status: StatusCode, code: Option<i64>) {
        self.finished = true;
        let refused = code.is_some() || status.is_client_error() || status.is_server_error();
        if refused {
            self.refused("refused", status.as_u16(), code);
        } else {
            let (tool, prompt) = self.tool_and_prompt();
            tracing::debug!(
                target: "mcp_core::request",
                method = self.method,
                tool,
                prompt,
                subject = self.subject.as_deref().map(shown),
                status = status.as_u16(),
                ms = self.ms(),
                id = self.id,
                request = self.request,
                "answered"
            );
        }
    }

    fn refused(&self, outcome: &str, status: u16, code: Option<i64>) {
        let (tool, prompt) = self.tool_and_prompt();
        tracing::info!(
            target: "mcp_core::request",
            method = self.method,
            tool,
            prompt,
            subject = self.subject.as_deref().map(shown),
            status,
            code,
            ms = self.ms(),
            id = self.id,
            request = self.request,
            "{outcome}"
        );
    }

    fn tool_and_prompt(&self) -> (Option<&str>, Option<&str>) {
        match self.method.as_deref() {
            Some("tools/call") => (self.name.as_deref(), None),
            Some("prompts/get") => (None, self.name.as_deref()),
            _ => (None, None),
        }
    }

    fn ms(&self) -> f64 {
        // Microseconds are what the clock is good for.
        (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        if !self.finished {
            // 499 is what access logs write for a client that closed its connection first.
            self.refused("cancelled", 499, None);
        }
    }
}
