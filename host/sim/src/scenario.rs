//! Scenario: what clients, networks, disks and operators do in a run, event by event.
//!
//! A run of a seed notes its events; a scenario replays them, or those that are left of them. Everything else of a run, such as delays
//! of frames, still follows from the seed. Owns the form in which they are saved. Bounds: a day of virtual time.

use serde::{Deserialize, Serialize};

use crate::options::{Graph, NAMES, NODES_MAX, SimOptions};

/// Events of a run, and the options that belong to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Seed of delays, clocks and settings.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Links between nodes.
    pub graph: Graph,
    /// Virtual time in milliseconds before the herd comes to rest.
    pub for_ms: u64,
    /// Events in the order of their times.
    pub events: Vec<TimedAction>,
}

/// Event of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedAction {
    /// Time from the start of the run, in seconds.
    pub at: f64,
    /// Action at that time.
    #[serde(flatten)]
    pub action: Action,
}

/// Action of a client, a network, a disk or an operator. Times are in milliseconds; nodes and keys are named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of a line in a scenario; docs/simulator.md describes them")]
pub enum Action {
    /// A client sends lines to a node, in pieces that end at `cuts`. It connects if it has no session there.
    Send {
        client: usize,
        node: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        worker: usize,
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cuts: Vec<usize>,
    },
    /// A client ends its session.
    Leave { client: usize },
    /// A connection is lost.
    Cut { node: String, peer: String },
    /// Some nodes do not reach others. Each direction is written `from>to`.
    Partition { directions: Vec<String>, ms: u64 },
    /// A process ends, and starts again later.
    Kill { node: String, ms: u64 },
    /// Nodes lose power, and start again later.
    PowerLoss { nodes: Vec<String>, ms: u64 },
    /// A process does nothing for a while.
    Stop { node: String, ms: u64 },
    /// A clock steps.
    Clock { node: String, ms: i64 },
    /// A disk has only so many bytes left for a while.
    DiskFull { node: String, bytes: u64, ms: u64 },
    /// A disk fails to sync, or else to write, so many times.
    DiskError { node: String, sync: bool, after: u64, times: u64, ms: u64 },
    /// A disk is slow for a while.
    DiskSlow { node: String, sync_ms: u64, ms: u64 },
    /// A link is slow for a while.
    LinkSlow { node: String, peer: String, delay_ms: u64, ms: u64 },
    /// An operator swaps the herd to a guest, by its number, or one node `alone`.
    Swap {
        node: String,
        guest: usize,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unrehearsed: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// An operator rolls the herd back, or one node `alone`.
    RollBack {
        node: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
    },
    /// An operator withdraws the last swap.
    Withdraw { node: String },
    /// The guest of a node faults until the node rolls back, if it may.
    GuestFaults { node: String },
    /// An operator of a node lets a guest decide for a share of its sessions, in percent, or changes that share.
    Canary { node: String, guest: usize, share: u8 },
    /// An operator swaps the herd to the canary of a node.
    PromoteCanary { node: String },
    /// An operator ends the canary of a node.
    EndCanary { node: String },
    /// An operator forgets a client.
    Forget { node: String, key: String },
    /// A process is replaced by one of the other version.
    Version { node: String, ms: u64 },
    /// A record changes behind a node's back.
    Damage { node: String, key: String },
    /// A node is off for a month, longer than forgotten clients are remembered, from which on half of the clients report nothing.
    /// The others forget one in two of those, and this one. The node leaves, and the month passes, once the herd has settled.
    Absence { node: String, key: String, ms: u64 },
}

impl Scenario {
    /// Creates the scenario of a run from its options and events.
    #[must_use]
    pub fn of(options: SimOptions, events: Vec<TimedAction>) -> Self {
        let SimOptions { seed, nodes, duration, graph, .. } = options;
        Self { seed, nodes, graph, for_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), events }
    }

    /// Returns the options that belong to the events.
    #[must_use]
    pub fn options(&self) -> SimOptions {
        let Self { seed, nodes, graph, for_ms, .. } = *self;
        SimOptions { seed, nodes, graph, duration: std::time::Duration::from_millis(for_ms), ..SimOptions::new(seed) }
    }

    /// Checks a scenario that a person may have written: numbers of nodes and clients, times and their order, names of nodes, and lines.
    ///
    /// # Errors
    ///
    /// The first mistake, and the values that are allowed.
    pub fn check(&self) -> Result<(), String> {
        let Self { nodes, for_ms, .. } = *self;
        if !(2..=NODES_MAX).contains(&nodes) {
            return Err(format!("nodes = {nodes}: write a number of nodes from 2 to {NODES_MAX}"));
        }
        if for_ms > FOR_MS_MAX {
            return Err(format!("for_ms = {for_ms}: write a time of at most a day, {FOR_MS_MAX}"));
        }
        let (names, for_s) = (&NAMES[..nodes], for_ms as f64 / 1000.0);
        let mut last = 0.0;
        for TimedAction { at, action } in &self.events {
            if !(0.0..=for_s).contains(at) {
                return Err(format!("at = {at}: write a time in seconds from 0 to {for_s}, which is for_ms"));
            }
            if *at < last {
                return Err(format!(
                    "the event at {at} stands behind one at {last}: write events in the order of their times"
                ));
            }
            last = *at;
            if let Some(mistake) = action.mistake() {
                return Err(format!("the event at {at}: {mistake}"));
            }
            if let Some(unknown) = action.nodes().into_iter().find(|name| !names.contains(name)) {
                return Err(format!("the event at {at} names `{unknown}`: the nodes are {}", names.join(", ")));
            }
        }
        Ok(())
    }
}

