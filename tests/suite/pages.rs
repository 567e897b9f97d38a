//! Pages of docs/ with commands, typed from their top to their bottom.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use herd_tests::page::{Action, Ports, Reader, Setting, Step, steps};
use herd_tests::{Herd, Scratch, WAIT_MAX};

/// Pages that a reader types one after the other, in one directory: each begins in the state in which the one before ends.
const TYPED: [&[&str]; 3] = [&["quick-start.md"], &["guide.md", "debugging.md", "swap-safely.md"], &["monitoring.md"]];

/// Goal: a new user who types the commands of these pages sees what they show. Method: that of README.md, without a repository around.
#[test]
fn pages_of_the_quick_start_show_what_their_commands_print() {
    type_pages(TYPED[0]);
}

/// The cargo of this machine, offline: the crates of a project are those with which this workspace was built.
#[test]
fn pages_on_a_first_guest_show_what_their_commands_print() {
    type_pages(TYPED[1]);
}

#[test]
fn pages_on_monitoring_show_what_their_commands_print() {
    type_pages(TYPED[2]);
}

#[test]
fn pages_with_commands_are_typed() {
    let typed: Vec<&str> = TYPED.concat();
    for entry in std::fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".md") && commands(&read(&name)) > 0 {
            assert!(typed.contains(&&*name), "docs/{name} has blocks of the language console, and is not in TYPED");
        }
    }
}

#[track_caller]
fn type_pages(pages: &[&str]) {
    let scratch = Scratch::new();
    for name in ["bin", "work"] {
        std::fs::create_dir(scratch.path(name)).unwrap();
    }
    symlink(Herd::binary(), scratch.path("bin/herd")).unwrap();
    let ports = Ports::free();
    let config = scratch.write("default.toml", ports.configuration());
    let path = std::env::var("PATH").unwrap_or_default();
    let environment = [
        ("XDG_STATE_HOME", scratch.path("state").display().to_string()),
        ("HERD_CONFIG", config.display().to_string()),
        ("PATH", format!("{}:{path}", scratch.path("bin").display())),
        ("CARGO_NET_OFFLINE", "true".into()),
        // Not the directory of the cargo that runs this test.
        ("CARGO_TARGET_DIR", "target".into()),
        ("CARGO_TERM_COLOR", "never".into()),
    ];
    let environment = environment.map(|(name, value)| (name.to_string(), value)).into();
    let mut reader =
        Reader::new(Setting { directory: scratch.path("work"), environment, ports, serving_max: WAIT_MAX });
    for page in pages {
        let steps = read(page);
        // A slip in the notation must not skip all of them unnoticed.
        assert!(commands(&steps) >= COMMANDS_MIN, "docs/{page}: are the commands in blocks of the language console?");
        for step in &steps {
            reader.follow(step).unwrap_or_else(|difference| panic!("docs/{page}, {difference}"));
        }
    }
}

fn commands(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step.action, Action::Type(_))).count()
}

fn read(page: &str) -> Vec<Step> {
    steps(&std::fs::read_to_string(docs().join(page)).unwrap())
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Least number of commands of a page.
const COMMANDS_MIN: usize = 5;
