//! Reference pages that are made from the program and its sources: keys of the configuration, and commands. With `HERD_TESTS_WRITE=1` they
//! are written anew.

mod config_tables;
mod help_texts;

use std::path::{Path, PathBuf};

use herd_tests::{Herd, Scratch};

/// Goal: every key of the configuration is documented, with the default of the program. Method: the doc comments of the tables that serde
/// reads, beside what `herd config` prints without a configuration.
#[test]
fn reference_has_every_key_of_the_configuration() {
    let scratch = Scratch::new();
    let printed = herd(&scratch, &["config"]);
    let defaults: toml::Table = printed.parse().unwrap();
    compare("configuration.md", &config_tables::page(&root().join("host"), &defaults));
}

/// Goal: the page has the help of every command, as the program prints it.
#[test]
fn reference_has_the_help_of_every_command() {
    let scratch = Scratch::new();
    compare("commands.md", &help_texts::page(|arguments| herd(&scratch, arguments)));
}

/// Compares what follows the mark on a page with what it should be, or writes it.
#[track_caller]
fn compare(name: &str, wanted: &str) {
    let path = root().join("docs").join(name);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, made) = page.split_once(MARK).unwrap_or_else(|| panic!("docs/{name} lacks the line {MARK}"));
    if std::env::var_os("HERD_TESTS_WRITE").is_some() {
        std::fs::write(&path, format!("{before}{MARK}{wanted}")).unwrap();
        return;
    }
    let differs = made.lines().zip(wanted.lines()).find(|(made, wanted)| made != wanted);
    assert!(
        made == wanted,
        "docs/{name} is out of date; HERD_TESTS_WRITE=1 writes it anew. First difference: {differs:#?}"
    );
}

/// Runs the program without a terminal and without variables of its own, and returns what it prints.
#[track_caller]
fn herd(scratch: &Scratch, arguments: &[&str]) -> String {
    // By its own name, which its help shows.
    let program = scratch.path("herd");
    if !program.exists() {
        std::os::unix::fs::symlink(Herd::binary(), &program).unwrap();
    }
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_remove("COLUMNS").env("XDG_STATE_HOME", scratch.path("state"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERD_")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "herd {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// Line behind which a page is made.
const MARK: &str =
    "<!-- Made by tests/suite/reference.rs: HERD_TESTS_WRITE=1 cargo test --release --workspace reference -->\n";
