//! Report of a run on the terminal.
//!
//! Owns the lines of the report. Knows nothing of how transcripts run.

use herd_sdk::transcript::{Compared, Run};

use super::super::colour::{GREEN, RED, YELLOW, bold, is_coloured};
use super::diff::{Paint, differences};
use super::tester::{Tested, Verdict};

/// Results of all selected transcripts.
pub(super) struct Report {
    pub(super) tested: Vec<Tested>,
    /// Transcripts that `--only` does not select.
    pub(super) left_out: usize,
    pub(super) compared: Compared,
    pub(super) is_built_in: bool,
}

/// Result that the exit code reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    AllHold,
    SomeFail,
    SomeUnreadable,
}

impl Verdict {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Holds | Self::Blessed => Outcome::AllHold,
            Self::Differs(_) | Self::DiffersFresh(_) | Self::NotBlessed(..) | Self::NotStarted(_) => Outcome::SomeFail,
            Self::Unreadable(_) => Outcome::SomeUnreadable,
        }
    }

    /// Returns the differences of a transcript that does not hold.
    pub(super) fn run(&self) -> Option<&Run> {
        match self {
            Self::Differs(run) | Self::DiffersFresh(run) | Self::NotBlessed(run, _) => Some(run),
            _ => None,
        }
    }

    /// Returns what goes beyond the differences, for a transcript that does not hold.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Holds | Self::Blessed | Self::Differs(_) => None,
            Self::DiffersFresh(_) => Some("only on a fresh instance: the guest keeps state in its instance".into()),
            Self::NotBlessed(_, why) => Some(format!("not blessed, because the recording would not be valid: {why}")),
            Self::NotStarted(why) => Some(format!("the guest does not start: {why}")),
            Self::Unreadable(why) => Some(why.clone()),
        }
    }
}

impl Report {
    /// Returns the worst result of all transcripts.
    pub(super) fn outcome(&self) -> Outcome {
        self.tested.iter().map(|tested| tested.verdict.outcome()).max().unwrap_or(Outcome::AllHold)
    }

    /// Prints a line for each transcript, the differences, and the sum.
    pub(super) fn print(&self) {
        let coloured = is_coloured(&std::io::stdout());
        let paint = |text: &str, colour| if coloured { bold(text, colour) } else { text.into() };
        for Tested { name, verdict, .. } in &self.tested {
            let (word, colour) = match verdict {
                Verdict::Holds => ("ok       ", GREEN),
                Verdict::Blessed => ("blessed  ", YELLOW),
                Verdict::Unreadable(_) => ("error    ", RED),
                _ => ("differs  ", RED),
            };
            let reason = verdict.reason().map(|reason| format!(", {reason}")).unwrap_or_default();
            say!("{} {name}{reason}", paint(word, colour));
            if let Some(run) = verdict.run() {
                say!("{}", differences(run, if coloured { Paint::Colours } else { Paint::Plain }));
            }
        }
        let count = |outcome| self.tested.iter().filter(|tested| tested.verdict.outcome() == outcome).count();
        let (passed, failed) = (count(Outcome::AllHold), count(Outcome::SomeFail));
        if passed == 0 && self.is_built_in && self.left_out == 0 {
            say!(
                "\nThis guest does not answer as the line protocol says. Test another protocol with its own transcripts:"
            );
            say!("  herd test GUEST.wasm FILE.herd\n");
        }
        let compared = match self.compared {
            Compared::Effects => "every effect compared",
            Compared::Replies => "replies compared; --effects compares every effect",
        };
        let more = |count: usize, what: &str| if count == 0 { String::new() } else { format!(", {count} {what}") };
        let unreadable = more(count(Outcome::SomeUnreadable), "unreadable");
        let left_out = more(self.left_out, "left out");
        let blessed = self.tested.iter().filter(|tested| matches!(tested.verdict, Verdict::Blessed)).count();
        if blessed > 0 {
            say!("{blessed} blessed: review what changed before you commit it");
        }
        say!("{passed} passed, {failed} failed{unreadable}{left_out} ({compared})");
    }
}
