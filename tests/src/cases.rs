//! The protocol cases in `tests/cases`: what a herd that runs answers, and what it asks and stands.
//!
//! Owns their form, described in `tests/cases/README.md`, and their performance over the harness. A [`Case`] is data; a
//! [`Stage`] has the processes it is performed with and keeps them for the next case of the same herd, because starting five
//! takes longer than most cases.
//!
//! ```no_run
//! let mut stage = herd_tests::cases::Stage::new();
//! for case in herd_tests::cases::all() {
//!     case.run(&mut stage).unwrap_or_else(|what| println!("{}: {what}", case.place()));
//! }
//! ```
//!
//! Every wait has a bound: [`ANSWER_MAX`], [`EVENTUALLY_MAX`] or what the case says; those of the harness have their own.

mod answers;
mod connection;
mod expected;
mod family;
mod pattern;
mod performance;
mod read;
mod stage;
mod step;
mod text;

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use family::Family;
use performance::Performance;
use step::Step;

pub use stage::Stage;

/// How long an answer may take where a case does not say. A node takes microseconds; this is for a busy machine.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long a report may take to where it must come. Less than the ten seconds after which a silent link is made anew,
/// because what only comes that way was lost.
pub const EVENTUALLY_MAX: Duration = Duration::from_secs(8);

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What holds, as a sentence.
    pub name: String,
    /// The name of its file.
    pub topic: String,
    /// Why it matters.
    pub why: String,
    line: usize,
    family: Family,
    up: Vec<String>,
    steps: Vec<Step>,
}

/// Every case, in the order of the files' names.
///
/// # Panics
///
/// With file and line, when a file cannot be read or is not in the form of a case.
#[must_use]
pub fn all() -> Vec<Case> {
    topics().iter().flat_map(|topic| of(topic)).collect()
}

/// The cases of one topic.
///
/// # Panics
///
/// As [`all`].
#[must_use]
pub fn of(topic: &str) -> Vec<Case> {
    let path = directory().join(topic).with_extension(ENDING);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read::cases(topic, &text).unwrap_or_else(|wrong| panic!("{}:{wrong}", path.display()))
}

/// The topics there are, sorted.
///
/// # Panics
///
/// When the directory of the cases cannot be read.
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
    /// Performs the case. After a failure the stage is empty, and the next case starts its nodes anew.
    ///
    /// # Errors
    ///
    /// The line of the step that failed, what was expected, and what came.
    pub fn run(&self, stage: &mut Stage) -> Result<(), String> {
        // The harness panics when a node does not start; the other cases can still be tried.
        let ran = catch_unwind(AssertUnwindSafe(|| Performance::begin(self, stage).and_then(|mut it| it.steps())));
        let outcome = ran.unwrap_or_else(|panic| Err(message(&*panic)));
        if outcome.is_err() {
            stage.clear();
        }
        outcome
    }

    /// File and line, from the directory of the tests.
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
