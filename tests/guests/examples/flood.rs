//! Prints without end. `BOOM ONCE` prints one line, longer than the limit and with terminal escapes.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Flood;

impl Faulty for Flood {
    const NAME: &'static str = "flood";

    fn boom(line: &[u8], context: &mut Context<'_>) {
        if line == b"BOOM ONCE" {
            eprintln!("\x1b[2J\u{7} the flood {}", "é".repeat(10_000));
            return context.reply(b"said\n");
        }
        loop {
            println!("a drop in the flood");
            eprintln!("a drop in the flood");
        }
    }
}

herd_sdk::export!(Echo<Flood>);
