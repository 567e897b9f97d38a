//! Rejects its settings unless `mood` is `good`.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};
use herd_test_guests::echo;

struct Picky;

impl Logic for Picky {
    fn describe() -> Description {
        Description { name: "picky\x1b[2J".into(), version: "1".into(), commands: vec![] }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        match settings.value("mood") {
            Some("good") => Ok(Self),
            _ => Err(BadSetting { name: "mood".into(), problem: "must be good\x1b[2J".into() }),
        }
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| context.reply(&echo("picky", line)))
    }
}

herd_sdk::export!(Picky);
