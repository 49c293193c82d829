//! The log of a binary: to standard error, filtered by `RUST_LOG`, as text or as JSON lines.
//!
//! A thread of its own writes it, so that no request ever waits for a slow terminal or a full pipe. What does not fit
//! into its queue is left out and counted.

use std::{io, str::FromStr};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How many lines wait for the writer, at most.
const QUEUED_LINES: usize = 10_000;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("the log format is text or json".to_owned()),
        }
    }
}

/// Writes the log for as long as it is kept, and what is still queued when it is dropped.
#[derive(Debug)]
#[must_use = "what is logged after this is dropped is lost"]
pub struct Log {
    _writer: WorkerGuard,
    lost: ErrorCounter,
}

impl Drop for Log {
    fn drop(&mut self) {
        let lost = self.lost.dropped_lines();
        if lost > 0 {
            eprintln!("{lost} lines of the log were left out: they came faster than they could be written");
        }
    }
}

/// Starts logging for the whole process: `RUST_LOG` decides what, `info` without it.
///
/// # Panics
/// When the process logs already.
pub fn init(format: LogFormat) -> Log {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUED_LINES).thread_name("log").finish(io::stderr());
    let lost = writer.error_counter();
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    // Whether to colour is asked of the terminal, which the writer hides.
    let ansi = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Log { _writer: guard, lost }
}
