//! Cost of one call.
//!
//! Plain values; `store` and `host_state` count them.

/// Instructions and memory of one call of a guest. The same on every machine, for the same instance and the same call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCost {
    /// Instructions of the guest, in units of fuel: one for most instructions, none for those that compile to nothing.
    pub instructions: u64,
    /// Linear memory of the instance after the call, in bytes. Memory never shrinks, so this is its high-water mark.
    pub memory_bytes: usize,
}
