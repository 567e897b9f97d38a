//! `herd new`: projects for guests, from the command to a changed answer. Those in Python and JavaScript need their package registries;
//! `tests/languages/run` builds them.

use std::ffi::OsString;
use std::process::{Command, Output};

use herd_tests::{Herd, Scratch};

/// Goal: the commands that `herd new` prints lead to a running guest. Method: the printed commands themselves, in a shell, offline: the
/// crates of the project are those with which this workspace was built.
#[test]
fn new_project_in_rust_builds_tests_and_swaps_with_the_printed_commands() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let scratch = Scratch::new();
    let made = herd_new(&herd, &scratch, &["my-guest"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let printed = text(&made.stdout);
    let commands: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(commands.len(), 4, "{printed}");
    assert!(commands[1].starts_with("cargo guest "), "{printed}");

    let herd_on_path = scratch.path("bin");
    std::fs::create_dir(&herd_on_path).unwrap();
    std::os::unix::fs::symlink(Herd::binary(), herd_on_path.join("herd")).unwrap();
    let typed = shell(&herd, &scratch, &format!("set -e\n{}\ncargo test --quiet", commands.join("\n")));
    let said = text(&typed.stdout);
    assert!(typed.status.success(), "{said}\n{}", text(&typed.stderr));
    assert!(said.contains("1 passed, 0 failed (every effect compared)"), "{said}");
    assert!(said.contains("serving, my-guest"), "{said}");
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("HELLO kiwi"), "hello, kiwi");
    assert_eq!(client.ask("SEEN kiwi"), "kiwi was greeted at Riley");
}

#[test]
fn new_refuses_what_it_cannot_create_and_says_what_it_can() {
    let herd = Herd::of_one();
    let scratch = Scratch::new();
    let refused = |arguments: &[&str]| {
        let said = herd_new(&herd, &scratch, arguments);
        (said.status.code(), text(&said.stderr))
    };
    std::fs::create_dir(scratch.path("taken")).unwrap();
    std::fs::write(scratch.path("taken/mine"), "kept").unwrap();
    let (code, said) = refused(&["taken"]);
    assert!(
        code == Some(1) && said.contains("`taken` is already here; choose another name, or remove it first"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(scratch.path("taken/mine")).unwrap(), "kept");
    let (code, said) = refused(&["../Elsewhere"]);
    assert!(code == Some(1) && said.contains("lower-case letters, digits and hyphens"), "{said}");
    let (code, said) = refused(&["my-guest", "--lang", "cobol"]);
    assert!(code == Some(2) && said.contains("[possible values: rust, python, js]"), "{said}");
    assert!(!scratch.path("my-guest").exists());
}

fn herd_new(herd: &Herd, scratch: &Scratch, arguments: &[&str]) -> Output {
    herd.command(&[&["new"][..], arguments].concat()).current_dir(scratch.directory()).output().unwrap()
}

/// Types commands in the folder of the projects, with the `herd` of this build and the configuration of a running herd.
fn shell(herd: &Herd, scratch: &Scratch, commands: &str) -> Output {
    let as_herd = herd.command(&[]);
    let config = as_herd.get_args().skip_while(|argument| *argument != "--config").nth(1).unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", commands]).current_dir(scratch.directory()).envs(set_by(&as_herd)).env("HERD_CONFIG", config);
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", scratch.path("bin").display())).env("CARGO_NET_OFFLINE", "true");
    // What the cargo of this test was told is not meant for the project.
    for name in [
        "XDG_RUNTIME_DIR",
        "RUNTIME_DIRECTORY",
        "CARGO_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "CARGO_BUILD_TARGET",
    ] {
        shell.env_remove(name);
    }
    shell.output().unwrap()
}

/// Variables that a command sets for its process.
fn set_by(command: &Command) -> Vec<(OsString, OsString)> {
    command.get_envs().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
