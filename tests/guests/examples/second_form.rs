//! The default logic with records in the second form, and conversions from and to the first. Records of clients whose name
//! begins with `one-way-` have no conversion to the first.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Unconvertible;
use herd_test_guests::{Conversions, SecondForm, downgrade};

struct SecondFormGuest;

impl Conversions for SecondFormGuest {
    const NAME: &'static str = "second-form";

    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        if bytes.starts_with(b"one-way-") { Err(Unconvertible::Malformed) } else { downgrade(to, bytes) }
    }
}

herd_sdk::export!(SecondForm<SecondFormGuest>, forms);
