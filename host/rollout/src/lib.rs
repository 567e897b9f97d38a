//! Swaps of the whole herd: a guest reaches every node, every node makes it ready, and then all of them serve it.
//!
//! The herd's generation is itself a replicated record, the [`HerdState`]: the number of swaps so far, and the guest of the
//! last one. A node that learns of a higher number adopts that swap, from whichever peer and whenever it hears of it. So no
//! node has to remember one that was down or cut off. Two operators at once, the death of a coordinator, a partition, a
//! restart and rollbacks of single nodes are in docs/swaps.md.
//!
//! Owns the protocol between nodes about swaps, and the files in `generations/`. Knows nothing of sockets and links: its
//! messages are bytes that the node has its peers carry. Knows nothing of how a guest is compiled or activated: that is the
//! node's [`ParticipantHost`].
//!
//! Bounds: one proposal that a node coordinates and a few that wait, one attempt that it takes part in, one download; queues of
//! events; a deadline for every wait.
//!
//! # Example
//!
//! A herd of one node, whose host activates every guest:
//!
//! ```
//! use std::sync::{Arc, Mutex, Weak};
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use herd_model::{Digest, GuestFiles, SwapOptions};
//! use herd_rollout::{
//!     Adopted, FailedGuest, HerdSwap, NodeOutcome, NotAdopted, ParticipantHost, Plan, Rollout, RolloutStore,
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! struct Host(Mutex<Digest>);
//!
//! impl ParticipantHost for Host {
//!     fn send(&self, _peer: &str, _message: Bytes) {}
//!     fn send_to_all(&self, _except: Option<&str>, _message: Bytes) {}
//!     fn prepare(&self, _files: GuestFiles<'_>, _plan: &Plan, _who: &str) -> Result<(), String> {
//!         Ok(())
//!     }
//!     fn abort(&self, _digest: Digest, _who: &str, _why: &str) {}
//!     fn adopt(&self, swap: &HerdSwap, _files: Option<GuestFiles<'_>>) -> Result<Adopted, NotAdopted> {
//!         *self.0.lock().unwrap() = swap.digest;
//!         Ok(Adopted { generation: 2, name: "echo".into(), unread: 0, discarded: None })
//!     }
//!     fn live(&self) -> (Digest, Option<Digest>) {
//!         (*self.0.lock().unwrap(), None)
//!     }
//!     fn failed_guests(&self) -> Vec<FailedGuest> {
//!         Vec::new()
//!     }
//! }
//!
//! let state = std::env::temp_dir().join(format!("herd-rollout-example-{}", std::process::id()));
//! let configured: Arc<[u8]> = Arc::from(&b"the guest of the configuration"[..]);
//! let serving = Digest::of(&configured);
//! let host: Arc<dyn ParticipantHost> = Arc::new(Host(Mutex::new(serving)));
//!
//! let store = RolloutStore::new(&state, "Riley");
//! let nodes = ["Riley".to_string()].into();
//! let rollout = Rollout::new("Riley", nodes, configured.into(), serving, Duration::from_secs(30), store.clone(), None);
//! let runtime = tokio::runtime::Runtime::new().unwrap();
//! runtime.spawn(rollout.start(Arc::downgrade(&host)));
//!
//! let outcome = rollout.swap(b"a new guest".as_slice().into(), SwapOptions::default(), "mira", &CancellationToken::new()).unwrap();
//! assert_eq!(outcome.swap.number, 1);
//! assert!(matches!(outcome.nodes["Riley"], NodeOutcome::Serving { generation: 2, .. }));
//!
//! // The answer comes after the write, so a restart finds the swap.
//! assert_eq!(store.read().unwrap().herd_state.number(), 1);
//! runtime.block_on(rollout.stop());
//! # std::fs::remove_dir_all(state).unwrap();
//! ```

mod driver;
mod event;
mod guests;
mod host;
mod job;
mod machine;
mod protocol;
mod rollout;
mod signature_judge;
mod state_writer;
mod status;
mod store;

pub use guests::GuestDisk;
pub use host::ParticipantHost;
pub use machine::{MachineAction, Preparation, RolloutMachine, RolloutStart};
pub use protocol::{
    Adopted, HerdState, HerdSwap, NodeOutcome, NotAdopted, NotSwapped, Outcome, Plan, SwapId, SwapSignatures,
};
pub use rollout::Rollout;
pub use signature_judge::SignatureJudge;
pub use state_writer::PendingWrite;
pub use status::RolloutStatus;
pub use store::{FailedGuest, RolloutStore, StoredState};
