//! README.md, typed from its top to its bottom.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use herd_tests::page::{Action, Ports, Reader, Setting, steps};
use herd_tests::{HELLO, Herd, Scratch, WAIT_MAX, WATCH};

/// Goal: a new user who types the commands of README.md in their order sees what it shows. Method: a shell in a directory that looks
/// like a fresh clone, in which `cargo` stands for what is already built, and free ports in place of those of the page. With
/// `HERD_TESTS_CLONE`, as `tests/show/readme` sets it, that clone, the cargo of this machine, and the ports as shown.
#[test]
fn readme_shows_what_its_commands_print() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let scratch = Scratch::new();
    let setting = match std::env::var_os("HERD_TESTS_CLONE") {
        Some(clone) => in_clone(&scratch, clone.into()),
        None => beside_the_build(&scratch, &root),
    };
    let page = fs::read_to_string(setting.directory.join("README.md")).unwrap();
    let steps = steps(&page);
    let commands = steps.iter().filter(|step| matches!(step.action, Action::Type(_))).count();
    assert!(commands >= COMMANDS_MIN, "only {commands} commands: are they in blocks of the language console?");
    let mut reader = Reader::new(setting);
    for step in &steps {
        reader.follow(step).unwrap_or_else(|difference| panic!("README.md, {difference}"));
    }
}

/// A clone in which nothing was built.
fn in_clone(scratch: &Scratch, directory: PathBuf) -> Setting {
    let environment = vec![variable("XDG_STATE_HOME", scratch.path("state"))];
    Setting { directory, environment, ports: Ports::as_shown(), serving_max: BUILD_MAX }
}

/// A directory with the files of the page, and a `cargo` that has already built everything.
fn beside_the_build(scratch: &Scratch, root: &Path) -> Setting {
    let directory = scratch.path("clone");
    fs::create_dir_all(directory.join("target/release")).unwrap();
    for name in ["README.md", "docs", "guest", "tests"] {
        symlink(root.join(name).canonicalize().unwrap(), directory.join(name)).unwrap();
    }
    symlink(Herd::binary(), directory.join("target/release/herd")).unwrap();
    fs::create_dir(scratch.path("bin")).unwrap();
    let cargo = scratch.write("bin/cargo", CARGO);
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let ports = Ports::free();
    let config = scratch.write("default.toml", ports.configuration());
    let path = std::env::var("PATH").unwrap_or_default();
    let environment = vec![
        variable("XDG_STATE_HOME", scratch.path("state")),
        variable("HERD_CONFIG", config),
        ("PATH".into(), format!("{}:{path}", scratch.path("bin").display())),
        ("HERD_TESTS_HELLO".into(), HELLO.into()),
        ("HERD_TESTS_WATCH".into(), WATCH.into()),
    ];
    Setting { directory, environment, ports, serving_max: WAIT_MAX }
}

fn variable(name: &str, path: PathBuf) -> (String, String) {
    (name.into(), path.to_string_lossy().into_owned())
}

/// Stands for the cargo of a user: everything that README.md builds was built with the tests.
const CARGO: &str = r#"#!/usr/bin/env bash
set -e
case "$*" in
"run --release -- "*) exec target/release/herd "${@:4}" ;;
"build --profile guest -p herd-example-hello --target wasm32-wasip2") built=$HERD_TESTS_HELLO ;;
"build --profile guest -p herd-example-watch --target wasm32-wasip2") built=$HERD_TESTS_WATCH ;;
*) echo "cargo $*: README.md has a command of cargo that its test does not know" && exit 1 ;;
esac
mkdir -p target/wasm32-wasip2/guest
cp "$built" "target/wasm32-wasip2/guest/${5//-/_}.wasm"
echo "    Finished"
"#;

/// Least number of commands: a slip in the notation must not skip all of them unnoticed.
const COMMANDS_MIN: usize = 15;

/// A build from nothing takes 10 to 25 minutes on two cores.
const BUILD_MAX: Duration = Duration::from_secs(3600);
