//! The smallest guest: replies to every line with a greeting.
//!
//! Build it with `cargo build --profile guest -p herd-example-hello --target wasm32-wasip2` and serve it with
//! `herd swap target/wasm32-wasip2/guest/herd_example_hello.wasm`. `transcripts/` says what it replies.

#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};

/// Logic without settings or records.
pub struct Hello;

impl Logic for Hello {
    fn describe() -> Description {
        Description { name: "hello".into(), version: env!("CARGO_PKG_VERSION").into(), commands: vec![] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| {
            context.reply_with(|out| {
                out.extend_from_slice(b"hello, ");
                out.extend_from_slice(line.trim_ascii());
                out.push(b'\n');
            });
        })
    }
}

herd_sdk::export!(Hello);
