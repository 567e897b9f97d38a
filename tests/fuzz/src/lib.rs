//! Fuzz targets for everything that reads a stranger's bytes. One module per target: `run` takes an input, `seeds` makes the corpus.
//!
//! A target checks more than that nothing panics: each says in its head what must hold whatever the bytes are. Nothing here links
//! wasmtime; lines are decided by the default logic, linked in.
//!
//! Bounds: memory that an input makes a node hold ([`memory`]); libFuzzer bounds time and length of an input.

pub mod admin;
pub mod certificates;
pub mod decisions;
pub mod frames;
pub mod handshake;
pub mod input;
pub mod lines;
pub mod link;
pub mod memory;
mod node;
pub mod rollout;
pub mod store;

use std::path::Path;

/// Defines a fuzz target by the name of its module.
///
/// With `HERD_FUZZ_SEEDS=DIRECTORY` the program writes its seeds there and ends, so that corpora can be made anew when a format changes.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        libfuzzer_sys::fuzz_target!(init: $crate::begin($crate::$target::seeds, $crate::$target::run), |input: &[u8]| {
            $crate::memory::bounded($crate::$target::BYTES_MAX, || $crate::$target::run(input));
        });
    };
}

/// Writes the seeds if that is asked for; otherwise runs them once, so that what a process makes once does not count for an input.
pub fn begin(seeds: fn() -> Vec<(String, Vec<u8>)>, run: fn(&[u8])) {
    let Some(directory) = std::env::var_os("HERD_FUZZ_SEEDS") else {
        return seeds().iter().for_each(|(_, seed)| run(seed));
    };
    for (name, seed) in seeds() {
        std::fs::write(Path::new(&directory).join(name), seed).expect("the directory of the seeds takes a file");
    }
    std::process::exit(0);
}
