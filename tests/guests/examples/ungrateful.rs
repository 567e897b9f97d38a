//! Fetches from the embedded places and panics on every answer. Its fallback reply is `otherwise`.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Outcome, Progress, Settings};
use herd_test_guests::echo;

struct Ungrateful;

impl Logic for Ungrateful {
    fn describe() -> Description {
        Description { name: "ungrateful".into(), version: "1".into(), commands: vec!["BOOM".into()] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| match line {
            b"BOOM" => context.fetch("embedded", "?latitude=34&longitude=-118&radius_m=1&limit=1", b"", b"otherwise\n"),
            line => context.reply(&echo("ungrateful", line)),
        })
    }

    fn answer(&self, _: &[u8], _: &[u8], _: Outcome<'_>, _: &mut Context<'_>) {
        panic!("what an answer");
    }
}

herd_sdk::export!(Ungrateful);
