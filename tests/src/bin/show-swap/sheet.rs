//! Figures by rows. A row that fails reports its missing figures as short, with the reason, so that no figure is left out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use herd_tests::Figures;

/// A scenario and the figures that it has to report.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Name for `--only`.
    pub(crate) name: &'static str,
    pub(crate) figures: &'static [Bar],
    /// Runs the scenario. A panic, which is how the harness fails, counts as an error.
    pub(crate) measure: fn(&mut Reporter<'_>) -> Result<()>,
}

/// A figure and the bar that it has to meet.
pub(crate) struct Bar {
    pub(crate) figure: &'static str,
    pub(crate) bar: &'static str,
}

/// Prints figures and remembers those that were short.
#[derive(Default)]
pub(crate) struct Sheet(Figures);

/// A running row and the figures that it has not reported yet.
pub(crate) struct Reporter<'a> {
    sheet: &'a mut Figures,
    due: Vec<&'static Bar>,
}

impl Sheet {
    /// Runs a row and prints every figure of it, even if it fails.
    pub(crate) fn run(&mut self, row: &Row) {
        let began = Instant::now();
        let mut reporter = Reporter { sheet: &mut self.0, due: row.figures.iter().collect() };
        let measured = catch_unwind(AssertUnwindSafe(|| (row.measure)(&mut reporter)));
        let why = match measured {
            Ok(Ok(())) => "the row did not show it".into(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "the row panicked".into()),
        };
        for Bar { figure, bar } in std::mem::take(&mut reporter.due) {
            reporter.sheet.show(figure, format!("not measured: {why}"), bar, false);
        }
        self.0.tell(&format!("  ({} took {:.0} s)", row.name, began.elapsed().as_secs_f64()), "");
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.0.exit_code()
    }
}

impl Reporter<'_> {
    /// Prints a figure of the row.
    ///
    /// # Panics
    ///
    /// If the row has no such figure left, because its table is wrong.
    pub(crate) fn show(&mut self, figure: &str, value: impl std::fmt::Display, holds: bool) {
        let due = self.due.iter().position(|bar| bar.figure == figure);
        let Bar { figure, bar } =
            self.due.remove(due.unwrap_or_else(|| panic!("the row has no figure `{figure}` left")));
        self.sheet.show(figure, value, bar, holds);
    }

    /// Prints a value that has no bar.
    pub(crate) fn tell(&mut self, what: &str, value: impl std::fmt::Display) {
        self.sheet.tell(&format!("  {what}"), value);
    }
}
