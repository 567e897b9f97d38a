//! Simulation: a run and everything that it is made of.
//!
//! Owns what is put together for a run. Knows nothing of how a herd runs. Bounds: those of its options.

use herd_logic::Herd as DefaultLogic;

use crate::check_file::CheckFile;
use crate::guest::{NativeGuest, SimGuests};
use crate::options::SimOptions;
use crate::scenario::Scenario;

/// A run: its options, its guests, and what has to hold of them.
#[derive(Clone, Copy)]
pub struct Simulation<'a> {
    pub(crate) options: SimOptions,
    pub(crate) deciding: Deciding<'a>,
    pub(crate) check: Option<&'a CheckFile>,
    pub(crate) protocol: Protocol,
    pub(crate) scenario: Option<&'a Scenario>,
    pub(crate) spreads: bool,
}

/// Guests that decide, and how many of 100 decisions are checked. None: the default logic, in company of a stand-in that refuses.
#[derive(Clone, Copy)]
pub(crate) struct Deciding<'a> {
    pub(crate) guests: &'a dyn SimGuests,
    pub(crate) checked_percent: Option<u64>,
}

/// Protocol of the guests, as far as clients of a run know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The line protocol: clients send `IAMAT` and `WHATSAT`, and their replies are checked.
    #[default]
    Line,
    /// Another one: clients send only the lines of a check file or of a scenario, and only its replies at rest are checked.
    None,
}

impl<'a> Simulation<'a> {
    /// Creates a run that the default logic decides, linked in natively, beside a stand-in that refuses some reports.
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        let guests: &NativeGuest<DefaultLogic> = const { &NativeGuest::new() };
        let deciding = Deciding { guests, checked_percent: None };
        Self { options, deciding, check: None, protocol: Protocol::Line, scenario: None, spreads: false }
    }

    /// Lets guests decide everything, and holds them to the invariants of guests.
    #[must_use]
    pub fn with_guests(mut self, guests: &'a dyn SimGuests) -> Self {
        self.deciding = Deciding { guests, checked_percent: Some(CHECKED_PERCENT) };
        self
    }

    /// Adds lines that clients send, and replies that have to come.
    #[must_use]
    pub fn with_check(mut self, check: &'a CheckFile) -> Self {
        self.check = Some(check);
        self
    }

    /// Sets the protocol that clients know.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Performs the events of a scenario, and no others. Its options replace those of the run, and every decision of guests is checked.
    #[must_use]
    pub fn with_scenario(mut self, scenario: &'a Scenario) -> Self {
        self.options = scenario.options();
        self.scenario = Some(scenario);
        if self.deciding.checked_percent.is_some() {
            self.deciding.checked_percent = Some(100);
        }
        self
    }

    /// Notes when and over which link each report reached each node.
    #[must_use]
    pub fn with_spread(mut self) -> Self {
        self.spreads = true;
        self
    }
}

/// Decisions of guests that are checked in a run of a seed: enough that a fault in one of a hundred lines is found within a few seeds, and
/// few enough that a run takes no more than half as long again.
const CHECKED_PERCENT: u64 = 4;
