//! Port to whoever gets the code of guests that this node does not compile.

use herd_model::GuestFiles;

use crate::engine::engine::CompiledGuest;
use crate::engine::inspect::LoadError;

/// Gets the code of guests for a node that does not compile.
pub trait CodeSource: Send + Sync {
    /// Has the engine hold the code of a guest that the node accepts, for as long as the result lives. `None` if the node compiles it. Called
    /// on a thread that may block.
    ///
    /// # Errors
    ///
    /// There is no code that the node may run.
    fn hold(&self, files: GuestFiles<'_>) -> Result<Option<CompiledGuest>, LoadError>;
}
