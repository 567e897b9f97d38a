//! A case: the reduced input on which a guest faulted, as a transcript.
//!
//! Expectations are what the other generation decides on that input. Everything runs on replicas and fresh instances of the
//! two generations, so nothing of it touches the node.
//!
//! A transcript makes one call per input. A case therefore says that it does not reproduce where the guest faults only on
//! several inputs in one call, or where the fault does not come back for another reason. Answers to fetches make no cases:
//! the generation that fetched decides them, and no other one rescues it.
//!
//! Knows nothing of files. Bounds: the budget of the reduction; the length of the reduced input and of its decision.

use std::fmt::Write;
use std::sync::Arc;

use herd_model::Digest;
use herd_recording::{OwnedCall, Read, RecordedCall};
use herd_sdk::batch::read_reports;
use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::{Event, PeerReport, Transcript};
use herd_sdk::{Found, Input, Settings};
use jiff::Timestamp;

use crate::cases::dedup::signature;
use crate::cases::minimize::Budget;
use crate::cases::reduction::reduce;
use crate::generation::generation::Generation;
use crate::replay::component_decider::{ComponentDecider, Warmth};
use crate::sandbox::backtrace::Backtrace;
use crate::sandbox::fault::Fault;
use crate::sandbox::guest_text::is_harmless;

/// A transcript and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Equal for cases with equal input, whenever they happened.
    pub(crate) name: String,
    pub(crate) text: String,
    /// True if the guest faults on the transcript in the same way.
    pub(crate) reproduces: bool,
}

/// Makes a case of a call on which a generation faulted. None for the answer to a fetch.
pub(crate) fn make(
    recorded: &RecordedCall,
    fault: &Fault,
    faulting: &Arc<Generation>,
    rescuing: &Arc<Generation>,
    budget: &Budget<'_>,
) -> Option<Case> {
    let reduced = reduce(recorded, fault, faulting, budget)?;
    let (records, input) = (records(&reduced), input(&reduced)?);
    // Time and randomness stay out of the name: they differ each time the same input comes.
    let named: String = records.iter().chain(&input).map(|event| format!("{event}\n")).collect();
    let hash = Digest::of(named.as_bytes()).short();
    let name = format!("{}-{}-{hash}.herd", faulting.digest().short(), fault.kind());

    let body = body(&reduced, faulting.settings(), records.as_ref(), "Input on which the guest faulted.", &input);
    let rescued = play(&name, &body, rescuing)?;
    let expected = rescued.text;
    let again = play(&name, &expected, faulting)?;
    let is_same_fault = again.fault.is_some_and(|other| signature(&other) == signature(fault));
    let reproduces = is_same_fault && rescued.fault.is_none();
    let mut text = head(recorded, fault, faulting, rescuing);
    if !reproduces {
        line(
            &mut text,
            "# NOTE: this transcript alone does not reproduce the fault, which may take the rest of that call.",
        );
    }
    // Of the fault that the transcript reproduces: another one has another place.
    if let Some(backtrace) = again.backtrace.filter(|_| is_same_fault) {
        line(&mut text, "#\n# Where the guest faulted, the innermost function first:");
        backtrace.lines().for_each(|frame| line(&mut text, &format!("# {frame}")));
    }
    text.push_str(&expected);
    Some(Case { name, text, reproduces })
}

/// Writes a recorded call as a transcript without expectations. None for the answer to a fetch.
pub(crate) fn transcript_of(recorded: &RecordedCall, to: &Settings) -> Option<String> {
    Some(body(recorded, to, records(recorded).as_ref(), "The recorded call.", &input(recorded)?))
}

/// Writes a transcript without expectations: settings, moment, records, and the input under a heading.
fn body(recorded: &RecordedCall, to: &Settings, records: Option<&Event>, heading: &str, input: &[Event]) -> String {
    let mut body = settings(to);
    let moment = [Event::Now(recorded.at.now_ns), Event::Random(recorded.at.random.0, recorded.at.random.1)];
    moment.iter().for_each(|event| line(&mut body, &event.to_string()));
    if let Some(records) = records {
        line(&mut body, &format!("\n# Records that the guest looked up.\n{records}"));
    }
    line(&mut body, &format!("\n# {heading}"));
    input.iter().for_each(|event| line(&mut body, &event.to_string()));
    body
}

