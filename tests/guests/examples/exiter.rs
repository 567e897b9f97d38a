//! Calls `exit`.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Exiter;

impl Faulty for Exiter {
    const NAME: &'static str = "exiter";

    fn boom(_: &[u8], _: &mut Context<'_>) {
        std::process::exit(0);
    }
}

herd_sdk::export!(Echo<Exiter>);
