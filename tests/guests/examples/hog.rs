//! Allocates without end.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Hog;

impl Faulty for Hog {
    const NAME: &'static str = "hog";

    fn boom(_: &[u8], _: &mut Context<'_>) {
        loop {
            // Not touched: writing to the memory would pass the deadline before the cap.
            std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
        }
    }
}

herd_sdk::export!(Echo<Hog>);
