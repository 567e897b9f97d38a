//! `herd replay LOG --decision NUMBER`: one decision with everything that it depends on.
//!
//! The whole call is repeated on a fresh instance, because a call is decided as one; what is printed of its arguments and effects is the
//! part of the decision. Bounds: those of a call.

use std::process::ExitCode;

use anyhow::bail;
use herd_recording::{LogBlock, LogReader, LoggedCall, OwnedCall, Read};
use herd_runtime::diff;
use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, FanOut};
use jiff::Timestamp;

use super::guest::{Guests, LoadedGuest, logged};
use super::parts::split;

/// Finds a decision, makes it again and prints it. Fails if it differs.
pub(super) fn explain(log: &mut LogReader, guests: &mut Guests, number: u64) -> anyhow::Result<ExitCode> {
    let call = find(log, guests, number)?;
    let index = usize::try_from(number - call.number)?;
    print_call(guests, &call, number, index);
    let guest = guests.of(call.generation)?;
    say!("\n{:<10}{}", "replayed", guest.text());
    let (decided, backtrace) = match &guest {
        LoadedGuest::Component(guest) => {
            let explained = guest.explain(&call.recorded);
            let missing =
                explained.reads.iter().filter(|read| !call.recorded.reads.iter().any(|known| known.key == read.key));
            for read in missing {
                say!(
                    "{:<10}it looked up \"{}\", which was not looked up at the time: unknown to it",
                    "note",
                    read.key.escape_ascii()
                );
            }
            if !explained.output.is_empty() {
                say!("{:<10}while it decided the whole call", "printed");
                explained.output.iter().for_each(|line| say!("  {line}"));
            }
            (explained.decided.map_err(|fault| logged(&fault)), explained.backtrace)
        }
        LoadedGuest::Native(guest) => (Ok(guest.replayer().repeat(&call.recorded)), vec![]),
    };
    let is_same = match (&call.outcome, &decided) {
        (Ok(before), Ok(after)) => {
            let differences = diff(before, after);
            if differences.is_empty() {
                say!("{:<10}{}", "same", if before == after { "bit for bit" } else { "the same effects" });
                true
            } else if differs(&call.recorded.call, index, before, after) {
                say!("{:<10}it decides otherwise", "different");
                print_effects(after, &call.recorded.call, index);
                false
            } else {
                say!("{:<10}the same effects; another input of its call is decided otherwise", "same");
                true
            }
        }
        (_, Err(fault)) => {
            say!("{:<10}{}: {}", "fault", fault.kind, fault.text);
            if backtrace.is_empty() {
                say!(
                    "{:<10}build the guest with debug information to see files and lines: `debug = true`, `strip = false`",
                    ""
                );
            }
            backtrace.iter().for_each(|frame| say!("  {frame}"));
            call.outcome.as_ref().is_err_and(|before| before.kind == fault.kind)
        }
        (Err(_), Ok(after)) => {
            say!("{:<10}it decides, where the guest faulted at the time", "different");
            print_effects(after, &call.recorded.call, index);
            false
        }
    };
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether two decisions of a call, which differ, do so in the effects of one of its inputs.
fn differs(call: &OwnedCall, index: usize, before: &Decision, after: &Decision) -> bool {
    if !matches!(call, OwnedCall::Inputs(_)) {
        return true;
    }
    let parts = split(call, before, after).into_iter();
    let differing: Vec<usize> =
        parts.filter(|(_, before, after)| !diff(before, after).is_empty()).map(|(subject, ..)| subject.index).collect();
    // Effects that moved from one input to the next are a difference of neither alone.
    differing.is_empty() || differing.contains(&index)
}

/// Finds the call of a decision.
pub(super) fn find(log: &mut LogReader, guests: &mut Guests, number: u64) -> anyhow::Result<LoggedCall> {
    let mut range: Option<(u64, u64)> = None;
    while let Some(block) = log.next_block()? {
        match block {
            LogBlock::Context(context) => guests.enter(context)?,
            LogBlock::Guest(generation, guest) => guests.add(generation, guest)?,
            LogBlock::Calls(block) => {
                let end = block.number() + block.decisions();
                // The number of a block is at least 1.
                range = Some((range.map_or(block.number(), |(first, _)| first.min(block.number())), end - 1));
                if !(block.number()..end).contains(&number) {
                    continue;
                }
                for call in block.calls() {
                    let call = call?;
                    if (call.number..call.number + call.decisions() as u64).contains(&number) {
                        return Ok(call);
                    }
                }
            }
        }
    }
    match range {
        Some((first, last)) => bail!("the log holds the decisions {first} to {last}, and not {number}"),
        None => bail!("the log holds no decision"),
    }
}

fn print_call(guests: &Guests, call: &LoggedCall, number: u64, index: usize) {
    let recorded = &call.recorded;
    let at =
        Timestamp::from_nanosecond(i128::from(recorded.at.now_ns)).map_or_else(|_| "?".into(), |at| format!("{at:.9}"));
    let (node, redacted) = guests
        .context()
        .map_or(("?", ""), |context| (&*context.node, if context.redacted { ", redacted" } else { "" }));
    say!("{:<10}{number} of {node}, worker {}, {at}{redacted}", "decision", call.worker);
    if let Some(guest) = guests.logged(call.generation) {
        say!(
            "{:<10}{} {}, generation {}, SHA-256 {}",
            "guest",
            guest.name,
            guest.version,
            call.generation,
            guest.digest
        );
    }
    say!("{:<10}{} {}", "random", recorded.at.random.0, recorded.at.random.1);
    let settings = guests.context().map_or(&[][..], |context| &context.settings);
    for (name, value) in settings {
        say!("{:<10}{name} = {value}", "setting");
    }
    let session = call.sessions.get(index).or(call.sessions.first());
    let session = session.map_or(String::new(), |session| format!(" of session {session}"));
    match &recorded.call {
        OwnedCall::Inputs(inputs) => {
            let count = inputs.len();
            let input = inputs.iter().nth(index);
            say!("{:<10}{} of {count} in its call{session}", "input", index + 1);
            if let Some(input) = input {
                say!("  {:?} {}", input.mark, quoted(input.bytes));
            }
        }
        OwnedCall::Reports(reports) => {
            say!("{:<10}{} of {} in its call, from peers", "report", index + 1, reports.len());
            if let Some(report) = read_reports(reports.bytes(), reports.words()).get(index) {
                let (rank, form) = (hex(report.rank), report.form);
                say!("  {} form {form} rank {rank} origin {}", quoted(report.key), quoted(report.origin));
                say!("    {}", quoted(report.bytes));
            }
        }
        OwnedCall::Answer { token, otherwise, answer } => {
            say!("{:<10}to a fetch{session}", "answer");
            say!("  token {}", quoted(token));
            say!("  otherwise {}", quoted(otherwise));
            match answer.outcome() {
                herd_sdk::Outcome::Answered { status, body } => say!("  status {status} {}", quoted(body)),
                herd_sdk::Outcome::Failed(failure) => say!("  failed {}", failure.word()),
            }
        }
    }
    say!("{:<10}{} look-ups of records in its call", "read", recorded.reads.len());
    recorded.reads.iter().for_each(print_read);
    match &call.outcome {
        Ok(decision) => {
            say!("{:<10}", "decided");
            print_effects(decision, &recorded.call, index);
        }
        Err(fault) => say!("{:<10}{}: {}", "faulted", fault.kind, fault.text),
    }
}

fn print_read(read: &Read) {
    match &read.found {
        Some(found) => {
            say!("  {} form {} rank {}", quoted(&read.key), found.form, hex(&found.rank));
            say!("    {}", quoted(&found.bytes));
        }
        None => say!("  {} unknown", quoted(&read.key)),
    }
}

/// Prints the effects of one input; all of them for a report or an answer.
fn print_effects(decision: &Decision, call: &OwnedCall, index: usize) {
    let is_input = matches!(call, OwnedCall::Inputs(_));
    let mut input = 0;
    for effect in &decision.effects {
        if !is_input || input == index {
            print_effect(decision, effect);
        }
        input += usize::from(matches!(effect, Effect::Done(_)));
    }
}

fn print_effect(decision: &Decision, effect: Effect) {
    let text = |span| quoted(decision.bytes(span));
    match effect {
        Effect::Reply(reply) => {
            say!("  reply {}", text(reply.bytes));
            if let Some(tie) = reply.tie {
                say!("    tied to keep {}, or else {}", tie.keep + 1, text(tie.otherwise));
            }
        }
        Effect::Keep(keep) => {
            say!("  keep {} form {} rank {}", text(keep.key), keep.form, hex(decision.bytes(keep.rank)));
            say!("    {}", text(keep.bytes));
            if let FanOut::TheseFirst(peers) = keep.fan_out {
                say!("    to {} first", text(peers));
            }
        }
        Effect::Fetch(fetch) => {
            say!("  fetch {:?} {} {}", fetch.method, text(fetch.upstream), text(fetch.path));
            say!("    body {}", text(fetch.body));
            say!("    token {}", text(fetch.token));
            say!("    otherwise {}", text(fetch.otherwise));
        }
        Effect::Subscribe(topic) => say!("  subscribe {}", text(topic)),
        Effect::Unsubscribe(topic) => say!("  unsubscribe {}", text(topic)),
        Effect::Publish(publish) => {
            let tie = publish.tie.map_or(String::new(), |tie| format!(" if {} was applied", tie + 1));
            say!("  publish {} {}{tie}", text(publish.topic), text(publish.bytes));
        }
        Effect::Close => say!("  close"),
        Effect::Note(note) => say!("  note {:?} {}", note.level, text(note.text)),
        Effect::Done(done) => say!("  consumed {} bytes, awaits {:?}", done.consumed, done.awaits),
        Effect::Refuse(report) => say!("  refuse report {}", report + 1),
    }
}

/// Bytes in quotes, escaped so that they are safe for a terminal.
fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".into() } else { bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
}

#[cfg(test)]
mod tests {
    use herd_sdk::{Awaiting, Input, InputBatch, Mark, Progress, Reply};

    use super::*;

    #[test]
    fn decision_differs_only_where_its_own_input_does() {
        let batch: InputBatch = [b"A\n", b"B\n"].map(|bytes| Input { bytes, mark: Mark::More }).into_iter().collect();
        let call = OwnedCall::Inputs(batch);
        let decision = |replies: [&str; 2]| {
            let mut decision = Decision::default();
            for reply in replies {
                let bytes = decision.copy(reply.as_bytes());
                decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
                decision.effects.push(Effect::Done(Progress { consumed: 2, awaits: Awaiting::Delimiter(b'\n') }));
            }
            decision
        };
        let (before, after) = (decision(["a", "b"]), decision(["a", "x"]));
        assert_eq!([0, 1].map(|index| differs(&call, index, &before, &after)), [false, true]);
    }
}
