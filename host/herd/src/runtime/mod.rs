//! Everything that runs guests: the engine, instances, generations and the swap between them.
//!
//! This is the only module that names wasmtime. It knows nothing about sockets, links or HTTP; it looks
//! records up through [`herd_sdk::Records`] and hands decisions out as the plain data of `herd-sdk`.
//!
//! Three lifetimes, named apart: the *process* has one [`Engine`]; a *generation* is one guest, compiled and
//! checked; an *instance* is one memory of a generation, warm on one worker thread, and may vanish between
//! any two calls.
//!
//! Bounds: processor time and wall time per call, memory per instance, effects and output per decision, lines
//! of guest output per second, two live generations per node and one
//! candidate, which may be a shadow.

#![cfg_attr(feature = "native-twin", allow(dead_code, reason = "the twin calls no component"))]

mod bindings;
mod call;
mod canary;
mod candidate;
mod case;
mod case_files;
mod census;
mod code_cache;
mod compare;
mod conversion_cache;
mod converter;
mod deadline;
mod decider;
mod deciding;
mod differences;
mod engine;
mod evidence;
mod fault;
mod form_rules;
mod forms;
mod forms_instance;
mod generation;
mod generations;
mod give_way;
mod guest;
mod inspect;
#[cfg_attr(feature = "native-twin", path = "twin.rs")]
mod instance;
mod live;
mod offence;
mod output;
mod patience;
mod probation;
mod reading;
mod recorder;
mod rehearsal;
mod retired;
mod sandbox;
mod shadow;
mod shrink;
mod side_by_side;
mod slot;
mod stages;
mod swap_error;
mod transcripts;
mod witness;

pub use canary::{CanaryStatus, NoCanary};
pub use candidate::{Candidate, SwapOptions};
pub use census::CensusStatus;
pub use decider::{ComponentDecider, Warmth};
pub use differences::{DifferenceKind, Example, FaultExample, FaultKind, Found};
pub use engine::{Engine, EngineError, EngineStatus, Limits, PoolStatus};
pub use evidence::SavedCase;
pub use fault::Fault;
pub use form_rules::WayBack;
pub use generation::{Generation, GenerationStatus};
pub use generations::{Generations, GenerationsStatus};
pub use probation::SwapLimits;
pub use shadow::{ShadowReport, ShadowStatus};
pub use stages::{StageCount, StagesStatus};
pub use swap_error::{NoShadow, RollbackError, SwapError};
pub use transcripts::with_transcripts;
pub use witness::Witness;

pub use herd_model::{Digest, GenerationId, Side, Sides};
pub use inspect::{Inspection, LoadError, Stage};
