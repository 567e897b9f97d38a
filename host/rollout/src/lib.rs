//! Swaps of the whole herd: a guest gets to every node, every node makes it ready, and then every node has it serve.
//!
//! The herd's generation is itself a replicated record, the [`HerdState`]: how many swaps there were, and to which guest.
//! A node that learns of a higher one takes it up, from whom and whenever it may hear of it; so a node that was down or
//! cut off needs nobody to remember it. What happens when two operators swap at once, when the asking node dies, when the
//! herd is cut in two, after a restart, or when nodes go back by themselves, is in docs/swaps.md.
//!
//! Owns what nodes say to one another about it, and the files in `generations/`. Knows nothing of sockets and links (what it
//! says is bytes that the node has its peers carry), and nothing of how a guest is compiled or activated: that are the
//! node's [`ParticipantHost`].
//!
//! Bounds: one swap at a time that is asked for at a node, one that it takes part in, one transfer; events that wait; all
//! waits.

mod driver;
mod event;
mod guests;
mod host;
mod pending_write;
mod protocol;
mod rollout;
mod status;
mod store;

pub use host::ParticipantHost;
pub use protocol::{Adopted, HerdState, HerdSwap, NodeOutcome, NotAdopted, NotSwapped, Outcome, Plan};
pub use rollout::Rollout;
pub use status::RolloutStatus;
pub use store::{RolloutStore, StoredState};
