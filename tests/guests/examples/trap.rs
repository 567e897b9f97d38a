//! Panics with a message.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Trap;

impl Faulty for Trap {
    const NAME: &'static str = "trap";

    fn boom(_: &[u8], _: &mut Context<'_>) {
        panic!("the bottom fell out\x1b[2J");
    }
}

herd_sdk::export!(Echo<Trap>);