/// Reports that bring the records which were looked up.
fn records(reduced: &RecordedCall) -> Option<Event> {
    let report = |read: &Read| {
        let Found { rank, form, bytes } = read.found.clone()?;
        Some(PeerReport { key: read.key.clone(), bytes, form, rank, origin: ORIGIN.into() })
    };
    let reports: Vec<PeerReport> = reduced.reads.iter().filter_map(report).collect();
    (!reports.is_empty()).then_some(Event::Reports(reports))
}

/// Events that bring the input. Several inputs are those of several sessions.
fn input(reduced: &RecordedCall) -> Option<Vec<Event>> {
    Some(match &reduced.call {
        OwnedCall::Inputs(inputs) => {
            let several = inputs.len() > 1;
            let event = |(input, number): (Input<'_>, usize)| {
                let session = several.then(|| Event::Session(format!("s{number}")));
                session.into_iter().chain([Event::Input { bytes: input.bytes.to_vec(), mark: input.mark }])
            };
            inputs.iter().zip(1..).flat_map(event).collect()
        }
        OwnedCall::Reports(batch) => {
            let reports = read_reports(batch.bytes(), batch.words());
            let owned = reports.iter().map(|report| PeerReport {
                key: report.key.into(),
                bytes: report.bytes.into(),
                form: report.form,
                rank: report.rank.into(),
                origin: report.origin.into(),
            });
            vec![Event::Reports(owned.collect())]
        }
        OwnedCall::Answer { .. } => return None,
    })
}

/// Circumstances of the fault and instructions, as comments.
fn head(recorded: &RecordedCall, fault: &Fault, faulting: &Generation, rescuing: &Generation) -> String {
    let when =
        Timestamp::from_nanosecond(i128::from(recorded.at.now_ns)).map_or_else(|_| "?".into(), |at| format!("{at:.3}"));
    let guest = |generation: &Generation| {
        let status = generation.status();
        format!("{} {}, generation {}, SHA-256 {}", status.name, status.version, status.id, status.digest)
    };
    let mut head = String::new();
    for (name, text) in [
        ("when", when),
        ("node", faulting.settings().node.clone()),
        ("guest", guest(faulting)),
        ("fault", format!("{}: {fault}", fault.kind())),
        ("rescued by", guest(rescuing)),
    ] {
        line(&mut head, &format!("# {name:<10}  {}", on_one_line(&text)));
    }
    let call = recorded.call.as_call();
    let (inputs, bytes) = (call.decisions(), call.bytes());
    head + "#\n\
        # Run `herd test GUEST.wasm` with this file to see the fault. The expectations are what the previous guest decided;\n\
        # nobody has confirmed yet that they are right.\n"
        + &format!("# The call had {inputs} input(s) or report(s) of {bytes} bytes.\n")
}

/// Lines about the whole transcript.
fn settings(settings: &Settings) -> String {
    let mut lines = format!("\nnode {}\n", settings.node);
    for (name, value) in &settings.table {
        line(&mut lines, &format!("set {name} = {value}"));
    }
    lines
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}

/// Replaces characters that are not harmless: a comment must not end early, nor change a terminal.
fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if is_harmless(letter) { letter } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// A transcript that a guest played.
struct Played {
    /// The transcript with the decisions of the guest as expectations.
    text: String,
    /// The last fault, and its place.
    fault: Option<Fault>,
    backtrace: Option<Backtrace>,
}

/// Plays a transcript on fresh instances.
fn play(name: &str, text: &str, generation: &Arc<Generation>) -> Option<Played> {
    let transcript = Transcript::parse(name, text)
        .inspect_err(|error| tracing::warn!(node = %generation.settings().node, %error, "case discarded: its transcript cannot be parsed"))
        .ok()?;
    let records = Arc::new(MemoryRecords::default());
    let mut decider = ComponentDecider::new(Arc::clone(generation), Arc::clone(&records) as _, Warmth::Fresh);
    let run = transcript.run(&mut decider, &records);
    let (fault, backtrace) = (decider.last_fault().cloned(), decider.backtrace().cloned());
    Some(Played { text: run.actual().into(), fault, backtrace })
}

/// Origin of the records that were looked up. A guest that looks one up does not see it.
const ORIGIN: &str = "elsewhere";

#[cfg(test)]
mod tests;
