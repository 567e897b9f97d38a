//! Compiled code of guests, for nodes that do not compile.
//!
//! Machine code cannot be verified, so the question is always who made it. Two answers count: a node that the configuration names as a
//! compiler, over the link to it, and a key of `[swap]` that signed the code. docs/compiled-code.md has both ways.
//!
//! Owns the formats ([`CompiledCode`], [`Bundle`]), and the protocol by which a node gets code from its neighbours ([`Exchange`]): a state
//! machine without sockets, threads and clocks. Knows nothing of how code is made and loaded.
//!
//! Bounds: the size of code and of a bundle; searches, compilations and files in memory.

mod bundle;
mod compiled_code;
mod exchange;

pub use bundle::{BadBundle, Bundle};
pub use compiled_code::{
    BadCode, CODE_BYTES_MAX, CODE_FILE_BYTES_MAX, CodeNotAccepted, CompiledCode, SignCodeError, Wanted,
};
pub use exchange::{Action, Exchange, ExchangePort, FoundCode, Incoming, Malformed, Permissions, SearchId};
