//! Counters of one thread of a load.
//!
//! Bound: a histogram has a fixed size, [`WRONG_ANSWERS_KEPT_MAX`] wrong answers are kept, and broken connections are counted by
//! server and reason.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;

/// Answer to a command.
pub(super) struct Answer<'a> {
    /// Time from which its latency counts.
    pub(super) from: Instant,
    pub(super) bytes: &'a [u8],
    /// It has the form that its command requires.
    pub(super) is_right: bool,
}

/// Counters of one thread.
pub(super) struct Counters {
    /// Latencies of the answers during measurement, in nanoseconds, to three digits.
    pub(super) times_ns: Histogram<u64>,
    /// Wrong answers among them.
    pub(super) wrong: u64,
    /// Answers before measurement began.
    pub(super) answers_in_warm_up: u64,
    /// Wrong answers among these.
    pub(super) wrong_in_warm_up: u64,
    /// Beginnings of the first wrong answers.
    pub(super) wrong_answers: Vec<String>,
    pub(super) broken: BTreeMap<String, u64>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            times_ns: histogram(),
            wrong: 0,
            answers_in_warm_up: 0,
            wrong_in_warm_up: 0,
            wrong_answers: Vec::new(),
            broken: BTreeMap::new(),
        }
    }

    /// Counts an answer that arrived at `now`. One that arrived before `measure_from` has no latency.
    pub(super) fn count(&mut self, answer: &Answer<'_>, now: Instant, measure_from: Instant) {
        let is_measured = now >= measure_from;
        if is_measured {
            let time_ns = u64::try_from(now.saturating_duration_since(answer.from).as_nanos()).unwrap_or(u64::MAX);
            self.times_ns.saturating_record(time_ns.max(1));
        } else {
            self.answers_in_warm_up += 1;
        }
        if !answer.is_right {
            // Counted apart, so that there are never more wrong answers than answers.
            *if is_measured { &mut self.wrong } else { &mut self.wrong_in_warm_up } += 1;
            if self.wrong_answers.len() < WRONG_ANSWERS_KEPT_MAX {
                let beginning = &answer.bytes[..answer.bytes.len().min(WRONG_ANSWER_BYTES_MAX)];
                self.wrong_answers.push(String::from_utf8_lossy(beginning).into_owned());
            }
        }
    }

    /// Adds the counters of another thread.
    pub(super) fn add(&mut self, other: Self) {
        // Cannot fail, because both histograms have the same bounds.
        let _ = self.times_ns.add(&other.times_ns);
        self.wrong += other.wrong;
        self.answers_in_warm_up += other.answers_in_warm_up;
        self.wrong_in_warm_up += other.wrong_in_warm_up;
        self.wrong_answers.extend(other.wrong_answers);
        self.wrong_answers.truncate(WRONG_ANSWERS_KEPT_MAX);
        for (what, count) in other.broken {
            *self.broken.entry(what).or_default() += count;
        }
    }
}

/// Creates a histogram from 100 ns to one minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!("these bounds are valid"))
}

/// Examples of wrong answers, enough to see a pattern.
const WRONG_ANSWERS_KEPT_MAX: usize = 3;

/// Beginning of a wrong answer, a line of a terminal.
const WRONG_ANSWER_BYTES_MAX: usize = 80;
