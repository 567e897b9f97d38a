//! Port of the admin API: the operations that it needs of the node.
//!
//! Owns only the trait and the ways in which an operation is refused. Knows nothing of HTTP.

use herd_model::{GuestFiles, RollbackOptions, Share, SwapOptions};
use serde_json::Value;

use super::log_options::LogOptions;
use super::promotion::Promotion;
use super::requester::Requester;
use super::share_options::ShareOptions;
use super::trace_options::TraceOptions;

/// Operations of a node for its operators.
///
/// Every method may block, for as long as a guest takes to compile, and is called on a thread where it may. `operator` names
/// the requester for the audit log. An operation that takes a [`Requester`] takes long, and is not completed for one who has
/// withdrawn it. Answers are JSON objects.
pub trait AdminHost: Send + Sync + 'static {
    /// Returns the status of every part of the node.
    fn status(&self) -> Value;

    /// Returns what the node knows of a report: the record that it holds under the key, the arrivals of the report, and the clocks of its
    /// neighbours.
    fn trace(&self, options: &TraceOptions) -> Value;

    /// Returns the log filter of the process, and the nodes that share it.
    ///
    /// # Errors
    ///
    /// The process has no log that could be filtered.
    fn log(&self) -> Result<Value, Refusal>;

    /// Sets the log filter of the process, for as long as it runs. Returns both filters, and the nodes that share them.
    ///
    /// # Errors
    ///
    /// The filter is invalid, or the process has no log that could be filtered. Nothing changed.
    fn set_log(&self, options: &LogOptions, operator: &str) -> Result<Value, Refusal>;

    /// Stores the compiled code of a guest, which the keys of the node have signed, for itself and its neighbours.
    ///
    /// # Errors
    ///
    /// The code is not signed as the node requires, or damaged, or the disk fails. Nothing changed.
    fn store_code(&self, code: &[u8], operator: &str) -> Result<Value, Refusal>;

    /// Swaps every node of the herd to a guest.
    ///
    /// # Errors
    ///
    /// The guest was refused, or the herd cannot swap now. No node changed.
    fn herd_swap(&self, files: GuestFiles<'_>, requester: &Requester, options: SwapOptions) -> Result<Value, Refusal>;

    /// Rolls every node of the herd back to the guest before, and forgets what was kept since if the options say so.
    ///
    /// # Errors
    ///
    /// The herd has no guest to go back to, or cannot swap now. No node changed.
    fn herd_roll_back(&self, requester: &Requester, options: RollbackOptions) -> Result<Value, Refusal>;

    /// Swaps this node alone to a guest.
    ///
    /// # Errors
    ///
    /// The guest was refused, or another candidate is under way, and nothing changed; or the guest failed its probation at
    /// once, and the node rolled back.
    fn swap(&self, files: GuestFiles<'_>, requester: &Requester, options: SwapOptions) -> Result<Value, Refusal>;

    /// Rolls this node alone back to its previous generation, and forgets what it kept since if the options say so.
    ///
    /// # Errors
    ///
    /// The node has no previous generation, or that one failed its probation. Nothing changed.
    fn roll_back(&self, operator: &str, options: RollbackOptions) -> Result<Value, Refusal>;

    /// Starts a guest as a canary, which decides for a share of the sessions.
    ///
    /// # Errors
    ///
    /// The guest was refused, or another candidate is under way. Nothing changed.
    fn begin_canary(&self, files: GuestFiles<'_>, operator: &str, options: ShareOptions) -> Result<Value, Refusal>;

    /// Changes the share of sessions for which the canary decides.
    ///
    /// # Errors
    ///
    /// The node has no canary.
    fn widen_canary(&self, share: Share, operator: &str) -> Result<Value, Refusal>;

    /// Ends the canary.
    ///
    /// # Errors
    ///
    /// The node has no canary.
    fn end_canary(&self, operator: &str) -> Result<Value, Refusal>;

    /// Swaps to the canary of this node.
    ///
    /// # Errors
    ///
    /// The node has no canary, or the swap was refused. Nothing changed.
    fn promote_canary(&self, requester: &Requester, to: Promotion) -> Result<Value, Refusal>;

    /// Starts a guest as a shadow, which also decides a share of the calls, without effect.
    ///
    /// # Errors
    ///
    /// The guest was refused, or another candidate is under way. Nothing changed.
    fn shadow(&self, files: GuestFiles<'_>, operator: &str, options: ShareOptions) -> Result<Value, Refusal>;

    /// Returns the report of the current shadow, or of the last one.
    fn shadow_report(&self) -> Value;

    /// Ends the shadow.
    ///
    /// # Errors
    ///
    /// The node has no shadow.
    fn end_shadow(&self, operator: &str) -> Result<Value, Refusal>;
}

/// The node refused a request. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The guest is at fault. Answered with 422.
    #[error("{0}")]
    BadGuest(String),
    /// The state of the node does not allow it, and a retry would not help. Answered with 409.
    #[error("{0}")]
    Conflict(String),
    /// The operator withdrew the request before it took effect. Answered with 409.
    #[error("cancelled by its operator; nothing changed")]
    Withdrawn,
    /// Another operation is under way. A retry may succeed. Answered with 503.
    #[error("{0}")]
    Busy(String),
}
