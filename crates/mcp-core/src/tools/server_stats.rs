use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CallContext, Structured, Tool, ToolAnnotations, ToolError, server::Counters};

/// Tells what the server has counted since it started. [`Builder::server_stats`](crate::Builder::server_stats) adds it.
#[derive(Debug)]
pub struct ServerStats {
    version: String,
    counters: Arc<Counters>,
}

impl ServerStats {
    pub(crate) const fn new(version: String, counters: Arc<Counters>) -> Self {
        Self { version, counters }
    }
}

/// [`ServerStats`] takes no arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {}

/// What the server has counted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// The server's version.
    version: String,
    /// How long it has been running, in whole seconds.
    uptime_seconds: u64,
    /// Requests that were understood, this one among them.
    requests: u64,
    /// Calls that reached a tool, this one among them.
    tool_calls: u64,
    /// Requests and notifications that the caller was not permitted.
    refusals: u64,
}

impl Tool for ServerStats {
    const NAME: &'static str = "server_stats";
    const TITLE: &'static str = "Server statistics";
    const DESCRIPTION: &'static str =
        "Tells administrators how long this server has been running and how many requests it has had.";
    /// Not [`ToolAnnotations::PURE`]: the next call answers something else.
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations {
        read_only_hint: true,
        destructive_hint: false,
        idempotent_hint: false,
        open_world_hint: false,
    };

    type Input = Input;
    type Output = Structured<Stats>;

    async fn call(&self, _: &CallContext, _: Input) -> Result<Structured<Stats>, ToolError> {
        let counted = self.counters.read();
        Ok(Structured(Stats {
            version: self.version.clone(),
            uptime_seconds: counted.uptime.as_secs(),
            requests: counted.requests,
            tool_calls: counted.tool_calls,
            refusals: counted.refusals,
        }))
    }
}
