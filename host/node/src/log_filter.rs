//! Port of a node to the log of its process, whose filter operators change.
//!
//! Owns the trait, and the entries in the audit log about changes. Knows no subscriber of log lines.

use std::sync::Arc;

use herd_admin::Refusal;
use herd_audit::{AuditLog, Entry, Stage};
use serde_json::{Value, json};

/// Filter of the log lines of a process, with all of its nodes.
pub trait LogFilter: Send + Sync + 'static {
    /// Returns the filter.
    fn filter(&self) -> String;

    /// Sets the filter, and returns the one before.
    ///
    /// # Errors
    ///
    /// The filter is invalid, for the reason that is returned, with what to type in its place. Nothing changed.
    fn set(&self, filter: &str) -> Result<String, String>;

    /// Returns the nodes that run in the process.
    fn nodes(&self) -> &[String];
}

/// Log of the process, as the operators of one of its nodes see it.
pub(crate) struct NodeLog {
    pub(crate) node: String,
    pub(crate) audit: Arc<AuditLog>,
    /// `None` if something else than `herd` runs the node.
    pub(crate) process: Option<Arc<dyn LogFilter>>,
}

impl NodeLog {
    /// Describes the filter for an operator.
    pub(crate) fn show(&self) -> Result<Value, Refusal> {
        let process = self.process()?;
        Ok(json!({ "node": self.node, "filter": process.filter(), "nodes": process.nodes() }))
    }

    /// Sets the filter, and enters the change or its refusal into the audit log.
    pub(crate) fn set(&self, filter: &str, operator: &str) -> Result<Value, Refusal> {
        let process = self.process()?;
        let entry = Entry::new(operator, Stage::LogFilter);
        match process.set(filter) {
            Ok(before) => {
                let filter = process.filter();
                tracing::info!(node = %self.node, operator, filter, before, "log filter changed");
                self.audit.append(entry.because(&format!("{filter}, before {before}")));
                Ok(json!({ "node": self.node, "filter": filter, "before": before, "nodes": process.nodes() }))
            }
            Err(why) => {
                self.audit.append(entry.refused(&why));
                Err(Refusal::Conflict(why))
            }
        }
    }

    fn process(&self) -> Result<&dyn LogFilter, Refusal> {
        let no_filter =
            || Refusal::Conflict("the log of this process has no filter: no herd run or herd up started it".into());
        self.process.as_deref().ok_or_else(no_filter)
    }
}
