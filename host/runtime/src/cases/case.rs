//! A case: the smallest input that is found on which a guest still faults, as a transcript.
//!
//! Made on replicas of the two generations, so nothing of it touches the node. First the one input of the call that
//! faults alone, or as few of them as fault together; then as few of its lines, and as few bytes, as still do; then as
//! few of the records that were looked up. What is expected is what the other generation decides on what is left.
//!
//! A transcript makes one call per input. So if a guest faults only on several inputs in one call, the case says that it
//! does not reproduce, as it does if the fault does not come back for another reason. Answers to fetches make no cases: they
//! are decided by the generation that asked, and no other one rescues it.
//!
//! Bounds: the budget of tries; the transcript has what is left, and what the other generation decides on that.

use std::fmt::Write;
use std::sync::Arc;

use herd_sdk::batch::read_reports;
use herd_sdk::native::{Decider, Fault as Failed, MemoryRecords};
use herd_sdk::transcript::{Event, PeerReport, Transcript};
use herd_sdk::{Decision, Found, Input, InputBatch, Mark, Moment, Outcome, Reports};
use jiff::Timestamp;

use crate::cases::dedup::sort;
use crate::cases::minimize::{Budget, fewest, smallest};
use crate::generation::generation::Generation;
use crate::replay::rehearsal::Replica;
use crate::sandbox::call::{Call, OwnedCall, Read, RecordedCall};
use crate::sandbox::fault::Fault;
use herd_model::Digest;

/// A transcript, and what it is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The same for cases that say the same, whenever they happened.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether the transcript shows the fault.
    pub(crate) reproduces: bool,
}

/// Makes a case of a call on which a generation faulted. None for a call that makes none.
pub(crate) fn make(
    recorded: &RecordedCall,
    fault: &Fault,
    faulting: &Generation,
    rescuing: &Generation,
    budget: &mut Budget<'_>,
) -> Option<Case> {
    let whole = recorded.call.as_call();
    let (inputs, bytes) = (whole.decisions(), whole.bytes());
    let least = Suspect { replica: Replica::new(faulting), at: recorded.at, fault }.reduce(recorded, budget)?;
    let (records, happened) = (least.records(), least.events()?);
    let essence: String = records.iter().chain(&happened).map(|event| format!("{event}\n")).collect();
    let hash = Digest::of(essence.as_bytes()).short();
    let name = format!("{}-{}-{hash}.herd", faulting.digest().short(), fault.kind());

    let before = [Event::Now(least.at.now_ns), Event::Random(least.at.random.0, least.at.random.1)];
    let mut body = settings(faulting);
    before.iter().for_each(|event| line(&mut body, &event.to_string()));
    if records.is_some() {
        line(&mut body, "\n# What it looked up.");
        records.iter().for_each(|event| line(&mut body, &event.to_string()));
    }
    line(&mut body, "\n# On this it faulted.");
    happened.iter().for_each(|event| line(&mut body, &event.to_string()));

    let (expected, rescued) = play(&name, &body, rescuing)?;
    let (_, faulted) = play(&name, &expected, faulting)?;
    let comes_back = faulted.last().is_some_and(|other| sort(other) == sort(fault));
    let reproduces = comes_back && rescued.is_empty();
    let mut text = head(recorded, fault, faulting, rescuing);
    line(&mut text, &format!("# It was found in a call with {inputs} input(s) or report(s) of {bytes} bytes."));
    if !reproduces {
        line(&mut text, "# NOTE: by itself this does not show the fault, which may take what else was in that call.");
    }
    text.push_str(&expected);
    Some(Case { name, text, reproduces })
}

/// A generation that is suspected to fault on less.
struct Suspect<'a> {
    replica: Replica<'a>,
    at: Moment,
    fault: &'a Fault,
}

/// An input of a session.
type Part = (Vec<u8>, Mark);

impl Suspect<'_> {
    /// The least of a call on which it faults in the same way; or all of it, if it does not any more.
    fn reduce(mut self, recorded: &RecordedCall, budget: &mut Budget<'_>) -> Option<RecordedCall> {
        let mut least = recorded.clone();
        if !(budget.spend() && self.faults(&recorded.call, &recorded.reads)) {
            return Some(least);
        }
        let reads = &recorded.reads;
        least.call = match &recorded.call {
            OwnedCall::Inputs(inputs) => {
                let parts = inputs.iter().map(|input| (input.bytes.to_vec(), input.mark)).collect();
                OwnedCall::Inputs(batch(&self.reduce_inputs(parts, reads, budget)))
            }
            OwnedCall::Reports(batch) => {
                let reports = read_reports(batch.bytes(), batch.words());
                let alone = |report: &_| OwnedCall::Reports([*report].iter().collect());
                let one = reports.iter().find(|report| budget.spend() && self.faults(&alone(report), reads));
                let few = match one {
                    Some(one) => vec![*one],
                    None => {
                        fewest(reports, budget, |few| self.faults(&OwnedCall::Reports(few.iter().collect()), reads))
                    }
                };
                OwnedCall::Reports(few.iter().collect())
            }
            OwnedCall::Answer { .. } => return None,
        };
        let found = reads.iter().filter(|read| read.found.is_some()).cloned().collect();
        least.reads = fewest(found, budget, |reads| self.faults(&least.call, reads));
        Some(least)
    }

    fn reduce_inputs(&mut self, parts: Vec<Part>, reads: &[Read], budget: &mut Budget<'_>) -> Vec<Part> {
        let asked = |parts: &[Part]| OwnedCall::Inputs(batch(parts));
        let one = parts.iter().find(|&part| budget.spend() && self.faults(&asked(std::slice::from_ref(part)), reads));
        let Some((bytes, mark)) = one else {
            return fewest(parts, budget, |parts| self.faults(&asked(parts), reads));
        };
        // A session calls once there is a whole line, or what its guest waits for in its place.
        let is_whole = |less: &[u8]| *mark != Mark::More || less.contains(&b'\n') || !bytes.contains(&b'\n');
        let least = smallest(bytes, budget, |less| {
            !less.is_empty() && is_whole(less) && self.faults(&asked(&[(less.to_vec(), *mark)]), reads)
        });
        vec![(least, *mark)]
    }

    fn faults(&mut self, asked: &OwnedCall, reads: &[Read]) -> bool {
        let decided = self.replica.call(self.at, &asked.as_call(), reads);
        decided.is_err_and(|fault| sort(&fault) == sort(self.fault))
    }
}

