//! The default logic with its records in a second form: the fields of the `AT` line, separated by tabs, those of the client
//! first. Replies to clients are the same.
//!
//! A `WHATSAT` about a client whose name begins with `boom-` panics, so that the previous generation decides it.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use herd_logic::{AtLine, Command, FORM, Herd, Line, split_lines};
use herd_sdk::{
    BadSetting, Context, Description, Forms, Input, Logic, Mark, Outcome, Progress, Reports, Settings, Unconvertible,
};

/// Conversions of a guest.
pub trait Conversions {
    /// Name of the guest.
    const NAME: &'static str;

    /// Converts a record from the first form.
    ///
    /// # Errors
    ///
    /// `from` is another form, or the bytes are not an `AT` line.
    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        upgrade(from, bytes)
    }

    /// Converts a record to the first form.
    ///
    /// # Errors
    ///
    /// `to` is another form, or the bytes are not a record of the second.
    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        downgrade(to, bytes)
    }
}

/// The default logic, with records in the second form.
pub struct SecondForm<C> {
    herd: Herd,
    conversions: PhantomData<C>,
}

impl<C: Conversions> Forms for SecondForm<C> {
    const NATIVE: u32 = Fields::NATIVE;

    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        C::upgrade(from, bytes)
    }

    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        C::downgrade(to, bytes)
    }
}

impl<C: Conversions> Logic for SecondForm<C> {
    fn describe() -> Description {
        Description { name: C::NAME.into(), ..Herd::describe() }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        Ok(Self { herd: Herd::configure(settings)?, conversions: PhantomData })
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return self.herd.input(input, context);
        }
        split_lines(input, |line| {
            self.line(line, context);
            ControlFlow::Continue(())
        })
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        for (index, report) in reports.iter().enumerate() {
            assert_eq!(report.form, Self::NATIVE, "the host converts what it gives");
            let client = report.bytes.split(|&byte| byte == b'\t').next();
            if client != Some(report.key) || at_line(report.bytes).is_none() {
                context.refuse(index);
            }
        }
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        self.herd.answer(token, otherwise, outcome, context);
    }
}

impl<C: Conversions> SecondForm<C> {
    fn line(&self, line: Line<'_>, context: &mut Context<'_>) {
        if let Command::Whatsat { client, .. } = line.command() {
            assert!(!client.starts_with(b"boom-"), "one client too many");
        }
        context.in_form::<Fields, _>(FORM, |context| self.herd.line(line, context));
    }
}

/// The conversions that the guest itself uses, whatever it exports.
struct Fields;

impl Forms for Fields {
    const NATIVE: u32 = 2;

    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        upgrade(from, bytes)
    }

    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        downgrade(to, bytes)
    }
}

/// Converts a record of the first form to the second.
///
/// # Errors
///
/// `from` is another form, or the bytes are not an `AT` line.
pub fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    if from != FORM {
        return Err(Unconvertible::UnknownForm);
    }
    let fields: Vec<&[u8]> = bytes.split(|&byte| byte == b' ').collect();
    match *fields {
        [b"AT", node, skew, client, location, time] if AtLine::parse(bytes).is_some() => {
            Ok([client, location, time, node, skew].join(&b'\t'))
        }
        _ => Err(Unconvertible::Malformed),
    }
}

/// Converts a record of the second form to the first.
///
/// # Errors
///
/// `to` is another form, or the bytes are not a record of the second.
pub fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    if to == FORM { at_line(bytes).ok_or(Unconvertible::Malformed) } else { Err(Unconvertible::UnknownForm) }
}

/// Converts a record of the second form to an `AT` line.
fn at_line(record: &[u8]) -> Option<Vec<u8>> {
    let fields: Vec<&[u8]> = record.split(|&byte| byte == b'\t').collect();
    let [client, location, time, node, skew] = *fields else { return None };
    let line = [b"AT", node, skew, client, location, time].join(&b' ');
    AtLine::parse(&line).is_some().then_some(line)
}
