//! Rehearsal: the last check of a candidate before it may serve. Its decisions are discarded.
//!
//! First it runs the transcripts inside it or beside it, which are its author's tests. Then it repeats the last decisions of this
//! node, each over the records that were looked up at the time. Its answers may differ, which is the author's business, but
//! it must not fault on input that clients of this node send, nor leave complete lines that the active guest consumes: their
//! clients would wait in vain.
//!
//! Knows nothing of swaps. Bounds: those of the recorder, of the section of transcripts, and of a call.

use std::sync::Arc;

use herd_model::GuestFiles;
use herd_recording::{Call, OwnedCall, RecordedCall};
use herd_sdk::transcript::Transcript;
use herd_sdk::{Decision, Effect, Input, InputBatch, Mark, Settings};

use crate::engine::engine::Engine;
use crate::engine::inspect::{LoadError, Stage};
use crate::generation::compatibility::Compatibility;
use crate::generation::generation::Generation;
use crate::replay::component_decider::{ComponentDecider, Warmth};
use crate::replay::guest_transcripts;
use crate::replay::lines::lines;
use crate::replay::replica::Replica;
use crate::sandbox::fault::Fault;
use crate::sandbox::output::OutputOf;

/// Counts of a rehearsal that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rehearsed {
    /// Transcripts that passed.
    pub(crate) transcripts: usize,
    /// Decisions of this node that were repeated.
    pub(crate) decisions: usize,
}

/// Rehearses a candidate.
///
/// # Errors
///
/// A transcript fails, or the candidate faults on input of this node, leaves lines that the active generation consumes, or breaks
/// the rules about forms. The reason says which. Nothing changed.
pub(crate) fn rehearse(
    engine: &Arc<Engine>,
    candidate: &Generation,
    active: &Generation,
    files: GuestFiles<'_>,
    calls: &[Arc<RecordedCall>],
    forms: &Compatibility<'_>,
) -> Result<Rehearsed, LoadError> {
    let failed = |reason: String| LoadError { stage: Stage::Rehearsed, reason };
    let texts = guest_transcripts::of(files).map_err(failed)?;
    for (name, text) in &texts {
        run_transcript(engine, files.guest, name, text).map_err(failed)?;
    }
    let mut rehearsed = Rehearsed { transcripts: texts.len(), decisions: 0 };
    let mut replica = Replica::new(candidate);
    let mut active = Replica::new(active);
    for recorded in calls {
        forms.check_reads(recorded)?;
        match OutputOf::Rehearsal.during(|| replica.repeat(recorded)) {
            Ok(decision) => {
                forms.check_keeps(&decision)?;
                check_consumption(&mut active, recorded, &decision).map_err(failed)?;
            }
            Err(fault) => return Err(failed(explain(&mut replica, recorded, &fault))),
        }
        rehearsed.decisions += recorded.call.as_call().decisions();
    }
    Ok(rehearsed)
}

/// Checks that a decision of the candidate consumes something of each input with a complete line of which the active generation
/// does. That generation repeats the call only if there is such an input.
fn check_consumption(
    active: &mut Replica<&Generation>,
    recorded: &RecordedCall,
    decision: &Decision,
) -> Result<(), String> {
    let OwnedCall::Inputs(inputs) = &recorded.call else { return Ok(()) };
    let left = |input: &Input<'_>, consumed: usize| {
        consumed == 0 && input.mark != Mark::Overlong && input.bytes.contains(&b'\n')
    };
    if !inputs.iter().zip(consumed(decision)).any(|(input, consumed)| left(&input, consumed)) {
        return Ok(());
    }
    // It may fault now, or have replaced the generation that decided at the time: then the call shows nothing.
    let Ok(of_active) = OutputOf::Repetition.during(|| active.repeat(recorded)) else { return Ok(()) };
    let both = consumed(decision).zip(consumed(&of_active));
    let found = inputs.iter().zip(both).find(|(input, (consumed, by_active))| left(input, *consumed) && *by_active > 0);
    let Some((input, _)) = found else { return Ok(()) };
    let line = shown(input.bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default());
    Err(format!(
        "it consumes nothing of a line from a client of this node that the active guest consumes, \"{line}\"; {TO_DO}"
    ))
}

/// Returns the bytes that a decision consumed of each input.
fn consumed(decision: &Decision) -> impl Iterator<Item = usize> {
    decision.effects.iter().filter_map(|effect| match effect {
        Effect::Done(progress) => Some(progress.consumed),
        _ => None,
    })
}

/// Runs a transcript on fresh instances, apart from the generation, because it brings its own settings.
fn run_transcript(engine: &Arc<Engine>, bytes: &[u8], name: &str, text: &str) -> Result<(), String> {
    let transcript = Transcript::parse(name, text).map_err(|error| error.to_string())?;
    let load =
        |settings: &Settings, records| ComponentDecider::load(engine, bytes, settings.clone(), records, Warmth::Fresh);
    let run = transcript.run_herd(load).map_err(|error| format!("its transcript {name} does not start: {error}"))?;
    if run.passed() {
        return Ok(());
    }
    let differences = run.to_string();
    let (differences, to_do) =
        (differences.trim_end(), "change the guest, or the transcript if the difference is intended");
    Err(format!("its transcript {name} does not hold:\n{differences}\n{to_do}"))
}

/// Explains on what a call faults: on which line, if one does alone.
fn explain(replica: &mut Replica<&Generation>, recorded: &RecordedCall, fault: &Fault) -> String {
    let OwnedCall::Inputs(inputs) = &recorded.call else {
        return format!("it faults on a recent call of this node: {fault}; {TO_DO}");
    };
    for line in inputs.iter().flat_map(lines) {
        let alone = InputBatch::from_iter([line]);
        if let Err(fault) = replica.call(recorded.at, &Call::Inputs(&alone), &recorded.reads) {
            let line = shown(line.bytes);
            return format!("it faults on a line from a client of this node, \"{line}\": {fault}; {TO_DO}");
        }
    }
    format!("it faults on inputs of this node in one call, and on none of them alone: {fault}; {TO_DO}")
}

/// Returns the beginning of a line for a message.
fn shown(line: &[u8]) -> impl std::fmt::Display {
    line[..line.len().min(LINE_SHOWN_MAX)].escape_ascii()
}

/// Instruction for a fault on recorded decisions.
const TO_DO: &str = "fix that, or skip the decisions of this node with --unrehearsed";
const LINE_SHOWN_MAX: usize = 120;
