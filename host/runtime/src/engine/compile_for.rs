//! Compilation for other nodes, where this build has a compiler.
//!
//! Knows nothing of who asks. Bounds: one compilation a call, and only with memory to spare.

use crate::engine::code_target::CodeTarget;
use crate::engine::engine::Engine;
use crate::engine::inspect::{LoadError, Stage};

impl Engine {
    /// Compiles a guest into a file of machine code for another node, whose engine has the same limits but for its reservation. Takes as long
    /// as a compilation.
    ///
    /// # Errors
    ///
    /// The guest does not compile, memory is short, or this build has no compiler.
    #[cfg(feature = "compiler")]
    pub fn compile_for(&self, bytes: &[u8], target: &CodeTarget) -> Result<Vec<u8>, LoadError> {
        use crate::engine::engine::want_of_memory;

        match herd_sys::HostMemory::read().and_then(|memory| want_of_memory(&memory, bytes.len())) {
            Some(reason) => Err(LoadError { stage: Stage::Compiled, reason }),
            None => crate::engine::precompile::precompile(bytes, target, self.limits()),
        }
    }

    /// Refuses to compile a guest for another node, as this build has no compiler.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(feature = "compiler"))]
    pub fn compile_for(&self, _bytes: &[u8], target: &CodeTarget) -> Result<Vec<u8>, LoadError> {
        Err(LoadError { stage: Stage::Compiled, reason: format!("this build has no compiler for {target}") })
    }
}
