//! Upgrades of the binary: what stays, what is refused, what happens when the new program fails; and sockets from systemd.
//!
//! The new program is a copy of the binary with another digest, or a script in place of one, which answers the check as `herd` does and
//! then does what the test needs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use herd_tests::{Behaviour, Client, Herd, WAIT_MAX, eventually};

/// Copies the binary with its new name appended, which changes its digest and nothing else. By another process, because no program may be
/// started while a process has it open to write, and tests start programs all the time.
fn copy(herd: &Herd, name: &str) -> PathBuf {
    let to = herd.scratch().path(name);
    let script = "cp \"$0\" \"$1\" && chmod u+w \"$1\" && printf %s \"$2\" >> \"$1\"";
    let copied = Command::new("sh").args(["-c", script]).arg(Herd::binary()).arg(&to).arg(name).status();
    assert!(copied.unwrap().success());
    to
}

/// Writes a program that answers the check as `herd` does, and runs `instead` when it takes over. `$HERD` is the binary.
fn script(herd: &Herd, name: &str, instead: &str) -> PathBuf {
    let binary = Herd::binary();
    let binary = binary.display();
    let text = format!(
        "#!/bin/sh\nHERD='{binary}'\ncase \"$*\" in *--check*) \"$HERD\" \"$@\" || exit\n{};; esac\n{instead}\n",
        if instead.is_empty() { "rm \"$0\"; exit 0" } else { "exit 0" }
    );
    let program = herd.scratch().path(name);
    // As above.
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    assert!(Command::new("sh").args(["-c", write]).arg(&program).arg(text).status().unwrap().success());
    program
}

fn upgrade(herd: &Herd, program: Option<&Path>) -> Output {
    let program = program.map(|path| path.to_str().unwrap());
    herd.herd(&[&["upgrade"][..], &program.map_or(vec![], |path| vec!["--binary", path])].concat())
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn started_ms(herd: &Herd, node: &str) -> u64 {
    herd.status(node)["process"]["started_ms"].as_u64().unwrap()
}

fn report(client: &mut Client, name: &str) {
    let answer = client.ask(&format!("IAMAT {name} +34-118 1"));
    assert!(answer.starts_with("AT "), "{answer}");
}

#[test]
fn upgrade_keeps_the_process_its_ports_and_the_records_and_names_the_operator() {
    let herd = Herd::of_one();
    let program = copy(&herd, "herd-installed");
    let mut riley = herd.run_program(&program, "Riley");
    let mut client = herd.client("Riley");
    report(&mut client, "kiwi");
    // As a package does it: another file under the same name.
    fs::rename(copy(&herd, "herd-new"), &program).unwrap();
    let (said, errors) = texts(&upgrade(&herd, None));
    assert!(said.starts_with("Riley: herd ") && said.contains(&program.display().to_string()), "{said}{errors}");
    riley.await_line("Riley ready");
    assert!(riley.is_running());
    let status = herd.status("Riley");
    assert_eq!(status["process"]["pid"], riley.id());
    let runs = fs::read_link(format!("/proc/{}/exe", riley.id())).unwrap();
    assert_eq!(runs, program, "the file before is called (deleted)");
    assert_eq!(client.rest(), b"", "its session was closed in order");
    assert!(herd.knows("Riley", "kiwi"));
    let audit = texts(&herd.herd(&["audit", "--wide"])).0;
    let line = audit.lines().find(|line| line.contains("upgraded")).unwrap_or_else(|| panic!("{audit}"));
    assert!(line.contains("operator ") && line.contains("from herd ") && !line.contains("claimed"), "{line}");
    // And again, and it stops as it did before.
    assert!(upgrade(&herd, None).status.success());
    riley.await_line("Riley ready");
    riley.terminate();
    assert_eq!(riley.wait().code(), Some(0));
    assert!(Client::try_connect(herd.address("Riley")).is_err());
    assert!(!herd.admin_directory().join("Riley.sock").exists());
}

/// Goal: an upgrade leaves no descriptor behind. Method: after the third upgrade as few files are open as
/// after the first.
#[test]
fn upgrade_again_and_again_leaks_no_descriptor() {
    let herd = Herd::of_one();
    let mut riley = herd.run("Riley");
    let mut open_files = vec![];
    for _ in 0..3 {
        assert!(upgrade(&herd, None).status.success());
        riley.await_line("Riley ready");
        // The connections of the command close in their own time.
        herd.await_status("Riley", "no session", |status| status["sessions"]["open"] == 0);
        open_files.push(riley.open_files());
    }
    // A thread of the start may have a file open for a moment.
    eventually("as few open files as after the first", || {
        let now = riley.open_files();
        if now <= open_files[0] { Ok(()) } else { Err(format!("{open_files:?}, then {now}")) }
    });
}

#[test]
fn upgrade_to_a_binary_that_cannot_start_changes_nothing_and_says_why() {
    let herd = Herd::of_one();
    let program = copy(&herd, "herd-installed");
    let riley = herd.run_program(&program, "Riley");
    let (mut client, before) = (herd.client("Riley"), started_ms(&herd, "Riley"));
    let mut refused = |program: Option<&Path>, why: &str| {
        let output = upgrade(&herd, program);
        let (said, errors) = texts(&output);
        assert!(!output.status.success() && said.is_empty(), "{said}");
        assert!(errors.contains("cannot take over, and nothing changed") && errors.contains(why), "{errors}");
        report(&mut client, "kiwi");
        assert_eq!(started_ms(&herd, "Riley"), before);
    };
    refused(Some(Path::new("/no/such/herd")), "No such file");
    let text = herd.scratch().write("notes.txt", "no program");
    refused(Some(&text), "Permission denied");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).unwrap();
    refused(Some(&text), "it cannot be started: Exec format error");
    // A version that knows no upgrade, as clap says it; one that knows older records only; another program.
    let other = |name: &str, does: &str| {
        let program = herd.scratch().path(name);
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        assert!(Command::new("sh").args(["-c", write]).arg(&program).arg(does).status().unwrap().success());
        program
    };
    refused(
        Some(&other("old", "echo \"error: unexpected argument '--check' found\" >&2; exit 2")),
        "unexpected argument",
    );
    refused(Some(&other("older", "echo '{\"version\": \"0.0.1\", \"records_format\": 0}'")), "cannot read the records");
    refused(Some(Path::new("/bin/echo")), "printed something else");
    // The file with which the node was started, but with a configuration that it does not take.
    let config = herd.scratch().path("herd.toml");
    let good = fs::read_to_string(&config).unwrap();
    herd.scratch().write("herd.toml", good.replace("[places]", "[place]"));
    // The command reads the same file, so the request is one by hand.
    let mut socket = UnixStream::connect(herd.admin_directory().join("Riley.sock")).unwrap();
    socket.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let request = "POST /v1/upgrade HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("its check failed") && answer.contains("place"), "{answer}");
    herd.scratch().write("herd.toml", good);
    report(&mut client, "kiwi");
    let audit = texts(&herd.herd(&["audit", "--wide"])).0;
    assert!(audit.lines().any(|line| line.contains("upgraded") && line.contains("refused")), "{audit}");
    riley.await_log(&["WARN", "not upgraded", "Exec format error"]);
}

