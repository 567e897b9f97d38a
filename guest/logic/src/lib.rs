//! Default protocol logic of a herd: the commands `IAMAT` and `WHATSAT`, and the validation of reports from peers.
//!
//! Owns the rules of `docs/protocol.md`. Every function is pure: it must not know sockets, clocks, files or wasm.
//! `guest/component` exports the crate as a component; benchmarks and simulators link it natively.
//!
//! The host bounds the length of a line. Parsing copies a line at most once, into the output, and nothing recurses.
//!
//! ```
//! use std::sync::Arc;
//!
//! use herd_logic::Herd;
//! use herd_sdk::native::{Decider, MemoryRecords, Native};
//! use herd_sdk::{Input, Logic, Mark, Moment, Settings};
//!
//! let settings = Settings { node: "Riley".into(), table: vec![] };
//! let mut logic = Native::new(Herd::configure(&settings)?, Arc::new(MemoryRecords::default()));
//! let at = Moment { now_ns: 1_479_413_884_655_837_000, random: (0, 0) };
//! let input = Input { bytes: b"IAMAT kiwi +34-118 1479413884\n", mark: Mark::More };
//! let decision = logic.input(at, input)?;
//! let output = String::from_utf8_lossy(&decision.output);
//! assert!(output.contains("AT Riley +0.655837000 kiwi +34-118 1479413884\n"));
//! # Ok::<(), herd_sdk::native::Fault>(())
//! ```

mod at;
mod classic;
mod command;
mod cursor;
mod decimal;
mod fields;
mod iamat;
mod line;
mod location;
mod rank;
mod settings;
mod sources;
mod time;
mod whatsat;
mod word;

use herd_sdk::{BadSetting, Context, Description, Input, Logic, Mark, Outcome, Progress, Report, Reports, Settings};

pub use at::AtLine;
pub use command::{Command, Malformed};
pub use fields::fields;
pub use iamat::Iamat;
pub use line::{Line, split_lines};
pub use location::Location;
pub use rank::{Rank, Ranker};
pub use settings::{HerdSettings, Listener};
pub use sources::Source;
pub use time::{ClientTime, write_skew};

/// Form of the records of this logic: an `AT` line without its newline.
pub const FORM: u32 = 1;

/// Bytes that the reply echoes of a line over the length limit: enough for a person to recognize the line.
const ECHO_BYTES_MAX: usize = 64;

/// The default logic.
#[derive(Clone, Debug)]
pub struct Herd {
    node: String,
    ranker: Ranker,
    settings: HerdSettings,
}

impl Herd {
    /// Decides one line. Returns whether it has a reply, now or after a fetch; an empty line has none, nor has any on the listener for
    /// classic links.
    pub fn line(&self, line: Line<'_>, context: &mut Context<'_>) -> bool {
        if self.settings.listener == Listener::Classic {
            self.classic_line(line, context);
            return false;
        }
        match line.command() {
            Command::Empty => return false,
            Command::Iamat(iamat) => self.iamat(line, &iamat, context),
            Command::Whatsat { client, radius, bound } => {
                if !whatsat::start(&self.settings, client, radius, bound, context) {
                    reply_invalid(line, context);
                }
            }
            Command::Malformed(_) => reply_invalid(line, context),
        }
        true
    }

    /// Returns whether sessions end after their first reply.
    #[must_use]
    pub fn closes_after_reply(&self) -> bool {
        self.settings.close_after_reply
    }

    fn iamat(&self, line: Line<'_>, iamat: &Iamat<'_>, context: &mut Context<'_>) {
        let received_ns = context.now_ns();
        let rank = self.ranker.rank(iamat.time.ns(), received_ns);
        let write = |out: &mut Vec<u8>| AtLine::write(out, self.node.as_bytes(), received_ns, iamat);
        context.keep_and_reply(iamat.client, &rank, FORM, write, b"\n", |out| line.echo(out));
    }
}

impl Logic for Herd {
    fn describe() -> Description {
        Description {
            name: "default".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            commands: vec!["IAMAT".into(), "WHATSAT".into()],
        }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        let (node, settings) = (settings.node.clone(), HerdSettings::parse(settings)?);
        let ranker = Ranker::new(settings.tolerance_ns, node.as_bytes());
        Ok(Self { node, ranker, settings })
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return match self.settings.listener {
                Listener::Clients => reject_overlong(input, context),
                Listener::Classic => drop_overlong(input, context),
            };
        }
        split_lines(input, |line| {
            let answered = self.line(line, context);
            if answered && self.closes_after_reply() {
                context.close();
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        })
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        for (index, _) in reports.iter().enumerate().filter(|(_, report)| !is_valid(report)) {
            context.refuse(index);
        }
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        whatsat::answer(&self.settings, token, otherwise, outcome, context);
    }
}

/// Echoes the first bytes of a line over the length limit and ends the session.
pub fn reject_overlong(input: Input<'_>, context: &mut Context<'_>) -> Progress {
    let head = &input.bytes[..input.bytes.len().min(ECHO_BYTES_MAX)];
    reply_invalid(Line::new(head), context);
    drop_overlong(input, context)
}

/// Ends a session at a line over the length limit, without a reply.
fn drop_overlong(input: Input<'_>, context: &mut Context<'_>) -> Progress {
    context.close();
    Progress { consumed: input.bytes.len(), awaits: herd_sdk::Awaiting::Delimiter(b'\n') }
}

/// Replies to an invalid command.
pub fn reply_invalid(line: Line<'_>, context: &mut Context<'_>) {
    context.reply_with(|out| line.echo(out));
}

/// Returns whether a report is an `AT` line about the client that is its key.
fn is_valid(report: &Report<'_>) -> bool {
    report.form == FORM && AtLine::parse(report.bytes).is_some_and(|at| at.client == report.key)
}
