//! Herd of this process, swapped through the admin operations of its nodes.

use std::sync::Arc;

use herd_admin::{AdminHost, Refusal, SwapOptions};
use serde_json::Value;

use super::swap_target::SwapTarget;

/// Nodes of this process. The first of them coordinates swaps of the whole herd.
pub(super) struct LocalHerd {
    pub(super) nodes: Vec<Arc<dyn AdminHost>>,
    /// Requester for the audit log.
    pub(super) operator: String,
}

impl SwapTarget for LocalHerd {
    fn serving(&self, digest: &str) -> Option<u64> {
        let active = |node: &Arc<dyn AdminHost>| {
            let active = &node.status()["generations"]["active"];
            active["id"].as_u64().filter(|_| active["digest"] == digest)
        };
        self.nodes.iter().map(active).reduce(Option::and).flatten()
    }

    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal> {
        let first = self.nodes.first().ok_or_else(|| Refusal::BadGuest("the herd has no node".into()))?;
        first.herd_swap(guest, &self.operator, SwapOptions { again: true, ..SwapOptions::default() })
    }

    fn nodes(&self) -> usize {
        self.nodes.len()
    }
}
