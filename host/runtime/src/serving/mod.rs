//! The generations that decide: dispatch of calls, swaps, rollbacks, canaries.

pub(crate) mod activation;
pub(crate) mod canary;
pub(crate) mod canary_control;
pub(crate) mod candidate;
pub(crate) mod dispatch;
pub(crate) mod draining;
pub(crate) mod error;
pub(crate) mod failed_guests;
pub(crate) mod forms_check;
pub(crate) mod observer;
pub(crate) mod probation;
pub(crate) mod registry;
pub(crate) mod shadow_control;
pub(crate) mod snapshot;
pub(crate) mod stage_counts;
