//! A node that has a processor to itself, and the processor time of its answers.

use std::path::Path;

use anyhow::Result;

use crate::bench::Bench;
use crate::{Herd, Process};

/// A node held to the first processor; load is held to the second.
pub struct LoneNode {
    /// Its herd.
    pub herd: Herd,
    process: Process,
}

/// Answers of a closed loop.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Per second.
    pub each_s: f64,
    /// Per second of processor time of the server. On two processors the load is the limit of the fastest, and a ratio of answers
    /// per second would flatter.
    pub each_processor_s: f64,
    /// Median time to an answer, in milliseconds.
    pub p50_ms: f64,
}

impl LoneNode {
    /// Starts a node with these settings.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::of_program(&Herd::binary(), settings)
    }

    /// Starts a node of another program with these settings.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn of_program(program: &Path, settings: &[&str]) -> Self {
        let herd = Herd::of_one().as_for_users().with("runtime.workers=1").with_binary(program.into());
        let herd = settings.iter().fold(herd, |herd, setting| herd.with(setting));
        let process = herd.run_on_processor("Riley", 0);
        Self { herd, process }
    }

    /// Starts a node with this durability.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn of_durability(durability: &str) -> Self {
        Self::start(&[&format!("records.durability={durability:?}")])
    }

    /// Runs a closed loop and takes the processor time that it cost.
    ///
    /// # Errors
    ///
    /// The load does not run.
    pub fn load(&self, scenario: &Scenario, seconds: f64) -> Result<Rate> {
        let arguments = ["--connections", "64", "--pipeline", scenario.pipeline].map(Into::into).into();
        let nodes = vec![self.herd.address("Riley")];
        let bench = Bench { nodes, arguments, seconds, processor: Some(1) };
        let before_ns = self.process.processor_ns("");
        let loaded = bench.run()?;
        let spent_s = (self.process.processor_ns("") - before_ns) as f64 / 1e9;
        let answers = loaded.answers + loaded.answers_in_warm_up;
        Ok(Rate { each_s: loaded.rate, each_processor_s: answers / spent_s, p50_ms: loaded.p50_ms })
    }
}

/// A closed loop over 64 sessions.
pub struct Scenario {
    /// Name in figures.
    pub name: &'static str,
    /// Lines on their way per session.
    pub pipeline: &'static str,
}

/// A line at a time, and many.
pub const SCENARIOS: [Scenario; 2] =
    [Scenario { name: "request/response", pipeline: "1" }, Scenario { name: "pipelined 32", pipeline: "32" }];
