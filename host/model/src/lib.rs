//! Vocabulary that the crates of the host share.
//!
//! Owns types and their invariants, no state. Knows nothing of tokio, clocks or IO.

mod counted_records;
mod digest;
mod download;
mod fetch;
mod generation_id;
mod guest_files;
mod kept;
pub mod limits;
mod listener;
mod mac_key;
mod rescue;
mod routing;
mod share;
mod swap_options;
mod trace_context;

pub use counted_records::CountedRecords;
pub use digest::{BadDigest, Digest, Digester};
pub use download::{Chunk, Download, Next};
pub use fetch::{FetchAnswer, FetchRequest};
pub use generation_id::GenerationId;
pub use guest_files::{GuestFiles, SignedGuest};
pub use kept::{Confirmation, Keeping, Kept, Reign, Ticket};
pub use listener::Listener;
pub use mac_key::MacKey;
pub use rescue::{DecidedInputs, Reroute};
pub use routing::{Side, Sides};
pub use share::{BadShare, Share};
pub use swap_options::{RollbackOptions, SwapOptions};
pub use trace_context::{SpanId, TraceContext, TraceId};
