//! Command line from outside: output, error output and exit code.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn help_names_every_command_and_the_first_steps() {
    let help = Run::of(&["--help"]);
    assert_eq!(help.code, 0);
    for command in ["up", "run", "send", "status", "swap", "rollback", "audit", "token", "inspect", "test", "config"] {
        assert!(help.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}");
    }
    assert!(help.stdout.contains("First steps") && help.stdout.contains("herd up"));
    assert_eq!(help.stderr, "");
}

#[test]
fn version_is_one_line_on_standard_output() {
    let version = Run::of(&["--version"]);
    assert_eq!((version.code, &*version.stdout), (0, concat!("herd ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn invalid_command_line_exits_with_2() {
    for arguments in [&["nonsense"][..], &[], &["run"], &["swap"], &["up", "--nonsense"], &["send"]] {
        let run = Run::of(arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(run.stderr.contains("Usage: herd"), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn failure_is_one_line_and_exits_with_1() {
    let cases = [
        (&["run", "Rilley"][..], "unknown node `Rilley`; did you mean `Riley`?"),
        (&["send", "Nobody", "x"], "unknown node `Nobody`; known are Bernard, Campbell, Jaquez, Juzang, Riley"),
        (&["--config", "/nowhere/herd.toml", "config"], "/nowhere/herd.toml: No such file or directory (os error 2)"),
        (
            &["--set", "sessions.idel_s=5", "config"],
            "--set sessions.idel_s=5: unknown key `idel_s`; did you mean `idle_s`?",
        ),
        (
            &["--log", "chatty", "config"],
            "log filter `chatty` of --log or HERD_LOG: `chatty` is not a level; known are error, warn, info, debug, trace, off; write a level, or PART=LEVEL, such as info,guest=debug",
        ),
        (&["--set", "sessions", "config"], "--set sessions: write it as key=value, such as sessions.idle_s=5"),
        (&["--set", "sessions.line_bytes_max=0", "up"], "`sessions.line_bytes_max` is 0; it must be 1 to 65536"),
        (
            &["--set", "state_dir=/nowhere", "status"],
            "/nowhere/herd does not exist, and no node has an admin socket here; has this user started the herd on this machine? herd up starts it",
        ),
        (&["swap", "/nowhere/guest.wasm"], "/nowhere/guest.wasm: No such file or directory (os error 2)"),
    ];
    for (arguments, problem) in cases {
        let run = Run::of(arguments);
        assert_eq!((run.code, &*run.stdout), (1, ""), "{arguments:?}");
        assert_eq!(run.stderr, format!("herd: {problem}\n"), "{arguments:?}");
    }
}

#[test]
fn number_of_the_command_line_that_is_none_is_refused_with_what_to_write() {
    for (arguments, problem) in [
        (&["bench", "--rate", "abc"][..], "write a number per second, more than 0, such as 1000"),
        (&["bench", "--connections", "0"], "write a whole number from 1 to 1000000"),
        (&["bench", "--duration", "0"], "write a number of seconds from 0.001, such as 10 or 0.5"),
        (&["send", "Riley", "x", "--timeout", "soon"], "write a number of seconds, such as 10 or 0.5"),
    ] {
        let run = Run::of(arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.stderr.lines().next().is_some_and(|line| line.ends_with(problem)), "{}", run.stderr);
    }
}

#[test]
fn help_is_a_command_too() {
    assert_eq!(Run::of(&["help"]).stdout, Run::of(&["--help"]).stdout);
    let swap = Run::of(&["help", "swap"]);
    assert_eq!((swap.code, swap.stdout), (0, Run::of(&["swap", "--help"]).stdout));
}

#[test]
fn json_failure_is_an_object_on_standard_error() {
    let cases = [
        (&["--set", "state_dir=/nowhere", "status", "--json"][..], 1, "/nowhere/herd does not exist"),
        (&["swap", "--json", "/nowhere/guest.wasm"], 1, "/nowhere/guest.wasm: No such file or directory"),
        (&["swap", "--json"], 2, "Usage: herd swap"),
    ];
    for (arguments, code, words) in cases {
        let run = Run::of(arguments);
        assert_eq!((run.code, &*run.stdout), (code, ""), "{arguments:?}");
        let error: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
        assert!(error["error"].as_str().is_some_and(|error| error.contains(words)), "{arguments:?}: {error}");
    }
}

#[test]
fn canary_start_names_the_command_that_starts_one() {
    for (kind, share) in [("canary", "5%"), ("shadow", "100%")] {
        for arguments in [&[kind, "start"][..], &[kind, "start", "guest.wasm", "--share", "5%"]] {
            let run = Run::of(arguments);
            let wanted = format!("herd: herd swap GUEST --{kind} {share} starts a {kind}\n");
            assert_eq!((run.code, &*run.stderr), (1, &*wanted), "{arguments:?}");
        }
    }
}

#[test]
fn bench_without_a_herd_says_so_and_has_no_latencies() {
    let run =
        Run::of(&["bench", "--address", "127.0.0.1:1", "--connections", "2", "--warm-up", "0", "--duration", "0.05"]);
    assert_eq!((run.code, &*run.stderr), (1, "herd: no answer arrived; is the herd running? herd up starts it\n"));
    assert!(run.stdout.starts_with("load: 127.0.0.1:1\n  2 connections from 1 thread(s), "), "{}", run.stdout);
    assert!(
        run.stdout.ends_with("broken connections: 2\n  2 127.0.0.1:1: Connection refused (os error 111)\n"),
        "{}",
        run.stdout
    );
}

#[test]
fn environment_variable_that_sets_nothing_is_refused() {
    let run = Run::new(herd().arg("config").env("HERD_DRAIN_GRACE_S", "2"));
    assert_eq!((run.code, &*run.stdout), (1, ""));
    assert_eq!(
        run.stderr,
        "herd: environment variable HERD_DRAIN_GRACE_S is not used; did you mean HERD__DRAIN__GRACE_S?\n"
    );
    let run = Run::new(herd().arg("config").env("HERD_CONFIG", "").env("HERD_LOG", ""));
    assert_eq!((run.code, &*run.stderr), (0, ""), "an empty variable is an unset one");
}

#[test]
fn config_error_names_the_line_of_the_file() {
    let cases = [
        ("herd = \"x\"\n[sessions]\nidel_s = 5\n", "3: unknown key `idel_s`; did you mean `idle_s`?"),
        (
            "[nodes.Riley]\nclient = \"127.0.0.1:1\"\nlinks = [\"Jaquez\"]\n",
            " Riley links to `Jaquez`, which is not a node",
        ),
        ("[nodes.Riley]\nclient = \"127.0.0.1:1\"\nlink = \"0.0.0.0:2\"\n", " Riley accepts links on 0.0.0.0:2"),
        ("herd = \n", "1: "),
    ];
    for (index, (text, problem)) in cases.iter().enumerate() {
        let file = TemporaryFile::new(&format!("problem-{index}.toml"), text);
        let run = Run::of(&["config", "--config", &file.path()]);
        assert_eq!((run.code, &*run.stdout), (1, ""));
        let expected = format!("herd: {}:{problem}", file.path());
        assert!(run.stderr.starts_with(&expected) && run.stderr.lines().count() == 1, "{} {expected}", run.stderr);
    }
}

#[test]
fn config_output_can_be_read_back() {
    let first = Run::of(&["config", "--set", "drain.grace_s=7"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let file = TemporaryFile::new("printed.toml", &first.stdout);
    let second = Run::of(&["config", "--config", &file.path()]);
    assert_eq!(first.stdout, second.stdout);
    assert!(first.stdout.contains("grace_s = 7"));
}

#[test]
fn config_is_overridden_by_the_environment_and_both_by_the_command_line() {
    let file = TemporaryFile::new("override.toml", "[drain]\ngrace_s = 1\n");
    let grace = |command: &mut Command| Run::new(command.args(["config", "--config", &file.path()])).stdout;
    assert!(grace(&mut herd()).contains("grace_s = 1\n"));
    assert!(grace(herd().env("HERD__DRAIN__GRACE_S", "2")).contains("grace_s = 2\n"));
    let both = grace(herd().env("HERD__DRAIN__GRACE_S", "2").args(["--set", "drain.grace_s=3"]));
    assert!(both.contains("grace_s = 3\n"));
}

/// Output of a command that has ended.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(arguments: &[&str]) -> Self {
        Self::new(herd().args(arguments))
    }

    fn new(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// Returns the command, without variables for it in the environment of the test.
fn herd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERD_")) {
        command.env_remove(name);
    }
    command
}

/// File that is removed at the end of a test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("herd-cli-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
