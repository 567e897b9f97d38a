//! Command line from outside: output, error output and exit code.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

#[path = "cli/contexts.rs"]
mod contexts;
#[path = "cli/hosts.rs"]
mod hosts;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn help_names_every_command_and_the_first_steps() {
    let help = Run::of(&["--help"]);
    assert_eq!(help.code, 0);
    let first = ["up", "run", "send", "status", "swap", "rollback"];
    for command in first.into_iter().chain(["audit", "token", "certs", "inspect", "test", "config"]) {
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
            "--log or HERD_LOG: log filter `chatty`: `chatty` is not a level; known are error, warn, info, debug, trace, off; write a level, or PART=LEVEL, such as info,guest=debug",
        ),
        (&["--set", "trace.otlp=localhost:4318", "config"], "`trace.otlp` is not a URL; write it as http://host:4318"),
        (&["--set", "trace.sample=2", "config"], "`trace.sample` is 2; it must be a share from 0 to 1, such as 0.01"),
        (&["--set", "sessions", "config"], "--set sessions: write it as key=value, such as sessions.idle_s=5"),
        (&["--set", "sessions.line_bytes_max=0", "up"], "`sessions.line_bytes_max` is 0; it must be 1 to 65536"),
        (
            &["--set", "state_dir=/nowhere", "status"],
            "/nowhere/herd does not exist, and no node has an admin socket here; has this user started the herd on this machine? herd up starts it; for nodes on other hosts: herd certs issue --operator NAME where the authority is, and here: herd certs install NAME.pem",
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
fn help_explains_topics_and_names_them_when_it_knows_none() {
    let concepts = Run::of(&["help", "concepts"]);
    assert!(concepts.code == 0 && concepts.stdout.starts_with("CONCEPTS\n"), "{}", concepts.stdout);
    assert_eq!(Run::of(&["help", "certs", "issue"]).stdout, Run::of(&["certs", "issue", "--help"]).stdout);
    let unknown = Run::of(&["help", "concept"]);
    assert_eq!((unknown.code, &*unknown.stdout), (2, ""));
    assert!(
        unknown
            .stderr
            .contains("topics are concepts, swapping, signatures, edge, agreement, files, contexts, exit-codes"),
        "{}",
        unknown.stderr
    );
    let misspelt = Run::of(&["help", "swop"]);
    assert!(misspelt.code == 2 && misspelt.stderr.contains("swap"), "{}", misspelt.stderr);
}

#[test]
fn version_has_the_same_in_words_and_in_json() {
    assert_eq!(Run::of(&["version"]).stdout, Run::of(&["--version"]).stdout);
    let verbose = Run::of(&["version", "--verbose"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&Run::of(&["version", "--json"]).stdout).unwrap();
    for key in ["version", "contract", "target", "compiler"] {
        let value = json[key].as_str().unwrap();
        assert!(!value.is_empty() && verbose.contains(value), "{key} {value}: {verbose}");
    }
    let guest = json["guest"].as_str().unwrap();
    assert!(verbose.contains(&guest[..8]) && guest.len() == 64, "{verbose}");
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

#[test]
fn certs_errors_say_what_is_wrong_and_what_to_type() {
    let host = Host::new("errors");
    let state = host.0.join("herd");
    let state = state.display();
    let none = format!(
        "{state}/authority has no authority; make one with `herd certs init`, or name the directory of the one that there is"
    );
    for arguments in [&["issue", "Riley"][..], &["renew", "Riley"], &["revoke", "Riley"], &["roll"], &["retire"]] {
        assert_eq!(host.fails(arguments), none, "{arguments:?}");
    }
    let nothing = host.fails(&["show"]);
    assert!(
        nothing.starts_with(&format!("no certificates of herd herd in {state}; herd certs init makes ")),
        "{nothing}"
    );
    assert_eq!(host.fails(&["show", "x.pem"]), "x.pem: No such file or directory (os error 2)");

    host.does(&["init"]);
    fs::write(host.0.join("notes.txt"), "not a certificate").unwrap();
    host.does(&["issue", "Riley"]);
    for (arguments, problem) in [
        (
            &["init"][..],
            &*format!("{state}/authority has the authority of herd herd already; go on with: herd certs issue NODE"),
        ),
        (&["issue", "Rilley"], "unknown node `Rilley`; did you mean `Riley`?"),
        (&["renew", "Rilley"], "node Rilley has no certificate of this authority; did you mean `Riley`?"),
        (&["revoke", "Rilley"], "node Rilley has no certificate of this authority; did you mean `Riley`?"),
        (&["revoke", "--operator", "Riley"], "operator Riley has no certificate of this authority"),
        (
            &["renew", "Jaquez"],
            "node Jaquez has no certificate of this authority to renew; its first: herd certs issue Jaquez",
        ),
        (&["retire"], "the herd has one authority, and none to retire; to make a new one: herd certs roll"),
        (
            &["issue", "Jaquez", "--out", "notes.txt"],
            "notes.txt exists and is no file of node Jaquez of herd herd; name another one with --out",
        ),
        (
            &["issue", "Jaquez", "--out", "Riley.pem"],
            "Riley.pem exists and is no file of node Jaquez of herd herd; name another one with --out",
        ),
        (
            &["revoke", "Riley", "--out", "notes.txt"],
            "notes.txt exists and has no revocation list of herd herd; name another file with --out",
        ),
        (
            &["install", "notes.txt"],
            "notes.txt: not a whole file as `herd certs issue` makes it: one certificate of a member, one private key, the \
             authority and its revocation list",
        ),
        (
            &["issue", "Riley", "Jaquez", "--out", "both.pem"],
            "--out is one file, and each node has its own; leave it out, or name one node",
        ),
    ] {
        assert_eq!(host.fails(arguments), problem, "{arguments:?}");
    }
    assert_eq!(fs::read_to_string(host.0.join("notes.txt")).unwrap(), "not a certificate");
    for arguments in [&["certs"][..], &["certs", "issue"], &["certs", "issue", "Riley", "--operator", "mira"]] {
        assert_eq!(Run::of(arguments).code, 2, "{arguments:?}");
    }
    let days = Run::of(&["certs", "issue", "Riley", "--days", "soon"]);
    assert!(days.stderr.contains("write a whole number from 1 to 36500, in days"), "{}", days.stderr);
}

/// Goal: what a file may undo is refused where it would take effect. Method: files are copied before a revocation and a retirement,
/// and installed after them.
#[test]
fn certs_install_refuses_what_would_undo_a_revocation_or_a_retirement() {
    let host = Host::new("undo");
    host.does(&["init"]);
    host.does(&["issue", "Riley", "Jaquez"]);
    host.does(&["install", "Riley.pem"]);
    let copy = |from: &str, to: &str| fs::copy(host.0.join(from), host.0.join(to)).unwrap();
    copy("Jaquez.pem", "stolen.pem");
    copy("Riley.pem", "old.pem");
    host.does(&["revoke", "Jaquez"]);
    // The authority is elsewhere: only the file of Riley knows of the revocation.
    fs::rename(host.0.join("herd/authority"), host.0.join("drawer")).unwrap();
    let refused = host.fails(&["install", "stolen.pem"]);
    assert!(
        refused.starts_with("stolen.pem was revoked (serial ") && refused.ends_with("herd certs issue Jaquez"),
        "{refused}"
    );
    assert!(!host.0.join("herd/nodes/Jaquez.pem").exists());
    let lists = |file: &str| host.json(&["show", file])["lists"][0]["number"].as_u64().unwrap();
    host.does(&["install", "old.pem"]);
    assert_eq!(lists("herd/nodes/Riley.pem"), 2, "the newer list stays with an older file");

    let drawer = ["--dir", "drawer"];
    host.does(&[&["roll"][..], &drawer].concat());
    let refused = host.fails(&[&["retire"][..], &drawer].concat());
    assert!(refused.starts_with("a certificate of the old authority only: node Riley; "), "{refused}");
    assert!(refused.contains("herd certs renew Riley --dir drawer"), "{refused}");
    host.does(&[&["renew", "Riley"][..], &drawer].concat());
    host.does(&["install", "Riley.pem"]);
    copy("Riley.pem", "both.pem");
    host.does(&[&["retire"][..], &drawer].concat());
    host.does(&[&["renew", "Riley"][..], &drawer].concat());
    host.does(&["install", "Riley.pem"]);
    assert_eq!(host.json(&["show", "herd/nodes/Riley.pem"])["authorities"].as_array().unwrap().len(), 1);
    let refused = host.fails(&["install", "both.pem"]);
    assert!(refused.starts_with("both.pem was made before an authority of the herd was retired"), "{refused}");

    let exposed = host.0.join("Riley.pem");
    fs::set_permissions(&exposed, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(host.fails(&["install", "Riley.pem"]).ends_with("is readable by other users: chmod 600 Riley.pem"));
    let other = Run::new(host.command(&["install", "both.pem"]).args(["--set", "herd=six"]));
    assert_eq!(
        other.stderr,
        "herd: both.pem is of herd herd, and the configuration is of herd six; name its configuration with --config\n"
    );
}

#[test]
fn certs_show_has_the_same_in_words_and_in_json() {
    let host = Host::new("show");
    host.does(&["init", "--days", "10"]);
    let issued = host.does(&["issue", "Riley", "--days", "30"]);
    assert!(issued.starts_with("node Riley of herd herd: expires in "), "{issued}");
    assert!(issued.contains("  it ends with the authority; to make a new one: herd certs roll\n"), "{issued}");
    host.does(&["issue", "--operator", "mira"]);
    host.does(&["issue", "Riley"]);
    host.does(&["install", "Riley.pem"]);
    let shown = host.does(&["show"]);
    let row = |name: &str| {
        let words =
            |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_string).collect();
        shown.lines().filter(|line| line.starts_with(name)).map(words).collect::<Vec<Vec<String>>>()
    };
    // Days are left out: seconds may pass between two commands.
    let state = |cells: &Vec<String>| cells[1].split(|c: char| c.is_ascii_digit()).next().unwrap().to_string();
    assert_eq!(row("the authority").iter().map(state).collect::<Vec<_>>(), ["expires in "]);
    let states: Vec<String> = row("node Riley").iter().map(state).collect();
    assert_eq!(states, ["replaced", "expires in ", "expires in "]);
    assert_eq!(row("operator mira").len(), 1);
    assert!(shown.contains("\nrevocation list 1 of ") && !shown.contains("warning"), "{shown}");
    let json = host.json(&["show"]);
    assert_eq!(json["authority"]["issued"][0]["replaced"], true);
    assert_eq!(json["authority"]["issued"][1]["subject"], "herd://herd/operator/mira");
    assert_eq!(json["nodes"][0]["certificate"]["serial"], json["authority"]["issued"][2]["serial"]);
    fs::write(host.0.join("herd/nodes/Jaquez.pem"), "").unwrap();
    let damaged = Run::new(&mut host.command(&["show"]));
    assert!(damaged.code == 1 && damaged.stdout.contains("node Riley"), "the others are shown all the same");
    host.does(&["revoke", "Riley"]);
    let warned = Run::new(&mut host.command(&["show", "herd/nodes/Riley.pem"])).stdout;
    assert!(
        warned.contains("\nwarning: node Riley of herd herd: revoked, ")
            && warned.ends_with(": herd certs renew Riley\n"),
        "{warned}"
    );
}

/// Directory of a host for `herd certs`: current directory and state directory in one.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("herd-cli-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = herd();
        command.current_dir(&self.0).arg("certs").args(arguments).env("HERD__STATE_DIR", &self.0);
        command
    }

    fn does(&self, arguments: &[&str]) -> String {
        let run = Run::new(&mut self.command(arguments));
        assert_eq!((run.code, &*run.stderr), (0, ""), "{arguments:?}");
        run.stdout
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.does(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Returns the only line that a command has to say.
    fn fails(&self, arguments: &[&str]) -> String {
        let run = Run::new(&mut self.command(arguments));
        assert_eq!((run.code, &*run.stdout), (1, ""), "{arguments:?}");
        let line = run.stderr.strip_prefix("herd: ").and_then(|line| line.strip_suffix('\n'));
        line.unwrap_or_else(|| panic!("{}", run.stderr)).into()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
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
