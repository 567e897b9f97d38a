//! A guest and the test of it, natively: `cargo run -p herd-sdk --example greeting`.

use std::sync::Arc;

use herd_sdk::native::{Decider, Fault, MemoryRecords, Native};
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Mark, Moment, Progress, Settings};

/// Greets every line.
struct Greeting;

impl Logic for Greeting {
    fn describe() -> Description {
        Description { name: "greeting".into(), version: "1".into(), commands: vec![] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| context.reply(&[b"hello, ", line.trim_ascii(), b"\n"].concat()))
    }
}

fn main() -> Result<(), Fault> {
    let mut guest = Native::new(Greeting, Arc::new(MemoryRecords::default()));
    let decision = guest.input(Moment::default(), Input { bytes: b"world\n", mark: Mark::More })?;
    print!("{}", String::from_utf8_lossy(&decision.output));
    Ok(())
}
