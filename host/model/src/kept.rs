//! Outcomes of a keep, and the reign of a key.

use serde::{Deserialize, Serialize};

/// Outcome of a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// The record won and is kept, in this reign.
    Applied(Reign),
    /// The present record ranks as high or higher. Nothing changed.
    Outranked,
    /// The record would exceed the limits of this node. Nothing changed. Only for records from clients; those from peers are always
    /// kept.
    NoRoom,
}

/// Number of times that a key was forgotten. A record of a higher reign wins whatever its rank, so no forgotten record returns.
/// Guests never see it: a keep inherits the reign of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reign(pub u64);
