//! The engine of the process: compiles, inspects and caches guests, and runs background work at low priority.

pub(crate) mod background;
pub(crate) mod code_cache;
pub(crate) mod code_origin;
pub(crate) mod code_target;
#[cfg(feature = "compiler")]
pub(crate) mod compilation;
mod compile_for;
pub(crate) mod engine;
pub(crate) mod file_kind;
pub(crate) mod import_advice;
pub(crate) mod inspect;
pub(crate) mod inspection;
pub(crate) mod machine_code;
pub(crate) mod module_limits;
pub(crate) mod needs;
#[cfg(feature = "compiler")]
pub(crate) mod precompile;
pub(crate) mod sections;
