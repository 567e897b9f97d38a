//! The default logic with records in the second form, without a conversion from the first.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Unconvertible;
use herd_test_guests::{Conversions, SecondForm};

struct NoWayIn;

impl Conversions for NoWayIn {
    const NAME: &'static str = "no-way-in";

    fn upgrade(_: u32, _: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        Err(Unconvertible::UnknownForm)
    }
}

herd_sdk::export!(SecondForm<NoWayIn>, forms);
