//! Recurses until the stack overflows.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Recursion;

impl Faulty for Recursion {
    const NAME: &'static str = "recursion";

    fn boom(_: &[u8], context: &mut Context<'_>) {
        context.reply(deep(u64::MAX).to_string().as_bytes());
    }
}

/// The result passes through a black box, so that the compiler cannot turn the recursion into a loop.
fn deep(below: u64) -> u64 {
    if below == 0 { 0 } else { std::hint::black_box(deep(below - 1)) + 1 }
}

herd_sdk::export!(Echo<Recursion>);
