//! The default logic with records in the second form, whose conversion from the first panics for clients whose name begins
//! with `trap-`.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Unconvertible;
use herd_test_guests::{Conversions, SecondForm, upgrade};

struct TrapOnUpgrade;

impl Conversions for TrapOnUpgrade {
    const NAME: &'static str = "trap-on-upgrade";

    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        let is_trap = bytes.split(|&byte| byte == b' ').any(|field| field.starts_with(b"trap-"));
        assert!(!is_trap, "a record that it cannot stand");
        upgrade(from, bytes)
    }
}

herd_sdk::export!(SecondForm<TrapOnUpgrade>, forms);
