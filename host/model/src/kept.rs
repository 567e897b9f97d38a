//! The outcome of a keep.

use serde::{Deserialize, Serialize};

/// What became of a record that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// It won and is kept now, in this reign.
    Applied(Reign),
    /// What is there is as high or higher.
    Outranked,
    /// It is a new key and there is no room. Only where clients connect.
    NoRoom,
}

/// How often a key was forgotten. A record of a higher reign wins whatever its rank, so nothing older comes back.
/// Guests never see it: a keep inherits its key's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reign(pub u64);
