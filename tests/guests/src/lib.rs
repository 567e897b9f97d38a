//! What the faulty guests share: each echoes every line, with its name in front, until a line begins with `BOOM`.
//!
//! The echo tells the tests which generation decided. Nothing here is meant to be copied.

mod second_form;

use std::marker::PhantomData;

pub use second_form::{Conversions, SecondForm, downgrade, upgrade};

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};

/// What a faulty guest does wrong.
pub trait Faulty {
    /// What it calls itself.
    const NAME: &'static str;

    /// Decides a line that begins with `BOOM`.
    fn boom(line: &[u8], context: &mut Context<'_>);
}

/// A guest that is fine but for its `BOOM`.
pub struct Echo<F>(PhantomData<F>);

impl<F: Faulty> Logic for Echo<F> {
    fn describe() -> Description {
        Description { name: F::NAME.into(), version: "1".into(), commands: vec!["BOOM".into()] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self(PhantomData))
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| {
            if line.starts_with(b"BOOM") {
                F::boom(line, context);
            } else {
                context.reply(&echo(F::NAME, line));
            }
        })
    }
}

/// What a guest of this name answers to a line that does no harm.
#[must_use]
pub fn echo(name: &str, line: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", line, b"\n"].concat()
}
