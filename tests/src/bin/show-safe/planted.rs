//! Planted bugs: each patch in `tests/show/bugs` breaks a rule in a copy of the sources, and the simulator has to find it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Reporter, Row};

use crate::simulator::{Found, simulate};

pub(crate) const ROW: Row =
    Row { name: "planted", figures: &[Bar { figure: "planted bugs, found within 500 seeds", bar: "all" }], measure };

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let root = std::env::current_dir()?;
    let mut patches: Vec<PathBuf> = std::fs::read_dir(root.join("tests/show/bugs"))
        .context("tests/show/bugs")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    patches.sort();
    ensure!(!patches.is_empty(), "there are no patches in tests/show/bugs");
    let copy = Copy::of(&root)?;
    let mut found = 0;
    for patch in &patches {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let said = match copy.simulate(patch) {
            Ok(Found::Failure(said)) => {
                found += 1;
                said
            }
            Ok(Found::Nothing { .. }) => format!("NOT FOUND in {SEEDS} seeds"),
            Err(error) => format!("NOT TRIED: {error:#}").chars().take(300).collect(),
        };
        reporter.tell(&name, said);
    }
    let value = format!("{found} of {}", patches.len());
    reporter.show("planted bugs, found within 500 seeds", value, found == patches.len());
    Ok(())
}

/// A clone of the committed sources with a target directory of its own, kept between runs to build only what a patch changes.
struct Copy {
    sources: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn of(root: &Path) -> Result<Self> {
        let (sources, target) = (root.join("target/planted/sources"), root.join("target/planted/target"));
        let _ = std::fs::remove_dir_all(&sources);
        let cloned = Command::new("git").args(["clone", "--quiet", "--shared"]).args([root, &sources]).output()?;
        ensure!(cloned.status.success(), "git clone: {}", String::from_utf8_lossy(&cloned.stderr));
        Ok(Self { sources, target })
    }

    /// Builds the copy with a patch and runs the simulator.
    fn simulate(&self, patch: &Path) -> Result<Found> {
        for arguments in [&["checkout", "--quiet", "--", "."][..], &["clean", "-fdq"]] {
            self.git(arguments)?;
        }
        self.git(&["apply", &patch.to_string_lossy()])?;
        let built = Command::new("cargo")
            .args(["build", "--release", "--offline", "--quiet", "-p", "herd-sim", "--bin", "sim", "--target-dir"])
            .arg(&self.target)
            .current_dir(&self.sources)
            .output()?;
        let said = String::from_utf8_lossy(&built.stderr);
        ensure!(
            built.status.success(),
            "does not build: {}",
            said.lines().find(|line| line.starts_with("error")).unwrap_or("")
        );
        let binary = self.target.join("release/sim");
        // Schedules are far shorter than herds. What only a herd can show is left for those.
        match simulate(&binary, "schedules", SEEDS, TIME_MAX)? {
            Found::Nothing { .. } => simulate(&binary, "herds", SEEDS, TIME_MAX),
            Found::Failure(said) => Ok(Found::Failure(format!("schedules, {said}"))),
        }
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new("git").args(arguments).current_dir(&self.sources).output()?;
        ensure!(output.status.success(), "git {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

const SEEDS: usize = 500;
const TIME_MAX: Duration = Duration::from_secs(900);
