//! The book: its commands print what it shows, and its quick start takes some minutes on a fresh clone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Error, Result, ensure};
use herd_tests::page::{TYPED_PAGES, type_pages};
use herd_tests::{Bar, Herd, Reporter, Row};

pub(crate) const ROW: Row = Row {
    name: "book",
    figures: &[
        Bar { figure: "links and references of the book", bar: "resolve" },
        Bar { figure: "commands of the book", bar: "all print what it shows" },
        Bar { figure: "quick start on a fresh clone", bar: "all prints what it shows" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let pages = Command::new(".ci/book").arg("--pages").output().context(".ci/book")?;
    let said = String::from_utf8_lossy(&pages.stderr).into_owned();
    let resolves = pages.status.success();
    reporter.show("links and references of the book", if resolves { "resolve" } else { said.trim() }, resolves);
    let typed: Result<Vec<usize>, String> =
        TYPED_PAGES.iter().map(|pages| type_pages(pages, &Herd::binary())).collect();
    let holds = typed.is_ok();
    let value = typed.map_or_else(|difference| difference, |typed| format!("{} commands", typed.iter().sum::<usize>()));
    reporter.show("commands of the book", value, holds);

    let clone = FreshClone::make()?;
    let began = Instant::now();
    let binary = clone.build()?;
    let built = began.elapsed();
    let typed = type_pages(TYPED_PAGES[0], &binary).map_err(Error::msg)?;
    let (whole, built) = (began.elapsed().as_secs_f64() / 60.0, built.as_secs_f64() / 60.0);
    let value = format!("{whole:.1} minutes, of which {built:.1} to build; {typed} commands");
    reporter.show("quick start on a fresh clone", value, true);
    Ok(())
}

/// Fresh clone of the last commit, removed on drop.
struct FreshClone(PathBuf);

impl FreshClone {
    fn make() -> Result<Self> {
        let clone = Self(Path::new("target/show-service/clone").into());
        let _ = std::fs::remove_dir_all(&clone.0);
        let cloned = Command::new("git").args(["clone", "--quiet", "."]).arg(&clone.0).status().context("git")?;
        ensure!(cloned.success(), "git clone: {cloned}");
        Ok(clone)
    }

    /// Builds the program from nothing, as README.md has it.
    fn build(&self) -> Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--quiet"]).current_dir(&self.0).env_remove("CARGO_TARGET_DIR");
        ensure!(cargo.status().context("cargo")?.success(), "the clone does not build");
        Ok(self.0.canonicalize()?.join("target/release/herd"))
    }
}

impl Drop for FreshClone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
