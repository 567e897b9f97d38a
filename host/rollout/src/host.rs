//! Port of the rollout to the node around it.

use bytes::Bytes;
use herd_model::{Digest, GuestFiles};

use crate::protocol::{Adopted, HerdSwap, NotAdopted, Plan};
use crate::store::FailedGuest;

/// Links and generations of a node, as the rollout uses them.
///
/// `send`, `send_to_all`, `live` and `failed_guests` are called by the rollout's task and must not block. The others may block: each call
/// runs on a thread of its own, and the next event does not wait for it.
pub trait ParticipantHost: Send + Sync + 'static {
    /// Queues a message to a peer. Without a link, or with a full queue, the message is lost; the protocol repeats it.
    fn send(&self, peer: &str, message: Bytes);

    /// Queues a message to every linked peer but one.
    fn send_to_all(&self, except: Option<&str>, message: Bytes);

    /// Makes a candidate ready to serve, and holds it until it is adopted or aborted. Blocks. `who` names the operator and
    /// the coordinator.
    ///
    /// # Errors
    ///
    /// The guest cannot serve here. The text starts with the stage that refused it. Nothing changed.
    fn prepare(&self, files: GuestFiles<'_>, plan: &Plan, who: &str) -> Result<(), String>;

    /// Drops the prepared candidate. Blocks.
    fn abort(&self, digest: Digest, who: &str, why: &str);

    /// Activates the guest of a committed swap: the prepared candidate, the previous generation, or these bytes. Then forgets what
    /// this node kept after the swaps that [`HerdSwap::discards`] names, unless it has. Blocks.
    ///
    /// # Errors
    ///
    /// See [`NotAdopted`]. Nothing changed.
    fn adopt(&self, swap: &HerdSwap, files: Option<GuestFiles<'_>>) -> Result<Adopted, NotAdopted>;

    /// Guests of the active generation, and of the previous one if a rollback may return to it.
    fn live(&self) -> (Digest, Option<Digest>);

    /// Guests that failed on this node, oldest first. They are stored, because a restart must not make them welcome.
    fn failed_guests(&self) -> Vec<FailedGuest>;
}
