//! Panics on `BOOM KEY` if a record exists under that key.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Grudge;

impl Faulty for Grudge {
    const NAME: &'static str = "grudge";

    fn boom(line: &[u8], context: &mut Context<'_>) {
        match context.record(line.strip_prefix(b"BOOM ").unwrap_or_default()) {
            None => context.reply(b"nothing there\n"),
            Some(found) => panic!("a record of {} bytes", found.bytes.len()),
        }
    }
}

herd_sdk::export!(Echo<Grudge>);
