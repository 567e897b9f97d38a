//! What benchmarks of decisions measure: commands, in batches, and everyone who decides them.
//!
//! A further way over the boundary is a further line in [`Contender::ALL`] and an arm in [`Contender::decider`].

use std::sync::Arc;

use herd::DEFAULT_GUEST;
use herd_logic::Herd;
use herd_runtime::{ComponentDecider, Engine, Limits, Warmth};
use herd_sdk::native::{Decider, MemoryRecords, Native};
use herd_sdk::{Input, Logic, Mark, Moment, Settings};

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The default guest as a component, warm, with its deadline on, as in a node.
    Component,
    /// The same logic linked in.
    Native,
}

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A report.
    Iamat,
    /// The place of a client that nobody knows: a look into the records, and an answer at once.
    WhatsatUnknown,
    /// Something else.
    Malformed,
}

impl Contender {
    /// All of them. The last is what the others are compared with.
    pub const ALL: [Self; 2] = [Self::Component, Self::Native];

    /// For people, and for command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Native => "native",
        }
    }

    /// Ready to decide, over records of its own. The limits are those of a guest.
    ///
    /// # Panics
    ///
    /// When this machine does not run guests.
    #[must_use]
    pub fn decider(self, limits: Limits) -> Box<dyn Decider> {
        let settings = Settings { node: "Riley".into(), table: vec![] };
        let records = Arc::new(MemoryRecords::default());
        match self {
            Self::Component => {
                let engine = Engine::new(limits).expect("this machine runs guests");
                let loaded = ComponentDecider::load(&engine, DEFAULT_GUEST, settings, records, Warmth::Warm);
                Box::new(loaded.expect("the default guest loads"))
            }
            Self::Native => Box::new(Native::new(Herd::configure(&settings).expect("there are no settings"), records)),
        }
    }
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Iamat, Self::WhatsatUnknown, Self::Malformed];

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iamat => "IAMAT",
            Self::WhatsatUnknown => "WHATSAT of nobody",
            Self::Malformed => "malformed",
        }
    }

    /// So many lines, about a client each.
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

/// Decides a batch, and checks only that something was decided.
///
/// # Panics
///
/// When the guest faults, which the default one does not.
#[inline]
pub fn decide(decider: &mut dyn Decider, batch: &[u8]) {
    let at = Moment { now_ns: 1_479_413_885_000_000_000, random: (1, 2) };
    let decided = decider.input(at, Input { bytes: batch, mark: Mark::More });
    let decision = decided.expect("the default guest does not fault");
    assert!(decision.progress().is_some_and(|progress| progress.consumed == batch.len()));
    let _ = std::hint::black_box(decision);
}
