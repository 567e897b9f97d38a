//! What a rollout needs of the node around it.

use bytes::Bytes;
use herd_model::Digest;

use crate::protocol::{Adopted, HerdSwap, NotAdopted, Plan};

/// What a swap of the herd needs a node for.
pub trait ParticipantHost: Send + Sync + 'static {
    /// Says something to a peer, if there is a link. Must not wait.
    fn send(&self, peer: &str, message: Bytes);

    /// Says something to every peer but one. Must not wait.
    fn send_to_all(&self, except: Option<&str>, message: Bytes);

    /// Makes a candidate ready to serve, and holds it until it is taken up or forgotten. May block.
    ///
    /// # Errors
    ///
    /// It cannot serve here, in words that name the stage. Nothing changed.
    fn prepare(&self, guest: &[u8], plan: &Plan, who: &str) -> Result<(), String>;

    /// Drops the candidate. May block.
    fn abort(&self, digest: Digest, who: &str, why: &str);

    /// Has a guest decide: the candidate that is ready, the previous generation, or these bytes. May block.
    ///
    /// # Errors
    ///
    /// It cannot serve here, or not now. Nothing changed.
    fn adopt(&self, swap: &HerdSwap, guest: Option<&[u8]>) -> Result<Adopted, NotAdopted>;

    /// The guest that decides, and the one before if it may be gone back to.
    fn live(&self) -> (Digest, Option<Digest>);
}
