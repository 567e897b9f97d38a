//! The figures of a show, by rows. A row that does not come to its end shows what it owes as short, with the reason.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use herd_tests::Figures;

/// A scene, and the figures that come of it.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) figures: &'static [Bar],
    /// Plays the scene. The harness panics where it has nobody to return an error to, which is as good as an error.
    pub(crate) play: fn(&mut Scene<'_>) -> Result<()>,
}

/// What one figure has to be.
pub(crate) struct Bar {
    pub(crate) figure: &'static str,
    pub(crate) bar: &'static str,
}

/// Prints the figures, and remembers what was short.
#[derive(Default)]
pub(crate) struct Sheet(Figures);

/// A row that is played.
pub(crate) struct Scene<'a> {
    sheet: &'a mut Figures,
    owed: Vec<&'static Bar>,
}

impl Sheet {
    /// Plays a row, and prints every figure of it, whatever happens.
    pub(crate) fn run(&mut self, row: &Row) {
        let began = Instant::now();
        let mut scene = Scene { sheet: &mut self.0, owed: row.figures.iter().collect() };
        let played = catch_unwind(AssertUnwindSafe(|| (row.play)(&mut scene)));
        let why = match played {
            Ok(Ok(())) => "the row did not show it".into(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "the row panicked".into()),
        };
        for Bar { figure, bar } in std::mem::take(&mut scene.owed) {
            scene.sheet.show(figure, format!("not measured: {why}"), bar, false);
        }
        self.0.tell(&format!("  ({} took {:.0} s)", row.name, began.elapsed().as_secs_f64()), "");
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.0.exit_code()
    }
}

impl Scene<'_> {
    /// Prints a figure that the row owes.
    ///
    /// # Panics
    ///
    /// When it owes none of this name: then the table of the row is wrong.
    pub(crate) fn show(&mut self, figure: &str, value: impl std::fmt::Display, holds: bool) {
        let owed = self.owed.iter().position(|bar| bar.figure == figure);
        let Bar { figure, bar } = self.owed.remove(owed.unwrap_or_else(|| panic!("no row owes `{figure}`")));
        self.sheet.show(figure, value, bar, holds);
    }

    /// Prints something that is told and has no bar.
    pub(crate) fn tell(&mut self, what: &str, value: impl std::fmt::Display) {
        self.sheet.tell(&format!("  {what}"), value);
    }
}
