//! Runs guests: the engine, instances, generations, and the swap between generations.
//!
//! The only crate that names wasmtime. It knows nothing of sockets, links and HTTP: it looks records up through
//! [`herd_sdk::Records`] and returns decisions as the plain data of `herd-sdk`, for the node to perform.
//!
//! Three lifetimes: the *process* has one [`Engine`]; a *generation* is one guest, compiled and checked for one node; an
//! *instance* is one memory of a generation, warm on one worker thread, and may vanish between any two calls.
//!
//! | module | owns |
//! | --- | --- |
//! | `engine` | compilation, here or ahead for a target; inspection, the code cache, low-priority threads |
//! | `sandbox` | one instance, its limits, and the calls into it |
//! | `generation` | one guest, with an instance per worker |
//! | `serving` | the live generations: dispatch, swaps, rollbacks, canaries |
//! | `forms` | conversion of records between generations |
//! | `replay` | the recorder of calls, and rehearsals of a candidate |
//! | `cases` | inputs on which a generation faulted, as test cases |
//! | `shadow` | comparison of a candidate's decisions with those of the active generation |
//!
//! Without the feature `compiler` it runs only guests that come with their machine code.
//!
//! Bounds: processor time and wall time per call; memory per instance; effects and output per decision; lines of guest output
//! per second; two live generations per node and one candidate, which may be a canary or a shadow.

#![cfg_attr(feature = "native-twin", allow(dead_code, reason = "the native logic calls no component"))]

mod cases;
mod engine;
mod forms;
mod generation;
mod replay;
mod sandbox;
mod serving;
mod shadow;
#[cfg(test)]
mod test_guest;

pub use cases::collector::SavedCase;
pub use engine::engine::{CompiledGuest, Engine, EngineError, EngineStatus, PoolStatus};
pub use generation::code_source::CodeSource;
pub use generation::decision_counts::DecisionCountsStatus;
pub use generation::generation::GenerationStatus;
pub use replay::component_decider::{ComponentDecider, Warmth};
pub use replay::log_replay::{Explained, ReplayedGuest, ReplayedGuests, Replayer};
pub use sandbox::call_cost::CallCost;
pub use sandbox::fault::Fault;
pub use sandbox::instance_count::InstanceCountStatus;
pub use sandbox::limits::Limits;
pub use serving::canary::{CanaryGuest, CanaryStatus, NoCanary};
pub use serving::candidate::Candidate;
pub use serving::error::{NoShadow, RollbackError, SwapError};
pub use serving::observer::Observer;
pub use serving::probation::SwapLimits;
pub use serving::registry::{GenerationRegistry, GenerationsStatus, StartingGuests};
pub use serving::stage_counts::{StageCount, StageCountsStatus};
pub use shadow::decision_diff::{Difference, diff, has_same_effects};
pub use shadow::report::{ShadowReport, ShadowStatus};

pub use engine::code_origin::{CodeOrigin, CodeTrust};
pub use engine::code_target::{CodeTarget, Reservation, UnknownTarget, WrongTarget};
pub use engine::import_advice::{ImportAdvice, ImportCause};
pub use engine::inspect::{LoadError, Stage};
pub use engine::inspection::{GuestBefore, Inspection, Rescue};
pub use engine::machine_code::engine_line as compiler;
pub use engine::module_limits::{MemoryLimits, TableLimits};
pub use engine::needs::Needs;
#[cfg(feature = "compiler")]
pub use engine::precompile::precompile;
pub use herd_model::Digest;
pub use sandbox::bindings::contract;
