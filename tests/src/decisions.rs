//! Subjects of the decision benchmarks: commands in batches, and the deciders that are compared.
//!
//! To measure a further way over the WIT boundary, add a line to [`Contender::ALL`] and an arm to [`Contender::decider`].

use std::sync::Arc;

use herd_cli::default_guest;
use herd_logic::Herd;
use herd_runtime::{ComponentDecider, Engine, Limits, Warmth};
use herd_sdk::native::{Decider, MemoryRecords, Native};
use herd_sdk::{Input, Logic, Mark, Moment, Settings};

/// A decider to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The default guest as a component, warm, with its deadline on, as in a node.
    Component,
    /// The same logic linked in natively.
    Native,
}

/// Kind of line that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A location report.
    Iamat,
    /// A query for an unknown client: one lookup of a record and an immediate answer.
    WhatsatUnknown,
    /// A line that is no command.
    Malformed,
}

impl Contender {
    /// All contenders. The last is the baseline of the others.
    pub const ALL: [Self; 2] = [Self::Component, Self::Native];

    /// Name for output and for command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Native => "native",
        }
    }

    /// Creates a decider with its own records. The limits apply to a guest.
    ///
    /// # Panics
    ///
    /// If this machine cannot run guests.
    #[must_use]
    pub fn decider(self, limits: Limits) -> Box<dyn Decider> {
        let settings = Settings { node: "Riley".into(), table: vec![] };
        let records = Arc::new(MemoryRecords::default());
        match self {
            Self::Component => {
                let engine = Engine::new(limits).expect("this machine runs guests");
                let loaded = ComponentDecider::load(&engine, default_guest(), settings, records, Warmth::Warm);
                Box::new(loaded.expect("the default guest loads"))
            }
            Self::Native => Box::new(Native::new(Herd::configure(&settings).expect("there are no settings"), records)),
        }
    }
}

impl Command {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Iamat, Self::WhatsatUnknown, Self::Malformed];

    /// Name for output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iamat => "IAMAT",
            Self::WhatsatUnknown => "WHATSAT of nobody",
            Self::Malformed => "malformed",
        }
    }

    /// A batch of `lines` lines, each about another client.
    #[must_use]
    pub fn batch(self, lines: u32) -> Vec<u8> {
        let line = |number: u32| match self {
            Self::Iamat => {
                format!("IAMAT bench-{number} +34.068930-118.445127 1479413884.{:09}\n", u64::from(number) * 7919)
            }
            Self::WhatsatUnknown => format!("WHATSAT bench-{number} 10 5\n"),
            Self::Malformed => format!("NONSENSE bench-{number} +34.068930-118.445127\n"),
        };
        (0..lines).map(line).collect::<String>().into_bytes()
    }
}

/// Decides a batch and checks only that all of it was consumed, to keep the check out of the measurement.
///
/// # Panics
///
/// If the guest faults, which the default guest does not.
#[inline]
pub fn decide(decider: &mut dyn Decider, batch: &[u8]) {
    let at = Moment { now_ns: 1_479_413_885_000_000_000, random: (1, 2) };
    let decided = decider.input(at, Input { bytes: batch, mark: Mark::More });
    let decision = decided.expect("the default guest does not fault");
    assert!(decision.progress().is_some_and(|progress| progress.consumed == batch.len()));
    let _ = std::hint::black_box(decision);
}
