//! Adapter for upgrades: the process of the node, with entries in the audit log of the node about what it refuses.
//!
//! What is carried out is entered by every node of the process, when it hands over its sockets.

use std::path::Path;
use std::sync::Arc;

use herd_admin::{Refusal, UpgradeHost};
use herd_audit::{AuditLog, Entry, Stage};
use serde_json::Value;

/// Upgrades the process, and notes what was refused.
pub(crate) struct UpgradeAdapter {
    pub(crate) node: String,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) process: Arc<dyn UpgradeHost>,
}

impl UpgradeHost for UpgradeAdapter {
    fn upgrade(&self, binary: Option<&Path>, operator: &str) -> Result<Value, Refusal> {
        let ordered = self.process.upgrade(binary, operator);
        if let Err(refusal) = &ordered {
            tracing::warn!(node = %self.node, %operator, %refusal, "not upgraded");
            self.audit.append(Entry::new(operator, Stage::Upgraded).refused(&refusal.to_string()));
        }
        let mut ordered = ordered?;
        ordered["node"] = self.node.clone().into();
        Ok(ordered)
    }
}
