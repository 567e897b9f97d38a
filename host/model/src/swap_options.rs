//! Options of a swap.
//!
//! One type from the query of the admin API to the message that the coordinator sends to participants. Holds only flags, so
//! it has no bounds of its own.

use serde::{Deserialize, Serialize};

/// Options of a swap, beyond the guest itself. All are off by default.
///
/// Field order is part of the wire format between nodes, which has no field names.
///
/// ```
/// use herd_model::SwapOptions;
///
/// let options = SwapOptions { again: true, ..SwapOptions::default() };
/// assert!(!options.unrehearsed && !options.reversible);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwapOptions {
    /// Accept a guest that failed its probation before.
    pub again: bool,
    /// Skip the rehearsal on the node's recent decisions.
    pub unrehearsed: bool,
    /// Require that the generation before can read the records that this guest writes.
    pub reversible: bool,
    /// Accept every guest that loads: one that failed its probation, that fails the rehearsal on recent decisions, or that cannot
    /// read the form of records of the node, which go unread then. Goes before the other options.
    pub force: bool,
}

/// Options of a rollback. All are off by default.
///
/// ```
/// use herd_model::RollbackOptions;
///
/// assert!(!RollbackOptions::default().discard_records);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackOptions {
    /// Forget the records that nodes kept while the generation served that is left.
    pub discard_records: bool,
}
