//! The machine code of the guest in the program, where the build has it.
//!
//! Knows whether this machine can run it, and nothing of nodes. Bounds: the code of one guest, half a megabyte.

use herd_runtime::{CompiledGuest, Engine};

use crate::{default_guest, default_guest_code};

/// Loads the code of the guest in the program, and keeps it for as long as the result lives. None if the build has no code: then the
/// guest is compiled when it is used.
///
/// # Errors
///
/// This machine cannot run it, which matters only if a node is to serve with that guest; then it is `needed`.
pub(super) fn keep_built_in(engine: &Engine, needed: bool) -> anyhow::Result<Option<CompiledGuest>> {
    let Some(code) = default_guest_code() else { return Ok(None) };
    match engine.keep_compiled(default_guest(), Some(&code)) {
        Ok(kept) => Ok(Some(kept)),
        Err(error) if needed => Err(anyhow::Error::new(error).context("the guest in the program cannot run here")),
        Err(error) => {
            tracing::warn!(%error, "the guest in the program cannot run here; a swap to it fails");
            Ok(None)
        }
    }
}
