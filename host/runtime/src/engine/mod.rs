//! The engine of the process: compiling, inspecting and caching guests.

pub(crate) mod background;
pub(crate) mod code_cache;
pub(crate) mod engine;
pub(crate) mod inspect;
