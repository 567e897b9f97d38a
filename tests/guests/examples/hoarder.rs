//! Replies `seen` and consumes nothing, and awaits what never comes: a byte, or as many bytes as the first word of the line says.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::{Awaiting, BadSetting, Context, Description, Input, Logic, Progress, Settings};

struct Hoarder;

impl Logic for Hoarder {
    fn describe() -> Description {
        Description { name: "hoarder".into(), version: "1".into(), commands: vec![] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        context.reply(b"seen\n");
        let word = input.bytes.split(|&byte| byte == b' ' || byte == b'\n').next().unwrap_or_default();
        let bytes = str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        Progress { consumed: 0, awaits: bytes.map_or(Awaiting::Delimiter(0xff), Awaiting::Bytes) }
    }
}

herd_sdk::export!(Hoarder);
