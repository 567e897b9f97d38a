//! Options of a simulated herd, and the report of its run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Options of one run.
#[derive(Clone, Copy, Debug)]
pub struct SimOptions {
    /// Seed, which decides everything that these options leave open.
    pub seed: u64,
    /// Number of nodes, from 2 to [`NODES_MAX`].
    pub nodes: usize,
    /// Virtual time under load and faults. The herd then has time of its own to come to rest.
    pub duration: Duration,
    /// Links between nodes.
    pub graph: Graph,
    /// Faults that may happen.
    pub faults: Faults,
}

/// Links between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Graph {
    /// Links of a herd without configuration, with each further node beside the two before it.
    Default,
    /// One of the others, or a tree with random links added.
    Random,
    /// Each node to the next one.
    Line,
    /// Each node to the next one, and the last to the first.
    Ring,
    /// Each node to every other one.
    #[serde(rename = "mesh")]
    Full,
}

/// Faults of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// None but delays.
    None,
    /// Each seed has some of all kinds, some of them often.
    All,
}

impl SimOptions {
    /// Five nodes for two minutes with all faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let duration = Duration::from_secs(120);
        Self { seed, nodes: 5, duration, graph: Graph::Random, faults: Faults::All }
    }
}

/// Report of a run that kept every invariant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that clients sent.
    pub commands: u64,
    /// Reports that clients were told are kept.
    pub kept: u64,
    /// Reports that clients were told are not confirmed.
    pub unconfirmed: u64,
    /// Answers to questions.
    pub answers: u64,
    /// Frames that links delivered.
    pub frames: u64,
    /// Ends of processes.
    pub crashes: u64,
    /// Losses of power of all nodes at once, after which nothing of what was not synced is there.
    pub power_losses_of_all: u64,
    /// Processes that were replaced by one of another version.
    pub versions: u64,
    /// Connections that were lost.
    pub cuts: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Failures of disks.
    pub disk_faults: u64,
    /// Swaps and rollbacks of the whole herd.
    pub swaps: u64,
    /// Canaries that operators started, and shares that they changed.
    pub canaries: u64,
    /// Proofs that two linked nodes hold equal records, counted at each of them.
    pub proofs: u64,
    /// Buckets of records that proofs found unequal and mended. Without damage there are none.
    pub repairs: u64,
    /// Records that the simulator changed or removed behind a node's back.
    pub damages: u64,
    /// Months that passed while a node was off.
    pub absences: u64,
    /// Nodes that took their records anew from a peer, after an absence.
    pub rejoins: u64,
    /// Virtual milliseconds from the end of the last fault until all was equal.
    pub rest_ms: u64,
    /// Answers of all nodes that were compared at rest.
    pub asked: u64,
    /// Hash of everything that clients saw, to compare replays.
    pub fingerprint: u64,
    /// Hash of all events, their times, and all decisions.
    pub trace: u64,
}

/// Most nodes of a herd.
pub const NODES_MAX: usize = NAMES.len();
pub(crate) const NAMES: [&str; 10] =
    ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard", "Kyman", "Singleton", "Johnson", "Clark", "Nwuba"];