fn batch(parts: &[Part]) -> InputBatch {
    parts.iter().map(|(bytes, mark)| Input { bytes, mark: *mark }).collect()
}

impl RecordedCall {
    /// What has to be there before, for the same to be looked up.
    fn records(&self) -> Option<Event> {
        let report = |read: &Read| {
            let Found { rank, form, bytes } = read.found.clone()?;
            Some(PeerReport { key: read.key.clone(), bytes, form, rank, origin: ORIGIN.into() })
        };
        let reports: Vec<PeerReport> = self.reads.iter().filter_map(report).collect();
        (!reports.is_empty()).then_some(Event::Reports(reports))
    }

    /// What happened. Several inputs are those of several sessions.
    fn events(&self) -> Option<Vec<Event>> {
        Some(match &self.call {
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
}

/// What people want to know first, as comments.
fn head(recorded: &RecordedCall, fault: &Fault, faulting: &Generation, rescuing: &Generation) -> String {
    let when =
        Timestamp::from_nanosecond(i128::from(recorded.at.now_ns)).map_or_else(|_| "?".into(), |at| format!("{at:.3}"));
    let guest = |generation: &Generation| {
        let status = generation.status();
        format!("{} {}, generation {}, SHA-256 {}", status.name, status.version, status.id, status.digest)
    };
    let mut head = String::new();
    for (what, text) in [
        ("when", when),
        ("node", faulting.settings().node.clone()),
        ("guest", guest(faulting)),
        ("fault", format!("{}: {fault}", fault.kind())),
        ("rescued by", guest(rescuing)),
    ] {
        line(&mut head, &format!("# {what:<10}  {}", on_one_line(&text)));
    }
    head + "#\n\
        # To see it, type `herd test GUEST.wasm` and the name of this file: that guest faults where something else is\n\
        # expected, namely what the one before it decided. Nobody has said yet that this is right.\n"
}

/// The lines about the whole transcript.
fn settings(generation: &Generation) -> String {
    let settings = generation.settings();
    let mut lines = format!("\nnode {}\n", settings.node);
    for (name, value) in &settings.table {
        line(&mut lines, &format!("set {name} = {value}"));
    }
    let read = Transcript::parse("", &lines);
    if read.is_ok_and(|read| read.settings() == settings) {
        return lines;
    }
    // A name or a value that a transcript has no words for.
    let all = lines.lines().map(|line| format!("# {}\n", on_one_line(line))).collect::<String>();
    format!("\n# NOTE: a transcript has no words for all of these settings, so it runs without any.\n{all}")
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}

/// A comment must not end early, nor do anything to a terminal.
fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Runs a transcript. Gives it with what the guest does as expectations, and the faults on the way.
fn play(name: &str, text: &str, generation: &Generation) -> Option<(String, Vec<Fault>)> {
    let transcript = Transcript::parse(name, text)
        .inspect_err(|error| tracing::warn!(%error, "a case does not read back and is not kept"))
        .ok()?;
    let records = Arc::new(MemoryRecords::default());
    let mut understudy = Understudy { generation, records: Arc::clone(&records), faults: Vec::new() };
    let run = transcript.run(&mut understudy, &records);
    Some((run.actual().into(), understudy.faults))
}

/// A generation in a transcript: with a fresh instance for each call, and records in memory.
struct Understudy<'a> {
    generation: &'a Generation,
    records: Arc<MemoryRecords>,
    faults: Vec<Fault>,
}

impl Understudy<'_> {
    fn decide(&mut self, at: Moment, call: &Call<'_>) -> Result<Decision, Failed> {
        let instance = self.generation.instance_over(Arc::clone(&self.records) as _);
        let decided = instance.and_then(|mut instance| instance.decide(at, call));
        decided.inspect_err(|fault| self.faults.push(fault.clone())).map_err(Into::into)
    }
}

impl Decider for Understudy<'_> {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Failed> {
        self.decide(at, &Call::Inputs(inputs))
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Failed> {
        self.decide(at, &Call::Reports(&reports.iter().collect()))
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Failed> {
        self.decide(at, &Call::Answer { token, otherwise, outcome })
    }
}

/// Who took a record that was looked up. A guest that looks one up is not told.
const ORIGIN: &str = "elsewhere";
