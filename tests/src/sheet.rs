//! Figures by rows. A row that fails reports its missing figures as short, with the reason, so that no figure is left out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::Figures;

/// A scenario and the figures that it has to report.
#[derive(Clone, Copy)]
pub struct Row {
    /// Name for `--only`.
    pub name: &'static str,
    /// All figures of the row. Those that it has not reported at its end are short.
    pub figures: &'static [Bar],
    /// Runs the scenario. A panic, which is how the harness fails, counts as an error.
    pub measure: fn(&mut Reporter<'_>) -> Result<()>,
}

/// A figure and the bar that it has to meet.
pub struct Bar {
    /// Name of the figure, unique in its row.
    pub figure: &'static str,
    /// The bar, for people.
    pub bar: &'static str,
}

/// Extent to which a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// As much as fits into the minutes of a run that nobody watches.
    Portion,
    /// Everything, by hand.
    Full,
}

/// Prints figures and remembers those that were short.
pub struct Sheet {
    figures: Figures,
    extent: Extent,
}

/// A running row and the figures that it has not reported yet.
pub struct Reporter<'a> {
    figures: &'a mut Figures,
    extent: Extent,
    due: Vec<&'static Bar>,
}

impl Row {
    /// Selects rows by name, in the order of the names.
    ///
    /// # Errors
    ///
    /// A name that no row has, or no name at all; the message lists all names.
    pub fn select(rows: &[Self], names: &[String]) -> Result<Vec<Self>, String> {
        let known: Vec<&str> = rows.iter().map(|row| row.name).collect();
        let known = known.join(", ");
        if names.is_empty() {
            return Err(format!("--only needs a row; there are {known}"));
        }
        let row = |name: &String| rows.iter().find(|row| row.name == name).copied();
        names.iter().map(|name| row(name).ok_or_else(|| format!("no row `{name}`; there are {known}"))).collect()
    }
}

/// Runs the rows of a show that its command line selects: `rows`, those after `--only`, or with `--full` everything to its full extent.
/// `by_hand` are further rows, for `--full` and `--only`. Returns the exit code of the program.
#[must_use]
pub fn run_show(show: &str, rows: &[Row], by_hand: &[Row]) -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().position(|argument| argument == "--full").map(|at| arguments.remove(at));
    let extent = if full.is_some() { Extent::Full } else { Extent::Portion };
    let all = [rows, by_hand].concat();
    let wanted = match arguments.split_first() {
        None if extent == Extent::Portion => Ok(rows.to_vec()),
        None => Ok(all),
        Some((only, names)) if only == "--only" => Row::select(&all, names),
        Some(_) => Err(format!("usage: tests/show/{show} [--full] [--only ROW...]")),
    };
    match wanted {
        Ok(wanted) => {
            let mut sheet = Sheet::of(extent);
            wanted.iter().for_each(|row| sheet.run(row));
            sheet.exit_code()
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

impl Sheet {
    /// Creates an empty sheet.
    #[must_use]
    pub fn of(extent: Extent) -> Self {
        Self { figures: Figures::default(), extent }
    }

    /// Runs a row and prints every figure of it, even if it fails.
    pub fn run(&mut self, row: &Row) {
        let began = Instant::now();
        let due = row.figures.iter().collect();
        let mut reporter = Reporter { figures: &mut self.figures, extent: self.extent, due };
        let measured = catch_unwind(AssertUnwindSafe(|| (row.measure)(&mut reporter)));
        let why = match measured {
            Ok(Ok(())) => "the row did not show it".into(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "the row panicked".into()),
        };
        for Bar { figure, bar } in std::mem::take(&mut reporter.due) {
            reporter.figures.show(figure, format!("not measured: {why}"), bar, false);
        }
        self.figures.tell(&format!("  ({} took {:.0} s)", row.name, began.elapsed().as_secs_f64()), "");
    }

    /// Success if at least one figure was shown and none missed its bar.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.figures.exit_code()
    }
}

impl Reporter<'_> {
    /// Extent to which the row shall run.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Prints a figure of the row.
    ///
    /// # Panics
    ///
    /// If the row has no such figure left, because its table is wrong.
    pub fn show(&mut self, figure: &str, value: impl std::fmt::Display, holds: bool) {
        let due = self.due.iter().position(|bar| bar.figure == figure);
        let Bar { figure, bar } =
            self.due.remove(due.unwrap_or_else(|| panic!("the row has no figure `{figure}` left")));
        self.figures.show(figure, value, bar, holds);
    }

    /// Leaves out a figure that only [`Extent::Full`] measures, and says so.
    ///
    /// # Panics
    ///
    /// If the row has no such figure left, because its table is wrong.
    pub fn leave_out(&mut self, figure: &str) {
        let due = self.due.iter().position(|bar| bar.figure == figure);
        self.due.remove(due.unwrap_or_else(|| panic!("the row has no figure `{figure}` left")));
        self.tell(figure, "only with --full");
    }

    /// Prints a value that has no bar.
    pub fn tell(&mut self, what: &str, value: impl std::fmt::Display) {
        self.figures.tell(&format!("  {what}"), value);
    }
}
