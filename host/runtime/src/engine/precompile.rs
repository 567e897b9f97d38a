//! Compilation ahead: machine code of a guest for another machine, or another build, than this one.
//!
//! Owns the engine of such a compilation, which runs nothing. It has the settings of the engine that will run the code
//! (`engine::config`), and the processor of the target in place of this one. Knows nothing of where the code goes. Bounds: one compilation a
//! call, on the threads for that.

use herd_model::Digest;

use crate::engine::code_target::CodeTarget;
use crate::engine::compilation::compile_at_low_priority;
use crate::engine::engine::{advice, config};
use crate::engine::file_kind::check_file;
use crate::engine::inspect::{LoadError, Stage};
use crate::engine::machine_code;
use crate::sandbox::limits::Limits;

/// Compiles a guest for a target, into a file of machine code that an engine takes beside the guest. Takes tens to hundreds of
/// milliseconds.
///
/// Of the limits only one counts: whether calls are bounded by fuel. The same component gives the same bytes for the same target.
///
/// ```no_run
/// use herd_runtime::{Engine, Limits, precompile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let guest = std::fs::read("guest.wasm")?;
/// let code = precompile(&guest, &"aarch64-linux".parse()?, Limits::default())?;
/// let engine = Engine::new(Limits::default())?;
/// assert!(engine.keep_compiled(&guest, Some(&code)).is_ok(), "on such a machine");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The bytes are no component, or do not compile. Whether a node can run the guest is checked when it is loaded.
pub fn precompile(component: &[u8], target: &CodeTarget, limits: Limits) -> Result<Vec<u8>, LoadError> {
    check_file(component)?;
    let limits = Limits { reservation: target.reservation(), ..limits };
    let failed = |reason| LoadError { stage: Stage::Compiled, reason };
    let engine =
        engine_for(target, limits).map_err(|error| failed(format!("cannot compile for {target}: {error:#}")))?;
    let code = compile_at_low_priority(|| engine.precompile_component(component))
        .map_err(|error| failed(format!("{error:#}; {}", advice(&error))))?;
    Ok(machine_code::file(Digest::of(component), target, limits, &code))
}

fn engine_for(target: &CodeTarget, limits: Limits) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config(limits);
    // Named also for this machine: otherwise the compiler would use what the processor has.
    config.target(&target.triple())?;
    for flag in target.flags() {
        // SAFETY: a feature that the processor lacks would make code that it cannot run. This engine runs none, and the one that does
        // compares the features of the target with its processor first.
        #[allow(unsafe_code, reason = "features of a processor that is not here")]
        unsafe {
            config.cranelift_flag_enable(flag);
        }
    }
    wasmtime::Engine::new(&config)
}

#[cfg(test)]
mod tests;
