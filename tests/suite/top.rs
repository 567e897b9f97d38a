//! `herd top`: figures of running nodes for scripts, and the screen in a terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use herd_tests::{Herd, Tmux, tool};
use serde_json::Value;

fn two() -> Herd {
    Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])])
}

/// Goal: rates are those of the lines that clients send. Method: a client sends `IAMAT` while `herd top` looks twice.
#[test]
fn top_once_tells_rates_and_a_node_that_is_down() {
    let herd = two();
    let _riley = herd.run("Riley");
    let mut jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    let over = AtomicBool::new(false);
    let shown = thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = herd.client("Riley");
            for number in 1.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                client.ask(&format!("IAMAT kiwi.example +34-118 {number}"));
            }
        });
        let shown = herd.herd(&["top", "--once", "--json", "--interval", "0.5"]);
        over.store(true, Ordering::Relaxed);
        shown
    });
    assert!(shown.status.success(), "{shown:?}");
    let json: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let figure = |node: &str, pointer: &str| json[node].pointer(pointer).and_then(Value::as_f64).unwrap();
    assert!(figure("Riley", "/lines_per_second/IAMAT") > 0.0, "{json}");
    assert!(figure("Riley", "/call_seconds_p99") >= figure("Riley", "/call_seconds_p50"), "{json}");
    assert_eq!((figure("Jaquez", "/lines_per_second/IAMAT"), figure("Jaquez", "/records")), (0.0, 1.0), "{json}");
    assert!(figure("Jaquez", "/reports_per_second") > 0.0, "{json}");
    assert_eq!(json["Riley"]["links"]["Jaquez"]["state"], "up");
    jaquez.kill();
    let shown = herd.herd(&["top", "--once", "--interval", "0.1", "--sort", "lines"]);
    let table = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(shown.status.code(), Some(1));
    let row = table.lines().find(|line| line.starts_with("Jaquez ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["Jaquez", "down"], "{table}");
    assert!(table.contains("\nJaquez down: "), "{table}");
}

#[test]
fn top_without_a_terminal_says_what_to_type() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let shown = herd.herd(&["top"]);
    let errors = String::from_utf8_lossy(&shown.stderr);
    assert!(errors.contains("standard output is no terminal; print one table with herd top --once"), "{errors}");
    assert_eq!((shown.status.code(), shown.stdout.len()), (Some(1), 0));
    for arguments in [&["top", "--json"][..], &["top", "--interval", "0"], &["top", "--sort", "size"]] {
        assert_eq!(herd.herd(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// Goal: the screen follows the herd, and the terminal is as before at each end. Method: tmux, at the smallest usual size.
#[test]
fn top_in_a_terminal_shows_the_herd_and_restores_the_terminal() {
    let Some(program) = tool("tmux", "tmux") else { return };
    let herd = two();
    let _riley = herd.run("Riley");
    let mut jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    let restored = |terminal: &Tmux, code: u8| {
        terminal.await_shown(&format!("ended {code}"));
        // Printed behind it.
        let screen = terminal.await_shown(" icanon");
        assert!(!terminal.is_alternate() && screen.contains(" echo "), "{screen}");
    };
    let terminal = Tmux::start(&program, (80, 24), &herd.command(&["top"]));
    terminal.await_shown("2 of 2 nodes up");
    assert!(terminal.is_alternate());
    // Either end of the link may tell about it.
    terminal.await_shown("  up     0    0 B");
    terminal.press(&["Enter"]);
    terminal.await_shown("esc back");
    terminal.press(&["Escape"]);
    terminal.await_shown("q quit  j/k move");
    jaquez.kill();
    let screen = terminal.await_shown("1 of 2 nodes up");
    assert!(screen.contains("Jaquez down: "), "{screen}");
    assert!(terminal.screen_with_looks().contains("\u{1b}[31m") || terminal.screen_with_looks().contains("38;5;1"));
    terminal.press(&["q"]);
    restored(&terminal, 0);
    let mut uncoloured = herd.command(&["top"]);
    uncoloured.env("NO_COLOR", "1");
    let terminal = Tmux::start(&program, (80, 24), &uncoloured);
    terminal.await_shown("1 of 2 nodes up");
    let looks = terminal.screen_with_looks();
    assert!(!looks.contains("\u{1b}[31m") && !looks.contains("38;5;1"), "{looks:?}");
    terminal.press(&["C-c"]);
    restored(&terminal, 0);
    let terminal = Tmux::start(&program, (80, 24), &herd.command(&["top"]));
    terminal.await_shown("1 of 2 nodes up");
    let process = rustix::process::Pid::from_raw(terminal.id().cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    restored(&terminal, 0);
}
