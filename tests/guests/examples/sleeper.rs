//! Sleeps for an hour.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Sleeper;

impl Faulty for Sleeper {
    const NAME: &'static str = "sleeper";

    fn boom(_: &[u8], context: &mut Context<'_>) {
        std::thread::sleep(std::time::Duration::from_secs(3600));
        context.reply(b"slept well\n");
    }
}

herd_sdk::export!(Echo<Sleeper>);
