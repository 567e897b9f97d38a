//! Protocol cases of `tests/cases`: the answers of running herds, their upstream requests, and the failures they survive.
//!
//! Owns the format, described in `tests/cases/README.md`, and the execution of cases over the harness. A [`Case`] is data; a
//! [`RunningHerd`] owns the processes that it runs against and keeps them for the next case of the same herd, because starting five
//! processes takes longer than most cases.
//!
//! ```no_run
//! let mut herd = herd_tests::cases::RunningHerd::new();
//! for case in herd_tests::cases::all() {
//!     case.run(&mut herd).unwrap_or_else(|what| println!("{}: {what}", case.place()));
//! }
//! ```
//!
//! Every wait is bounded by [`ANSWER_MAX`], [`EVENTUALLY_MAX`] or the case itself; waits of the harness have their own bound.

mod answers;
mod case_run;
mod connection;
mod expected;
mod pattern;
mod read;
mod running_herd;
mod step;
mod text;
mod topology;

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use case_run::CaseRun;
use step::Step;
use topology::Topology;

pub use running_herd::RunningHerd;

/// Time limit of an answer, unless the case sets one. A node takes microseconds; the rest is for a busy machine.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Time limit for a report to spread. Less than the ten seconds after which a silent link is replaced, because a report that
/// arrives only through the repair of a new link was lost by the flood.
pub const EVENTUALLY_MAX: Duration = Duration::from_secs(8);

/// A protocol case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The expectation, as a sentence.
    pub name: String,
    /// Name of its file, without the ending.
    pub topic: String,
    /// Reason why it matters.
    pub why: String,
    line: usize,
    topology: Topology,
    up: Vec<String>,
    steps: Vec<Step>,
}

/// Reads every case, in the order of the file names.
///
/// # Panics
///
/// If a file cannot be read or is malformed; the message has file and line.
#[must_use]
pub fn all() -> Vec<Case> {
    topics().iter().flat_map(|topic| of(topic)).collect()
}

/// Reads the cases of one topic.
///
/// # Panics
///
/// As for [`all`].
#[must_use]
pub fn of(topic: &str) -> Vec<Case> {
    let path = directory().join(topic).with_extension(ENDING);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read::cases(topic, &text).unwrap_or_else(|wrong| panic!("{}:{wrong}", path.display()))
}

/// Names of all topics, sorted.
///
/// # Panics
///
/// If the directory of the cases cannot be read.
#[must_use]
pub fn topics() -> Vec<String> {
    let directory = directory();
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut topics: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    topics.sort();
    topics
}

impl Case {
    /// Runs the case. A failure kills the nodes, so the next case starts fresh ones.
    ///
    /// # Errors
    ///
    /// Line of the failed step, the expectation, and the actual outcome.
    pub fn run(&self, herd: &mut RunningHerd) -> Result<(), String> {
        // The harness panics when a node does not start; the remaining cases can still run.
        let ran = catch_unwind(AssertUnwindSafe(|| CaseRun::begin(self, herd).and_then(|mut it| it.steps())));
        let outcome = ran.unwrap_or_else(|panic| Err(message(&*panic)));
        if outcome.is_err() {
            herd.clear();
        }
        outcome
    }

    /// File and line, relative to the directory of the tests.
    #[must_use]
    pub fn place(&self) -> String {
        format!("cases/{}.{ENDING}:{}", self.topic, self.line)
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".into())
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

const ENDING: &str = "cases";
