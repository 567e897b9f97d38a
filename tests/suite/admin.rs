//! Admin sockets and the token, with whole processes: who gets in, who is told what, and what is left of a node that died.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use herd_admin::{AdminClientError, Token};
use herd_tests::Herd;

/// Goal: a command needs neither token nor port, also for five nodes of one process. Method: without the file of the token.
#[test]
fn admin_sockets_of_five_nodes_serve_commands_without_a_token() {
    let herd = Herd::of_five();
    let mut up = herd.up();
    fs::remove_file(herd.scratch().path("herd").join("admin.token")).unwrap();
    let sockets = herd.admin_directory();
    assert_eq!(mode(&sockets), 0o700);
    for node in herd.names() {
        assert_eq!(mode(&sockets.join(format!("{node}.sock"))), 0o600, "{node}");
    }
    let shown = herd.herd(&["status"]);
    assert!(shown.status.success(), "{}", errors(&shown));
    assert!(errors(&shown).is_empty(), "{}", errors(&shown));
    up.terminate();
    up.wait();
    assert_eq!(fs::read_dir(&sockets).unwrap().count(), 0, "the nodes took their sockets with them");
    let stopped = errors(&herd.herd(&["status", "--node", "Riley"]));
    assert!(stopped.starts_with("herd: Riley: Riley has no admin socket here ("), "{stopped}");
    assert!(stopped.contains("herd run Riley"), "{stopped}");
}

#[test]
fn admin_socket_that_a_killed_node_left_is_replaced_by_its_next_start() {
    let herd = Herd::of_one();
    let mut riley = herd.run("Riley");
    riley.kill();
    let socket = herd.admin_directory().join("Riley.sock");
    assert!(socket.exists());
    let dead = herd.herd(&["status"]);
    let wanted = format!("herd: Riley: no answer from {}; is the node running?\n", socket.display());
    assert_eq!(errors(&dead), wanted);
    let _riley = herd.run("Riley");
    assert!(herd.herd(&["status"]).status.success());
    let mut second = herd.run_without_waiting("Riley");
    assert!(!second.wait().success());
    assert!(herd.herd(&["status"]).status.success(), "a second process of the node leaves the socket alone");
}

#[test]
fn token_rotation_takes_effect_on_running_nodes_at_once() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    let old = ["Riley", "Jaquez"].map(|node| herd.operator(node));
    old.iter().for_each(|operator| _ = operator.status().unwrap());
    let file = herd.scratch().path("herd").join("admin.token");
    let before = Token::read(file.parent().unwrap()).unwrap();
    let rotated = herd.herd(&["token", "rotate"]);
    let said = String::from_utf8_lossy(&rotated.stdout).into_owned();
    assert_eq!(said, format!("new admin token in {}; the old one is refused from now on\n", file.display()));
    assert_ne!(Token::read(file.parent().unwrap()).unwrap(), before);
    for operator in &old {
        assert!(matches!(operator.status(), Err(AdminClientError::TokenRefused(_))));
    }
    for node in herd.names() {
        herd.operator(node).status().unwrap();
    }
    assert!(herd.herd(&["status"]).status.success(), "commands need no token");
}

/// Goal: another user gets nothing, by the modes of the files, and by the check of the node when these fail; a member of the group gets
/// everything, and is named in the audit log. Method: `setpriv`, which only root may use; without root, only the user of the nodes.
#[test]
fn admin_socket_is_for_its_user_and_the_group_of_the_configuration() {
    let herd = Herd::of_one().with(&format!("admin.group=\"{GROUP}\""));
    if !rustix::process::geteuid().is_root() {
        let not_a_member = herd.run_without_waiting("Riley").wait();
        assert!(!not_a_member.success(), "this user is not in the group");
        return;
    }
    let _riley = herd.run("Riley");
    let sockets = herd.admin_directory();
    let socket = sockets.join("Riley.sock");
    assert_eq!((mode(&sockets), mode(&socket)), (0o750, 0o660));
    fs::set_permissions(herd.scratch().directory(), Permissions::from_mode(0o755)).unwrap();
    // A copy, because the directories above that of cargo may be private. By another process: a file that this one had open for writing
    // could not be run as long as a process that another test starts just then has it open, too.
    let binary = herd.scratch().path("herd-binary");
    assert!(Command::new("cp").args([Herd::binary(), binary.clone()]).status().unwrap().success());
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let run = |groups: &[&str], arguments: &[&str]| as_nobody(&herd, &binary, groups, arguments);

    let kept_out = run(&["--clear-groups"], &["status"]);
    assert_eq!(kept_out.status.code(), Some(1));
    let said = errors(&kept_out);
    assert!(said.contains(&format!("permission denied for {}, which belongs to root", socket.display())), "{said}");
    assert!(said.contains("sudo -u root herd") && said.contains("`admin.group`"), "{said}");

    let member = run(&["--groups", GROUP], &["status"]);
    assert!(member.status.success(), "{}", errors(&member));
    let member = run(&["--groups", GROUP], &["forget", "kiwi"]);
    assert!(member.status.success(), "{}", errors(&member));
    let audited = herd.herd(&["audit", "--json"]);
    let audited = String::from_utf8_lossy(&audited.stdout).into_owned();
    assert!(audited.contains(&format!(" uid {NOBODY} at ")) && !audited.contains("(as claimed)"), "{audited}");

    // As if somebody had loosened the modes: the node looks at the user itself.
    fs::set_permissions(&sockets, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    for arguments in [&["status"][..], &["swap", "--built-in"], &["forget", "kiwi"]] {
        let refused = run(&["--clear-groups"], arguments);
        let said = errors(&refused);
        assert!(!refused.status.success() && said.contains("may not administer Riley, which runs as root"), "{said}");
    }
    herd.await_status("Riley", "three refusals", |status| status["admin"]["refused"]["user"] == 3);
    // And a socket that others could have replaced is not used.
    fs::set_permissions(&sockets, Permissions::from_mode(0o777)).unwrap();
    let foreign = errors(&herd.herd(&["status"]));
    assert!(foreign.contains(&format!("{} is not used", socket.display())), "{foreign}");
}

/// Runs a command of the herd as a user who owns nothing.
fn as_nobody(herd: &Herd, binary: &Path, groups: &[&str], arguments: &[&str]) -> Output {
    let before = ["--reuid", NOBODY, "--regid", NOBODY].iter().chain(groups).map(OsStr::new);
    let before: Vec<&OsStr> = before.chain([binary.as_os_str()]).collect();
    herd.herd_through(Path::new("setpriv"), &before, arguments)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A user of every system that owns no file.
const NOBODY: &str = "65534";
/// A group without members.
const GROUP: &str = "64321";
