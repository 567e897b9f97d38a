//! Inputs on which guests faulted, minimized and saved as transcripts.

pub(crate) mod case;
pub(crate) mod collector;
pub(crate) mod dedup;
pub(crate) mod files;
pub(crate) mod minimize;
pub(crate) mod reduction;