/// Goal: a client that connects while no program runs the node is answered by the new one. Method: a new program that waits for a file
/// before it goes on, so that the moment is certain.
#[test]
fn upgrade_answers_a_client_that_connected_during_the_hand_over() {
    let herd = Herd::of_one();
    let go = herd.scratch().path("go");
    let waits = format!("while [ ! -e '{}' ]; do sleep 0.02; done\nexec \"$HERD\" \"$@\"", go.display());
    let program = script(&herd, "waits", &waits);
    let mut riley = herd.run("Riley");
    report(&mut herd.client("Riley"), "kiwi");
    let mut command = herd.begin(&["upgrade", "--binary", program.to_str().unwrap()]);
    eventually("the new program took over", || {
        let runs = fs::read_to_string(format!("/proc/{}/comm", riley.id())).unwrap_or_default();
        if runs.trim() == "waits" { Ok(()) } else { Err(runs) }
    });
    let mut client = herd.client("Riley");
    client.send("IAMAT mango +34-118 1\n");
    fs::write(go, "").unwrap();
    assert!(client.line().starts_with("AT Riley "));
    riley.await_line("Riley ready");
    assert!(command.wait().success());
    assert!(herd.knows("Riley", "kiwi"));
}

#[test]
fn upgrade_waits_for_an_upstream_for_a_moment_only() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=60000");
    let mut riley = herd.run("Riley");
    let mut client = herd.client("Riley");
    report(&mut client, "kiwi");
    herd.places().behave(Behaviour::Held);
    client.send("WHATSAT kiwi 10 5\n");
    herd.places().await_requests(1);
    assert!(upgrade(&herd, None).status.success());
    riley.await_line("Riley ready");
    assert!(client.is_cut_off(), "as docs/upgrade.md says");
}

/// Method: a fetch keeps the hand-over waiting for as long as it may, and the signal comes meanwhile. On a busy machine it may come too late,
/// which ends the new program and shows nothing: then once more.
#[test]
fn upgrade_that_a_signal_ends_leaves_no_socket_behind() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=60000");
    herd.places().behave(Behaviour::Held);
    for requests in 1..=20 {
        let mut riley = herd.run("Riley");
        let mut client = herd.client("Riley");
        report(&mut client, "kiwi");
        client.send("WHATSAT kiwi 10 5\n");
        herd.places().await_requests(requests);
        let mut command = herd.begin(&["upgrade"]);
        riley.await_log(&["upgrade: draining"]);
        riley.terminate();
        let status = riley.wait();
        if riley.log().contains("a signal stops the process in place of the upgrade") {
            assert_eq!(status.code(), Some(0));
            assert!(!herd.admin_directory().join("Riley.sock").exists());
            assert!(!command.wait().success());
            return;
        }
    }
    panic!("the signal came too late twenty times");
}

