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
//! This module owns the format and a mock herd that performs the events. It must not know files, sockets or wasm. The text
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
mod coverage;
mod document;
mod effect_line;
mod event;
mod event_line;
mod event_text;
mod exchange;
mod mock_herd;
mod mock_host;
mod parse;
mod pattern;
mod run;
#[cfg(test)]
mod tests;
mod token;

use std::borrow::Cow;
use std::sync::Arc;

use crate::logic::Settings;
use crate::native::{Decider, MemoryRecords};

use document::{Document, Item};
use mock_herd::MockHerd;
use mock_host::MockHost;
use pattern::Values;

pub use compared::Compared;
pub use coverage::Coverage;
pub use event::{Event, PeerReport, Step, UpstreamOutcome};
pub use exchange::Exchange;
pub use parse::ParseError;
pub use pattern::Pattern;
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

    /// Returns the settings to configure the guest with, at the first node.
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
    /// reads; they must be empty. In a transcript of several nodes, an event at another one than the first is a fault: use
    /// [`run_herd`](Self::run_herd).
    pub fn run(&self, decider: &mut dyn Decider, records: &MemoryRecords) -> Run {
        let host = MockHost::new(&self.document.settings.node, decider, records);
        self.perform(vec![host])
    }

    /// Runs the events against a herd. `load` makes the guest of a node from its settings and records, once for each node.
    ///
    /// ```
    /// # use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};
    /// # struct Hello;
    /// # impl Logic for Hello {
    /// #     fn describe() -> Description { Description::default() }
    /// #     fn configure(_: &Settings) -> Result<Self, BadSetting> { Ok(Self) }
    /// #     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
    /// #         input.lines(|line| context.reply(&[b"hello ", line, b"\n"].concat()))
    /// #     }
    /// # }
    /// use herd_sdk::native::Native;
    /// use herd_sdk::transcript::Transcript;
    ///
    /// let text = "node Riley\ninput \"a\\n\"\n  reply \"hello a\\n\"\nnode Jaquez\nflood from Riley\n";
    /// let transcript = Transcript::parse("hello.herd", text)?;
    /// let run = transcript.run_herd(|settings, records| {
    ///     Hello::configure(settings).map(|logic| Native::new(logic, records))
    /// });
    /// assert!(run.is_ok_and(|run| run.passed()));
    /// # Ok::<(), herd_sdk::transcript::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `load`. No event was performed.
    pub fn run_herd<D: Decider, E>(
        &self,
        mut load: impl FnMut(&Settings, Arc<MemoryRecords>) -> Result<D, E>,
    ) -> Result<Run, E> {
        let node = |name: &String| {
            let (settings, records) =
                (Settings { node: name.clone(), ..self.document.settings.clone() }, Arc::new(MemoryRecords::default()));
            Ok((load(&settings, Arc::clone(&records))?, records))
        };
        let mut nodes = self.document.nodes.iter().map(node).collect::<Result<Vec<_>, E>>()?;
        let pairs = nodes.iter_mut().zip(&self.document.nodes);
        Ok(self.perform(pairs.map(|((decider, records), name)| MockHost::new(name, decider, records)).collect()))
    }

    fn perform<'a>(&'a self, hosts: Vec<MockHost<'a>>) -> Run {
        let mut herd = MockHerd::new(&self.document.nodes, hosts);
        let mut run = Run::new(&self.name, self.compared);
        for item in &self.document.items {
            let step = match item {
                Item::Verbatim(text) => {
                    run.write(text);
                    continue;
                }
                Item::Step(index) => &self.document.steps[*index],
            };
            match event_of(step, &run.values) {
                Ok(event) => {
                    let effects = herd.perform(&event, &mut run.coverage);
                    run.step(step, &effects);
                }
                Err(variable) => run.skip(step, &variable),
            }
        }
        run
    }

    /// Returns the reason why the transcript cannot be replayed against a running node: the author's, or that it holds
    /// reports, which only a peer can send, or several nodes, or patterns. None if it can be replayed.
    #[must_use]
    pub fn not_live(&self) -> Option<&str> {
        let has_reports = || self.document.steps.iter().any(|step| matches!(step.event, Event::Reports(_)));
        let reason = self.document.not_live.as_deref();
        let reason = reason.or_else(|| (self.document.nodes.len() > 1).then_some("has several nodes"));
        let reason = reason.or_else(|| has_reports().then_some("holds reports of a peer"));
        reason.or_else(|| self.document.has_patterns.then_some("holds patterns or variables"))
    }

    /// Returns the requests of clients and their expected replies, in order, for a replay against a running node. Receipt
    /// times and node names in the replies are those of the transcript.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        exchange::exchanges(&self.document.steps)
    }
}

/// Returns the event of a step with the bytes of its variables.
///
/// # Errors
///
/// The name of a variable without a value.
fn event_of<'a>(step: &'a Step, values: &Values) -> Result<Cow<'a, Event>, String> {
    let Some(template) = &step.template else { return Ok(Cow::Borrowed(&step.event)) };
    // The parser has read the same words, so this does not fail.
    event_line::event(&parse::with_values(template, values)?).map(Cow::Owned)
}
