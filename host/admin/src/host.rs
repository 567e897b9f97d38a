//! The port of the admin API to the node.

use herd_model::{Share, SwapOptions};
use serde_json::Value;

use super::promotion::Promotion;
use super::share_options::ShareOptions;

/// The node, as its operators see it. Every call may take a while and runs on a thread that may block.
pub trait AdminHost: Send + Sync + 'static {
    /// What the node is doing.
    fn status(&self) -> Value;

    /// Replaces the logic of every node of the herd. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed at any node.
    fn herd_swap(&self, guest: &[u8], operator: &str, options: SwapOptions) -> Result<Value, Refusal>;

    /// Has every node of the herd go back to the guest before. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed at any node.
    fn herd_roll_back(&self, operator: &str) -> Result<Value, Refusal>;

    /// Replaces the logic of this node alone. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn swap(&self, guest: &[u8], operator: &str, options: SwapOptions) -> Result<Value, Refusal>;

    /// Goes back to the previous generation of this node alone. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn roll_back(&self, operator: &str) -> Result<Value, Refusal>;

    /// Has a guest decide for a share of the sessions. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn begin_canary(&self, guest: &[u8], operator: &str, options: ShareOptions) -> Result<Value, Refusal>;

    /// Has the canary decide for another share of the sessions. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// There is none.
    fn widen_canary(&self, share: Share, operator: &str) -> Result<Value, Refusal>;

    /// Ends the canary. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// There is none.
    fn end_canary(&self, operator: &str) -> Result<Value, Refusal>;

    /// Replaces the logic by the canary of this node. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn promote_canary(&self, operator: &str, to: Promotion) -> Result<Value, Refusal>;

    /// Has a guest decide a share of the calls too. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn shadow(&self, guest: &[u8], operator: &str, options: ShareOptions) -> Result<Value, Refusal>;

    /// What the shadow has found, or the last one.
    fn shadow_report(&self) -> Value;

    /// Ends the shadow. `operator` is for the audit log.
    ///
    /// # Errors
    ///
    /// There is none.
    fn end_shadow(&self, operator: &str) -> Result<Value, Refusal>;
}

/// What was asked was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The guest is at fault.
    #[error("{0}")]
    BadGuest(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done at this moment: something else is under way. Try again.
    #[error("{0}")]
    Busy(String),
}