impl Action {
    /// Returns what is wrong with the action, whatever the nodes are.
    fn mistake(&self) -> Option<String> {
        match self {
            Self::Send { client, .. } | Self::Leave { client } if *client > CLIENT_MAX => {
                Some(format!("client = {client}: write a number up to {CLIENT_MAX}"))
            }
            Self::Send { text, .. } if !text.ends_with('\n') => {
                Some("its text does not end with a newline, `\\n`".into())
            }
            Self::Partition { directions, .. } => {
                let wrong = directions.iter().find(|direction| direction.split('>').count() != 2)?;
                Some(format!("`{wrong}` is no direction: write the names of two nodes, `from>to`"))
            }
            _ => None,
        }
    }

    /// Returns the names of nodes in the action.
    fn nodes(&self) -> Vec<&str> {
        match self {
            Self::Leave { .. } => Vec::new(),
            Self::Cut { node, peer } | Self::LinkSlow { node, peer, .. } => vec![node.as_str(), peer.as_str()],
            Self::Partition { directions, .. } => {
                directions.iter().flat_map(|direction| direction.split('>')).collect()
            }
            Self::PowerLoss { nodes, .. } => nodes.iter().map(String::as_str).collect(),
            Self::Send { node, .. }
            | Self::Kill { node, .. }
            | Self::Stop { node, .. }
            | Self::Clock { node, .. }
            | Self::DiskFull { node, .. }
            | Self::DiskError { node, .. }
            | Self::DiskSlow { node, .. }
            | Self::Swap { node, .. }
            | Self::RollBack { node, .. }
            | Self::Withdraw { node }
            | Self::GuestFaults { node }
            | Self::Canary { node, .. }
            | Self::PromoteCanary { node }
            | Self::EndCanary { node }
            | Self::Forget { node, .. }
            | Self::Version { node, .. }
            | Self::Damage { node, .. }
            | Self::Absence { node, .. } => vec![node.as_str()],
        }
    }
}

impl TimedAction {
    pub(crate) fn new(at_ns: u64, action: Action) -> Self {
        // A run is at most a day, so its nanoseconds fit into 53 bits.
        Self { at: at_ns as f64 / 1e9, action }
    }

    pub(crate) fn at_ns(&self) -> u64 {
        (self.at.max(0.0) * 1e9).round() as u64
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Highest number of a client in a scenario.
pub(crate) const CLIENT_MAX: usize = 1000;
/// Milliseconds of the longest run, a day: its nanoseconds fit into the 53 bits of a time in seconds.
pub(crate) const FOR_MS_MAX: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_check_names_the_mistake() {
        let cut = |at, peer: &str| TimedAction { at, action: Action::Cut { node: "Riley".into(), peer: peer.into() } };
        let right = Scenario::of(SimOptions { nodes: 2, ..SimOptions::new(1) }, vec![cut(120.0, "Jaquez")]);
        let of = |first, second| Scenario { events: vec![first, second], ..right.clone() };
        let begin = cut(1.0, "Jaquez");
        let partition = |direction: &str| {
            let directions = vec!["Riley>Jaquez".into(), direction.into()];
            TimedAction { at: 1.0, action: Action::Partition { directions, ms: 1 } }
        };
        let send = |client, text: &str| {
            let (node, text, cuts) = ("Riley".into(), text.into(), Vec::new());
            TimedAction { at: 1.0, action: Action::Send { client, node, worker: 0, text, cuts } }
        };
        assert_eq!(right.check(), Ok(()));
        assert_eq!(of(partition("Jaquez>Riley"), send(CLIENT_MAX, "IAMAT kiwi +1-1 1\n")).check(), Ok(()));
        for (scenario, mistake) in [
            (Scenario { nodes: 11, ..right.clone() }, "nodes = 11: "),
            (Scenario { for_ms: FOR_MS_MAX + 1, ..right.clone() }, "for_ms = 86400001: "),
            (Scenario { events: vec![cut(120.5, "Jaquez")], ..right.clone() }, "at = 120.5: "),
            (Scenario { events: vec![cut(f64::NAN, "Jaquez")], ..right.clone() }, "at = NaN: "),
            (Scenario { events: vec![cut(1.0, "Juzang")], ..right.clone() }, "the event at 1 names `Juzang`: "),
            (of(cut(1.0, "Jaquez"), cut(0.5, "Jaquez")), "the event at 0.5 stands behind one at 1: "),
            (of(begin.clone(), partition("Riley")), "the event at 1: `Riley` is no direction"),
            (
                of(begin.clone(), partition("Riley>Jaquez>Riley")),
                "the event at 1: `Riley>Jaquez>Riley` is no direction",
            ),
            (of(begin.clone(), send(0, "IAMAT kiwi +1-1 1")), "the event at 1: its text does not end with a newline"),
            (of(begin, send(CLIENT_MAX + 1, "x\n")), "the event at 1: client = 1001: "),
        ] {
            assert!(scenario.check().unwrap_err().starts_with(mistake), "{mistake}");
        }
    }
}
