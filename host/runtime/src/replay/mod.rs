//! Repetition of decisions: recorder, replicas, rehearsal and transcripts.

pub(crate) mod component_decider;
pub(crate) mod guest_transcripts;
pub(crate) mod lines;
pub(crate) mod log_replay;
pub(crate) mod recorder;
pub(crate) mod rehearsal;
pub(crate) mod replica;
pub(crate) mod timer_runtime;
