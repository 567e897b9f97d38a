//! Loops without end.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Forever;

impl Faulty for Forever {
    const NAME: &'static str = "forever";

    fn boom(line: &[u8], context: &mut Context<'_>) {
        let mut count: u64 = line.len() as u64;
        while std::hint::black_box(count) != 0 {
            count = count.wrapping_add(2) | 1;
        }
        context.reply(b"out of the loop\n");
    }
}

herd_sdk::export!(Echo<Forever>);
