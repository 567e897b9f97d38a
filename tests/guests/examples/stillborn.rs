//! Panics in `configure`, before its first call.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};

struct Stillborn;

impl Logic for Stillborn {
    fn describe() -> Description {
        Description { name: "stillborn".into(), version: "1".into(), commands: vec![] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        panic!("not today\x1b[2J");
    }

    fn input(&self, input: Input<'_>, _: &mut Context<'_>) -> Progress {
        input.lines(|_| {})
    }
}

herd_sdk::export!(Stillborn);
