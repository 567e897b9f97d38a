//! Logging: to standard error, coloured on a terminal unless `NO_COLOR` is set.
//!
//! Owns the subscriber of the process and its filter, which may be replaced while it runs. A line that the filter leaves out costs what it
//! costs without that: each place in the code remembers whether it logs, and is asked again only after the filter was replaced.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use super::colour::is_coloured;
use super::log_filter::{FilterError, parse};

/// Log of this process.
#[derive(Clone)]
pub(super) struct ProcessLog(Arc<Shown>);

struct Shown {
    layer: reload::Handle<Targets, Registry>,
    /// As it was typed. Held while the filter is replaced.
    text: Mutex<String>,
}

/// Starts logging for the rest of the process.
///
/// # Errors
///
/// The filter is invalid.
pub(super) fn start(filter: &str, json: bool) -> anyhow::Result<ProcessLog> {
    let (text, filter) = parse(filter).map_err(|error| anyhow::anyhow!("--log or HERD_LOG: {error}"))?;
    let (filter, layer) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(is_coloured(&std::io::stderr()));
    // A filter is written with the names of parts, so whoever reads lines by program can see them.
    let lines = if json { lines.json().boxed() } else { lines.with_target(false).boxed() };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(ProcessLog(Arc::new(Shown { layer, text: Mutex::new(text) })))
}

impl ProcessLog {
    /// Returns the filter.
    pub(super) fn filter(&self) -> String {
        self.0.text.lock().clone()
    }

    /// Replaces the filter, and returns the one before.
    ///
    /// # Errors
    ///
    /// The filter is invalid. Nothing changed.
    pub(super) fn set(&self, filter: &str) -> Result<String, FilterError> {
        let (text, filter) = parse(filter)?;
        let mut shown = self.0.text.lock();
        self.0.layer.reload(filter).map_err(|_| FilterError::Ended)?;
        Ok(std::mem::replace(&mut *shown, text))
    }
}
