//! Common parts of the faulty guests. Each echoes every line after its own name, and faults on lines that begin with `BOOM`.
//!
//! The echo tells a test which generation decided. Guests of users should not copy this code.

pub mod planted;
mod second_form;

use std::marker::PhantomData;

pub use second_form::{Conversions, SecondForm, downgrade, upgrade};

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};

/// Fault of a guest.
pub trait Faulty {
    /// Name of the guest.
    const NAME: &'static str;

    /// Decides a line that begins with `BOOM`.
    fn boom(line: &[u8], context: &mut Context<'_>);
}

/// Guest that echoes lines and faults on `BOOM`.
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

/// Returns the reply of a guest with this name to a line without `BOOM`.
#[must_use]
pub fn echo(name: &str, line: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", line, b"\n"].concat()
}
