//! Transcripts: text files of events and the effects that a guest is expected to decide.
//!
//! A transcript runs against any [`Decider`], native logic or a component. Each event is followed by its expected effects:
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
//! `docs/transcripts.md` describes the format.
//!
//! This module owns the format and a mock host that performs the events. It must not know files, sockets or wasm. The text
//! of the transcript bounds time and memory; a repeated byte string makes at most 16 MiB.
//!
//! ```
//! # use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};
//! # struct Hello;
//! # impl Logic for Hello {
//! #     fn describe() -> Description { Description::default() }
//! #     fn configure(_: &Settings) -> Result<Self, BadSetting> { Ok(Self) }
//! #     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//! #         input.lines(|line| context.reply(&[b"hello ", line, b"\n"].concat()))
//! #     }
//! # }
//! use std::sync::Arc;
//!
//! use herd_sdk::native::{MemoryRecords, Native};
//! use herd_sdk::transcript::Transcript;
//!
//! let text = "input \"world\\n\"\n  reply \"hello world\\n\"\n";
//! let transcript = Transcript::parse("hello.herd", text)?;
//! let records = Arc::new(MemoryRecords::default());
//! let logic = Hello::configure(transcript.settings())?;
//! let run = transcript.run(&mut Native::new(logic, records.clone()), &records);
//! assert!(run.passed(), "{run}");
//! # Ok::<(), herd_sdk::native::Fault>(())
//! ```

mod compared;
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

pub use compared::Compared;
pub use event::{Event, PeerReport, Step, UpstreamOutcome};
pub use exchange::Exchange;
pub use parse::ParseError;
pub use run::{Difference, Run};
pub use token::Token;

/// A parsed transcript.
#[derive(Clone, Debug)]
pub struct Transcript {
    name: String,
    document: Document,
    compared: Compared,
}

impl Transcript {
    /// Parses a transcript. Messages quote the name, such as the path of the file.
    ///
    /// # Errors
    ///
    /// The first line that is malformed.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        Ok(Self { name: name.into(), document: parse::document(name, text)?, compared: Compared::default() })
    }

    /// Sets the effects that [`run`](Self::run) compares. Without it, every effect.
    #[must_use]
    pub fn comparing(mut self, compared: Compared) -> Self {
        self.compared = compared;
        self
    }

    /// Returns the name passed to [`parse`](Self::parse).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the settings to configure the guest with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.document.settings
    }

    /// Returns the events and their expected effects, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.document.steps
    }

    /// Runs the events against a guest configured with [`settings`](Self::settings). `records` are those that the guest
    /// reads; they must be empty.
    pub fn run(&self, decider: &mut dyn Decider, records: &MemoryRecords) -> Run {
        let mut host = mock_host::MockHost::new(decider, records);
        let effects: Vec<_> = self.document.steps.iter().map(|step| host.perform(&step.event)).collect();
        Run::new(&self.name, &self.document, &effects, self.compared)
    }

    /// Returns the reason why the transcript cannot be replayed against a running node: the author's, or that it holds
    /// reports, which only a peer can send. None if it can be replayed.
    #[must_use]
    pub fn not_live(&self) -> Option<&str> {
        let has_reports = || self.document.steps.iter().any(|step| matches!(step.event, Event::Reports(_)));
        self.document.not_live.as_deref().or_else(|| has_reports().then_some("holds reports of a peer"))
    }

    /// Returns the requests of clients and their expected replies, in order, for a replay against a running node. Receipt
    /// times and node names in the replies are those of the transcript.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        exchange::exchanges(&self.document.steps)
    }
}
