//! Transcripts: events in, effects out, as text that people read and write by hand.
//!
//! A transcript runs against any [`Decider`]: protocol logic that is linked in, or a component. It is
//! a list of events, each with the effects that are expected of it:
//!
//! ```text
//! now 1479413884.655837
//! input "IAMAT kiwi +34-118 1479413884\n"
//!   keep "kiwi", "AT Riley +0.655837000 kiwi +34-118 1479413884"
//!     form 1 rank *
//!   reply "AT Riley +0.655837000 kiwi +34-118 1479413884\n"
//!     else "? IAMAT kiwi +34-118 1479413884\n"
//! ```
//!
//! The whole format is in `docs/transcripts.md`. This module owns the format and a world just large enough to
//! perform it. It knows nothing about files, sockets or wasm.

mod document;
mod effect_line;
mod event;
mod event_line;
mod event_text;
mod exchange;
mod mock_host;
mod parse;
mod run;
#[cfg(test)]
mod tests;
mod token;

use crate::logic::Settings;
use crate::native::{Decider, MemoryRecords};

use document::Document;

pub use event::{Event, PeerReport, Step, UpstreamOutcome};
pub use exchange::Exchange;
pub use parse::ParseError;
pub use run::{Difference, Run};
pub use token::Token;

/// Events, and the effects that their author expects.
#[derive(Clone, Debug)]
pub struct Transcript {
    name: String,
    document: Document,
}

impl Transcript {
    /// Reads a transcript. The name is for messages, such as the path of the file.
    ///
    /// # Errors
    ///
    /// The first line that cannot be understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        Ok(Self { name: name.into(), document: parse::document(name, text)? })
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the guest is to be configured with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.document.settings
    }

    /// The events in their order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.document.steps
    }

    /// Runs the events against a guest that was configured with the settings. `records` are those that the guest
    /// reads, empty at the beginning.
    pub fn run(&self, decider: &mut dyn Decider, records: &MemoryRecords) -> Run {
        let mut host = mock_host::MockHost::new(decider, records);
        let effects: Vec<_> = self.document.steps.iter().map(|step| host.perform(&step.event)).collect();
        Run::new(&self.name, &self.document, &effects)
    }

    /// Why the transcript cannot be replayed against a running node, if so: what its author says, or because only a
    /// peer could send its reports.
    #[must_use]
    pub fn not_live(&self) -> Option<&str> {
        let has_reports = || self.document.steps.iter().any(|step| matches!(step.event, Event::Reports(_)));
        self.document.not_live.as_deref().or_else(|| has_reports().then_some("holds reports of a peer"))
    }

    /// What clients send and are to receive, in order, to replay it against a running node. Times of receipt in
    /// the replies are those of the transcript, and so is the name of the node.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        exchange::exchanges(&self.document.steps)
    }
}
