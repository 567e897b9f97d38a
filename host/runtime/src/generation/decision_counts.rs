//! Counts of the decisions of one generation, for metrics.
//!
//! Counted per worker, and added up when somebody reads. Lines are counted by the words that the guest describes as its commands, found at
//! the start of a line; the host knows nothing else of the protocol. Bounds: [`COMMANDS_MAX`] words; a fixed number of buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd_model::GenerationId;
use herd_recording::Call;
use herd_sdk::{Decision, Effect, InputBatch};
use herd_sys::{Histogram, HistogramCounts, PerWorker};

/// Counts of one generation.
pub(crate) struct DecisionCounts {
    commands: Box<[Box<[u8]>]>,
    workers: PerWorker<Counts>,
}

/// Counts of one worker.
#[derive(Default)]
struct Counts {
    inputs: AtomicU64,
    reports: AtomicU64,
    answers: AtomicU64,
    time_ns: Histogram<1000, 18>,
    decisions_of_call: Histogram<1, 11>,
    /// One for each command, then one for all other lines; those behind it are not used. In place, because boxes of two workers would
    /// lie on one cache line, and every line of a client is counted here.
    lines: [AtomicU64; COMMANDS_MAX + 1],
}

/// Decisions of one generation, in numbers since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionCountsStatus {
    /// Number of the generation.
    pub generation: GenerationId,
    /// Inputs of sessions that it decided.
    pub inputs: u64,
    /// Reports of peers that it decided.
    pub reports: u64,
    /// Answers to fetches that it decided.
    pub answers: u64,
    /// Time of a call that did not fault, in nanoseconds. A call decides one input or many.
    pub call_ns: HistogramCounts,
    /// Decisions of a call.
    pub decisions_of_call: HistogramCounts,
    /// Lines that it consumed, by the command at their start. `None`: any other.
    pub lines: Vec<(Option<String>, u64)>,
}

impl DecisionCounts {
    /// Counts nothing yet. `commands` are the words that the guest describes.
    pub(crate) fn new(commands: &[String]) -> Self {
        let words = commands.iter().filter(|word| !word.is_empty()).take(COMMANDS_MAX);
        Self { commands: words.map(|word| word.as_bytes().into()).collect(), workers: PerWorker::default() }
    }

    /// Counts a call that did not fault.
    pub(crate) fn record(&self, call: &Call<'_>, decision: &Decision, took: Duration) {
        let counts = self.workers.own();
        let add = |count: &AtomicU64| count.fetch_add(call.decisions() as u64, Ordering::Relaxed);
        match call {
            Call::Inputs(inputs) => {
                add(&counts.inputs);
                self.count_lines(counts, inputs, decision);
            }
            Call::Reports(_) => drop(add(&counts.reports)),
            Call::Answer { .. } => drop(add(&counts.answers)),
        }
        counts.time_ns.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        counts.decisions_of_call.record(call.decisions() as u64);
    }

    /// Returns the counts under the number of the generation.
    pub(crate) fn status(&self, generation: GenerationId) -> DecisionCountsStatus {
        let sum =
            |of: fn(&Counts) -> &AtomicU64| self.workers.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum();
        let lines = (0..=self.commands.len()).map(|index| {
            let word = self.commands.get(index).map(|word| String::from_utf8_lossy(word).into_owned());
            (word, self.workers.iter().map(|counts| counts.lines[index].load(Ordering::Relaxed)).sum())
        });
        DecisionCountsStatus {
            generation,
            inputs: sum(|counts| &counts.inputs),
            reports: sum(|counts| &counts.reports),
            answers: sum(|counts| &counts.answers),
            call_ns: self.workers.iter().map(|counts| counts.time_ns.counts()).sum(),
            decisions_of_call: self.workers.iter().map(|counts| counts.decisions_of_call.counts()).sum(),
            lines: lines.collect(),
        }
    }

    fn count_lines(&self, counts: &Counts, inputs: &InputBatch, decision: &Decision) {
        let mut inputs = inputs.iter();
        for effect in &decision.effects {
            let Effect::Done(progress) = effect else { continue };
            let Some(input) = inputs.next() else { return };
            let mut rest = input.bytes.get(..progress.consumed).unwrap_or_default();
            while !rest.is_empty() {
                counts.lines[self.command(rest)].fetch_add(1, Ordering::Relaxed);
                let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                rest = &rest[end..];
            }
        }
    }

    /// Returns the index of the command with which a line begins.
    fn command(&self, line: &[u8]) -> usize {
        let is_first = |word: &[u8]| {
            line.strip_prefix(word).is_some_and(|rest| rest.first().is_none_or(|next| next.is_ascii_whitespace()))
        };
        self.commands.iter().position(|word| is_first(word)).unwrap_or(self.commands.len())
    }
}

/// Commands that are counted by their word. More of them would be a label without a bound; the lines of others are counted together.
const COMMANDS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use herd_sdk::{Awaiting, Input, Mark, Progress};

    use super::*;

    fn done(consumed: usize) -> Effect {
        Effect::Done(Progress { consumed, awaits: Awaiting::Delimiter(b'\n') })
    }

    #[test]
    fn lines_are_counted_by_the_commands_of_the_guest_and_only_those_consumed() {
        let counts = DecisionCounts::new(&["IAMAT".into(), "AT".into()]);
        let batch: InputBatch = [&b"IAMAT a\nAT\nATTIC b\n"[..], b"IAMAT unfinished", b"\nIAMAT\tc"]
            .map(|bytes| Input { bytes, mark: Mark::More })
            .into_iter()
            .collect();
        let decision = Decision { effects: [done(19), done(0), done(8)].into_iter().collect(), ..Decision::default() };
        counts.record(&Call::Inputs(&batch), &decision, Duration::from_micros(3));
        let status = counts.status(GenerationId(7));
        let lines: Vec<_> = status.lines.iter().map(|(word, count)| (word.as_deref(), *count)).collect();
        assert_eq!(lines, [(Some("IAMAT"), 2), (Some("AT"), 1), (None, 2)]);
        assert_eq!((status.inputs, status.reports, status.answers), (3, 0, 0));
        assert_eq!((status.call_ns.sum, status.call_ns.counts[2]), (3000, 1));
        assert_eq!((status.decisions_of_call.sum, status.decisions_of_call.total()), (3, 1));
    }

    #[test]
    fn commands_beyond_the_limit_are_counted_together() {
        let words: Vec<String> = (0..100).map(|number| format!("C{number:03}")).collect();
        let counts = DecisionCounts::new(&words);
        assert_eq!(counts.status(GenerationId(1)).lines.len(), COMMANDS_MAX + 1);
        assert_eq!((counts.command(b"C000 x\n"), counts.command(b"C099\n")), (0, COMMANDS_MAX));
    }
}
