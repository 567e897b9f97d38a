//! The default logic with its records in a second form: the fields of the `AT` line, separated by tabs, those of the client
//! first. Replies to clients are the same.
//!
//! A `WHATSAT` about a client whose name begins with `boom-` panics, so that the previous generation decides it.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use herd_logic::{AtLine, Command, FORM, Herd, HerdSettings, Line, Ranker, split_lines};
use herd_sdk::{
    BadSetting, Context, Description, Effect, Forms, Found, Input, Logic, Mark, Method, Moment, Outcome, Progress,
    Records, Reports, Settings, Unconvertible,
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
    node: String,
    ranker: Ranker,
    conversions: PhantomData<C>,
}

impl<C: Conversions> Forms for SecondForm<C> {
    const NATIVE: u32 = 2;

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
        let (herd, node) = (Herd::configure(settings)?, settings.node.clone());
        let ranker = Ranker::new(HerdSettings::parse(settings)?.tolerance_ns, node.as_bytes());
        Ok(Self { herd, node, ranker, conversions: PhantomData })
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
        match line.command() {
            Command::Iamat(iamat) => {
                let received_ns = context.now_ns();
                let rank = self.ranker.rank(iamat.time.ns(), received_ns);
                let mut at = vec![];
                AtLine::write(&mut at, self.node.as_bytes(), received_ns, &iamat);
                let record = upgrade(FORM, &at).unwrap_or_default();
                let kept = context.keep(iamat.client, &rank, Self::NATIVE, |out| out.extend_from_slice(&record));
                at.push(b'\n');
                context.reply_if_kept(kept, |out| out.extend_from_slice(&at), |out| line.echo(out));
            }
            Command::Whatsat { client, .. } => {
                assert!(!client.starts_with(b"boom-"), "one client too many");
                self.ask(line, context);
            }
            _ => {
                self.herd.line(line, context);
            }
        }
    }

    /// Calls the default logic over records of the first form, and copies its effects.
    fn ask(&self, line: Line<'_>, context: &mut Context<'_>) {
        let records = AtLines(context);
        let at = Moment { now_ns: context.now_ns(), random: context.random() };
        let mut inner = Context::new(at, &records);
        self.herd.line(line, &mut inner);
        let decision = inner.finish();
        for effect in &decision.effects {
            let text = |span| str::from_utf8(decision.bytes(span)).unwrap_or_default();
            match effect {
                Effect::Reply(reply) => context.reply(decision.bytes(reply.bytes)),
                Effect::Fetch(fetch) => {
                    let (token, otherwise) = (decision.bytes(fetch.token), decision.bytes(fetch.otherwise));
                    let (upstream, path) = (text(fetch.upstream), text(fetch.path));
                    match fetch.method {
                        Method::Get => context.fetch(upstream, path, token, otherwise),
                        Method::Post => {
                            context.fetch_post(upstream, path, decision.bytes(fetch.body), token, otherwise);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Records of a call, converted to the form of the default logic.
struct AtLines<'t, 'a>(&'t Context<'a>);

impl Records for AtLines<'_, '_> {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let convert = |found: Found| Some(Found { bytes: at_line(&found.bytes)?, form: FORM, ..found });
        keys.iter().map(|key| self.0.record(key).and_then(convert)).collect()
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
