//! The default protocol logic of a herd: `IAMAT`, `WHATSAT`, and what to make of reports from peers.
//!
//! Pure: every function here is a function of its arguments. The crate knows nothing about sockets,
//! clocks, files or wasm; `guest/component` makes a component of it, and a node may also link it
//! natively. The rules are those of `docs/protocol.md`.
//!
//! Bounds: a line is bounded by the host; what is parsed here is never copied more than once into the
//! output, and nothing recurses.

mod at;
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
pub use settings::HerdSettings;
pub use sources::Source;
pub use time::{ClientTime, write_skew};

/// The form in which this logic writes records: an `AT` line without its newline.
pub const FORM: u32 = 1;

/// How many bytes of a line over the limit are echoed.
const ECHO_BYTES_MAX: usize = 64;

/// The default logic, configured.
#[derive(Clone, Debug)]
pub struct Herd {
    node: String,
    ranker: Ranker,
    settings: HerdSettings,
}

impl Herd {
    /// Decides one line. Says whether it was answered, or will be: an empty line is not.
    pub fn line(&self, line: Line<'_>, context: &mut Context<'_>) -> bool {
        match line.command() {
            Command::Empty => return false,
            Command::Iamat(iamat) => self.iamat(line, &iamat, context),
            Command::Whatsat { client, radius, bound } => {
                if !whatsat::ask(&self.settings, client, radius, bound, context) {
                    invalid(line, context);
                }
            }
            Command::Malformed(_) => invalid(line, context),
        }
        true
    }

    /// Whether a session ends after its first reply.
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
            return overlong(input, context);
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

/// Echoes the first bytes of a line over the limit and ends the session.
pub fn overlong(input: Input<'_>, context: &mut Context<'_>) -> Progress {
    let head = &input.bytes[..input.bytes.len().min(ECHO_BYTES_MAX)];
    invalid(Line::new(head), context);
    context.close();
    Progress { consumed: input.bytes.len(), awaits: herd_sdk::Awaiting::Delimiter(b'\n') }
}

/// Answers an invalid command.
pub fn invalid(line: Line<'_>, context: &mut Context<'_>) {
    context.reply_with(|out| line.echo(out));
}

/// Whether a report is an `AT` line about the client it is kept under.
fn is_valid(report: &Report<'_>) -> bool {
    report.form == FORM && AtLine::parse(report.bytes).is_some_and(|at| at.client == report.key)
}