#[test]
fn upgrade_whose_program_vanished_ends_with_the_old_one_and_says_so() {
    let herd = Herd::of_one();
    let program = script(&herd, "vanishes", "");
    let mut riley = herd.run("Riley");
    report(&mut herd.client("Riley"), "kiwi");
    let output = upgrade(&herd, Some(&program));
    let (_, errors) = texts(&output);
    assert!(!output.status.success() && errors.contains("the old program goes on"), "{errors}");
    riley.await_line("Riley ready");
    assert_eq!(herd.status("Riley")["process"]["pid"], riley.id());
    assert!(herd.knows("Riley", "kiwi"));
    riley.await_log(&["ERROR", "not upgraded", "No such file"]);
}

#[test]
fn upgrade_whose_program_ends_at_once_says_what_is_left_to_do() {
    let herd = Herd::of_one();
    let program = script(&herd, "ends", "echo 'no such library' >&2; exit 127");
    let mut riley = herd.run("Riley");
    report(&mut herd.client("Riley"), "kiwi");
    let output = upgrade(&herd, Some(&program));
    let (_, errors) = texts(&output);
    assert!(!output.status.success() && errors.contains("the process ended during the upgrade to"), "{errors}");
    assert!(errors.contains("type: herd run Riley"), "{errors}");
    assert_eq!(riley.wait().code(), Some(127));
    let _again = herd.run("Riley");
    assert!(herd.knows("Riley", "kiwi"), "what was acknowledged is there");
}

#[test]
fn upgrade_of_a_whole_herd_takes_all_nodes_of_the_process_at_once() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let mut up = herd.up();
    report(&mut herd.client("Riley"), "kiwi");
    herd.await_known("kiwi", &["Jaquez"]);
    let (said, errors) = texts(&upgrade(&herd, None));
    // In the order of their addresses.
    let all = ["Jaquez, Riley: herd ", "Riley, Jaquez: herd "];
    assert!(all.iter().any(|names| said.starts_with(names)) && said.lines().count() == 1, "{said}{errors}");
    up.await_line("herd ready");
    herd.await_linked(&herd.names());
    for node in herd.names() {
        assert!(herd.knows(node, "kiwi"), "{node}");
        assert_eq!(herd.status(node)["process"]["pid"], up.id());
    }
    report(&mut herd.client("Jaquez"), "mango");
    herd.await_known("mango", &["Riley"]);
}

#[test]
fn upgrade_over_the_admin_port_is_refused() {
    let herd = Herd::of_one();
    let riley = herd.run("Riley");
    let before = started_ms(&herd, "Riley");
    let refused = herd.operator("Riley").upgrade().unwrap_err().to_string();
    assert!(refused.contains("over the admin socket only"), "{refused}");
    assert_eq!(started_ms(&herd, "Riley"), before);
    drop(riley);
}

/// A socket that listens on a port that no configuration names.
fn elsewhere() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn socket_from_a_supervisor_is_used_by_its_name() {
    let herd = Herd::of_one();
    let listener = elsewhere();
    let address = listener.local_addr().unwrap();
    // Before the node runs.
    let mut client = Client::connect(address);
    client.send("IAMAT kiwi +34-118 1\n");
    let mut riley = herd.run_with_socket("Riley", "clients", listener);
    assert!(client.line().starts_with("AT Riley "));
    riley.await_line("Riley ready");
    assert!(Client::try_connect(herd.address("Riley")).is_err(), "that of the configuration is not bound");
    // An upgrade passes it on, although its address is no configured one.
    assert!(upgrade(&herd, None).status.success());
    riley.await_line("Riley ready");
    report(&mut Client::connect(address), "mango");
    assert!(Client::try_connect(herd.address("Riley")).is_err());
}

#[test]
fn socket_from_a_supervisor_is_used_by_its_address() {
    let herd = Herd::of_one();
    // The harness holds the address bound, and allows others to share it.
    let address = herd.address("Riley");
    let socket = TcpListener::bind(address).unwrap();
    let mut client = Client::connect(address);
    client.send("IAMAT kiwi +34-118 1\n");
    let mut riley = herd.run_with_socket("Riley", "herd.socket", socket);
    assert!(client.line().starts_with("AT Riley "));
    riley.await_line("Riley ready");
    assert!(upgrade(&herd, None).status.success());
    riley.await_line("Riley ready");
    assert!(herd.knows("Riley", "kiwi"));
}

#[test]
fn socket_from_a_supervisor_that_matches_nothing_is_an_error() {
    let herd = Herd::of_one();
    let mut riley = herd.run_with_socket("Riley", "client", elsewhere());
    assert_eq!(riley.wait().code(), Some(1));
    riley.await_log(&["no node takes", "`client` at 127.0.0.1:", "FileDescriptorName="]);
}
