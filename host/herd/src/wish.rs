//! What an operator wants of a swap beyond the guest, as every layer passes it on.

use serde::{Deserialize, Serialize};

/// What an operator wants of a swap, beyond the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapWish {
    /// Also for a guest that failed its probation before.
    pub again: bool,
    /// Without rehearsing on the last decisions of the node.
    pub unrehearsed: bool,
    /// Only if the generation before can read what this one writes.
    pub reversible: bool,
}
