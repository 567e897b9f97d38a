//! Pages of docs/ with commands, typed from their top to their bottom.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Action, Ports, Reader, Setting, Step, steps};
use crate::{Scratch, WAIT_MAX};

/// Pages that a reader types one after the other, in one directory: each begins in the state in which the one before ends.
pub const TYPED_PAGES: [&[&str]; 3] =
    [&["quick-start.md"], &["guide.md", "debugging.md", "swap-safely.md"], &["monitoring.md"]];

/// Types pages of docs/ with `binary` as `herd`, without a repository around, and returns the number of commands.
///
/// # Errors
///
/// The first difference from what a page shows, with its line.
///
/// # Panics
///
/// A page that is not there, or one with so few commands that its notation must be wrong.
pub fn type_pages(pages: &[&str], binary: &Path) -> Result<usize, String> {
    let scratch = Scratch::new();
    for name in ["bin", "work"] {
        std::fs::create_dir(scratch.path(name)).expect("the directory is new");
    }
    symlink(binary, scratch.path("bin/herd")).expect("the directory is new");
    let ports = Ports::free();
    let config = scratch.write("default.toml", ports.configuration());
    let path = std::env::var("PATH").unwrap_or_default();
    let environment = [
        ("XDG_STATE_HOME", scratch.path("state").display().to_string()),
        ("HERD_CONFIG", config.display().to_string()),
        ("PATH", format!("{}:{path}", scratch.path("bin").display())),
        ("CARGO_NET_OFFLINE", "true".into()),
        // Not the directory of the cargo that runs a test.
        ("CARGO_TARGET_DIR", "target".into()),
        ("CARGO_TERM_COLOR", "never".into()),
    ];
    let environment = environment.map(|(name, value)| (name.to_string(), value)).into();
    let mut reader =
        Reader::new(Setting { directory: scratch.path("work"), environment, ports, serving_max: WAIT_MAX });
    let mut typed = 0;
    for page in pages {
        let steps = page_steps(page);
        // A slip in the notation must not skip all of them unnoticed.
        assert!(commands(&steps) >= COMMANDS_MIN, "docs/{page}: are the commands in blocks of the language console?");
        for step in &steps {
            reader.follow(step).map_err(|difference| format!("docs/{page}, {difference}"))?;
        }
        typed += commands(&steps);
    }
    Ok(typed)
}

/// Names of the pages of docs/ that have commands.
///
/// # Panics
///
/// Without docs/.
#[must_use]
pub fn pages_with_commands() -> Vec<String> {
    let entries = std::fs::read_dir(docs()).expect("the book is in docs/");
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let pages = names.filter(|name| name.ends_with(".md"));
    pages.filter(|page| commands(&page_steps(page)) > 0).collect()
}

fn commands(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step.action, Action::Type(_))).count()
}

fn page_steps(page: &str) -> Vec<Step> {
    let path = docs().join(page);
    steps(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Least number of commands of a page.
const COMMANDS_MIN: usize = 5;
