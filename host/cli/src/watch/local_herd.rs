//! Herd of this process, swapped through the admin operations of its nodes.

use std::sync::Arc;

use herd_admin::{AdminHost, Refusal, Requester, SwapOptions};
use herd_model::SignedGuest;
use serde_json::Value;

use super::swap_target::{NotSwapped, SwapTarget};

/// Nodes of this process. The first of them coordinates swaps of the whole herd.
pub(super) struct LocalHerd {
    pub(super) nodes: Vec<Arc<dyn AdminHost>>,
    /// Requester for the audit log.
    pub(super) requester: Requester,
}

impl SwapTarget for LocalHerd {
    fn statuses(&self) -> Vec<Option<Value>> {
        self.nodes.iter().map(|node| Some(node.status())).collect()
    }

    fn swap(&self, guest: &SignedGuest) -> Result<Value, NotSwapped> {
        let first = self.nodes.first().ok_or_else(|| NotSwapped::Refused("the herd has no node".into()))?;
        let options = SwapOptions { again: true, ..SwapOptions::default() };
        first.herd_swap(guest.files(), &self.requester, options).map_err(|refusal| match refusal {
            Refusal::Busy(why) => NotSwapped::MayPass(why),
            Refusal::BadGuest(why) | Refusal::Conflict(why) => NotSwapped::Refused(why),
            // Nobody withdraws what this thread asks for.
            Refusal::Withdrawn => NotSwapped::Refused(refusal.to_string()),
        })
    }

    fn nodes(&self) -> usize {
        self.nodes.len()
    }
}
