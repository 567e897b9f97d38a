//! docs/guide.md, typed from its top to its bottom.

use std::os::unix::fs::symlink;
use std::path::Path;

use herd_tests::readme::{Action, Ports, Reader, Setting, steps};
use herd_tests::{Herd, Scratch, WAIT_MAX};

/// Goal: a new author who types the commands of the guide sees what it shows. Method: that of README.md, with the cargo of this machine,
/// offline: the crates of a project are those with which this workspace was built.
#[test]
fn guide_shows_what_its_commands_print() {
    let scratch = Scratch::new();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide.md")).unwrap();
    let steps = steps(&page);
    let commands = steps.iter().filter(|step| matches!(step.action, Action::Type(_))).count();
    assert!(commands >= COMMANDS_MIN, "only {commands} commands: are they in blocks of the language console?");
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
    for step in &steps {
        reader.follow(step).unwrap_or_else(|difference| panic!("docs/guide.md, {difference}"));
    }
}

/// Least number of commands: a slip in the notation must not skip all of them unnoticed.
const COMMANDS_MIN: usize = 15;
