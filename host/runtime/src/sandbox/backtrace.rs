//! The frames of a guest at its fault, with files and lines.
//!
//! Only for a component that carries DWARF, as one does that was built with debug information and not stripped; without it,
//! the fault names a function at most. Knows nothing of who shows it. Bounds: [`LINES_MAX`] lines.

use wasmtime::WasmBacktrace;

use crate::sandbox::guest_text::printable;

/// Lines of text, the innermost function first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backtrace(Vec<String>);

impl Backtrace {
    /// Formats the backtrace of an error. None if it names no file.
    pub(crate) fn of(error: &wasmtime::Error) -> Option<Self> {
        let trace = error.downcast_ref::<WasmBacktrace>()?;
        let mut symbols = trace.frames().iter().flat_map(|frame| frame.symbols());
        // Names and files come from the guest: its DWARF may say anything.
        let lines = || trace.to_string().lines().skip(1).take(LINES_MAX).map(printable).collect();
        symbols.any(|symbol| symbol.file().is_some()).then(|| Self(lines()))
    }

    /// Iterates over the lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// wasmtime keeps 20 frames, each of a function and those that were inlined into it, with a line for each file.
const LINES_MAX: usize = 64;
