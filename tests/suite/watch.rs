//! `herd up --watch` and `herd swap --watch`: the logic follows a file.

use std::fs;
use std::time::{Duration, Instant};

use herd_tests::{DEFAULT_GUEST, Fixture, HELLO, Herd, WATCH};

#[test]
fn watch_serves_the_file_as_soon_as_it_changes() {
    let herd = Herd::of_five();
    let file = herd.scratch().path("guest.wasm");
    let mut up = herd.up_watching(&file);
    assert_eq!(up.next_line(), format!("waiting for {}", file.display()));
    up.await_line("herd ready");
    let mut sessions: Vec<_> = herd.names().into_iter().map(|node| herd.client(node)).collect();
    for (guest, answer, number) in [(HELLO, "hello, you", 2), (DEFAULT_GUEST, "? you", 3)] {
        fs::copy(guest, &file).unwrap();
        assert_eq!(up.next_line(), serving(&herd, number));
        for session in &mut sessions {
            assert_eq!(session.ask("you"), answer);
        }
    }
    assert!(herd.herd(&["rollback"]).status.success(), "a watched swap can be rolled back");
    assert_eq!(sessions[0].ask("you"), "hello, you");
}

/// Goal: a file that is rejected is reported once, however often it is polled or rewritten, and the old logic goes on serving.
/// Method: files that fail at three stages, each written twice, then good ones.
#[test]
fn watch_reports_a_rejected_file_once_and_keeps_the_old_logic() {
    let herd = Herd::of_five();
    let file = herd.scratch().write("guest.wasm", fs::read(HELLO).unwrap());
    let mut up = herd.up_watching(&file);
    assert!(
        up.next_line().starts_with("generation 2 ("),
        "a file that exists at the start serves before the herd is ready"
    );
    up.await_line("herd ready");
    let mut session = herd.client("Riley");
    let refused = |guest: &[u8], words: &str| {
        fs::write(&file, guest).unwrap();
        up.await_log(&[&format!("error: guest.wasm {words}")]);
        // The same content is written again, and the file polled a few more times: no second error may be printed.
        fs::write(&file, guest).unwrap();
        let until = Instant::now() + Duration::from_millis(250);
        while Instant::now() < until {
            assert_eq!(herd.client("Campbell").ask("you"), "hello, you");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    refused(b"(component)", "not parsed: WebAssembly text");
    refused(&fs::read(Fixture::Greedy).unwrap(), "not checked: imports wasi:keyvalue/store@0.2.0");
    refused(&fs::read(HELLO).unwrap()[..20_000], "not parsed: cut off: the file ends after 20000 bytes");
    assert_eq!(session.ask("you"), "hello, you");
    fs::remove_file(&file).unwrap();
    fs::copy(DEFAULT_GUEST, &file).unwrap();
    assert_eq!(up.next_line(), serving(&herd, 3));
    assert_eq!(session.ask("you"), "? you");
    let errors: Vec<String> = up.log().lines().filter(|line| line.starts_with("error")).map(Into::into).collect();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(!errors.concat().contains('\u{1b}'), "no colours when the output is not a terminal");

    // A file that is restored after a broken version is already served; that is printed all the same.
    fs::write(&file, "half").unwrap();
    herd_tests::eventually("the error", || match up.log().matches("not parsed: not WebAssembly").count() {
        1 => Ok(()),
        count => Err(count.to_string()),
    });
    fs::copy(DEFAULT_GUEST, &file).unwrap();
    assert_eq!(up.next_line(), serving(&herd, 3));
}

#[test]
fn watch_ignores_a_rewrite_with_equal_content() {
    let herd = Herd::of_one();
    let file = herd.scratch().write("guest.wasm", fs::read(HELLO).unwrap());
    let mut up = herd.up_watching(&file);
    up.await_line("herd ready");
    // Long enough for about ten polls of the file.
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        fs::write(&file, fs::read(HELLO).unwrap()).unwrap();
        std::thread::sleep(Duration::from_millis(120));
    }
    fs::copy(WATCH, &file).unwrap();
    assert_eq!(up.next_line(), serving(&herd, 3), "the rewrites made no generation");
}

/// Goal: `herd swap --watch` swaps the whole herd for each change of the file, also when one node already serves the content,
/// and the herd keeps the last guest after it ends. Method: a running herd and a second process that watches.
#[test]
fn watch_from_another_process_swaps_the_herd_until_it_ends() {
    let herd = Herd::of_five();
    let file = herd.scratch().path("guest.wasm");
    let _up = herd.up();
    let mut watching = herd.swap_watching(&file);
    assert_eq!(watching.next_line(), format!("waiting for {}", file.display()));
    for (guest, answer, number) in [(HELLO, "hello, you", 2), (DEFAULT_GUEST, "? you", 3)] {
        fs::copy(guest, &file).unwrap();
        assert_eq!(watching.next_line(), serving(&herd, number));
        for node in herd.names() {
            assert_eq!(herd.client(node).ask("you"), answer, "{node}");
        }
    }
    // A node that was swapped alone to the same content does not make it the herd's generation.
    let first = herd.names().into_iter().min_by_key(|node| herd.address(node)).unwrap();
    herd.swap(WATCH, &[first]).unwrap();
    fs::copy(WATCH, &file).unwrap();
    assert_eq!(watching.next_line(), serving(&herd, 4));
    for node in herd.names() {
        assert_eq!(herd.client(node).ask("WATCH you"), "OK", "{node}");
    }
    fs::write(&file, b"(component)").unwrap();
    watching.await_log(&["error: guest.wasm not parsed: WebAssembly text"]);
    drop(watching);
    assert_eq!(herd.client("Riley").ask("WATCH you"), "OK");
}

/// Goal: content that was read while the herd was away is served once the herd is back. Method: the herd is down when the watch
/// begins, and has a token since an earlier start.
#[test]
fn watch_swaps_a_herd_that_was_down_when_the_file_changed() {
    let herd = Herd::of_one();
    drop(herd.run("Riley"));
    let file = herd.scratch().write("guest.wasm", fs::read(HELLO).unwrap());
    let mut watching = herd.swap_watching(&file);
    assert_eq!(watching.next_line(), "guest.wasm: trying again: no node of the herd answers; is the herd running?");
    let _riley = herd.run("Riley");
    assert_eq!(watching.next_line(), serving(&herd, 2));
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
    assert_eq!(watching.log().matches("error").count(), 0, "{}", watching.log());
}

#[test]
fn watch_of_one_file_by_several_reports_no_error() {
    let herd = Herd::of_five();
    let _up = herd.up();
    let file = herd.scratch().path("guest.wasm");
    let mut watching = [0; 3].map(|_| herd.swap_watching(&file));
    watching.iter_mut().for_each(|watching| watching.await_line(&format!("waiting for {}", file.display())));
    fs::copy(HELLO, &file).unwrap();
    for watching in &mut watching {
        let line = watching.next_line();
        assert!(
            line.starts_with("generation ") && line.ends_with(&format!("({}) serving", herd.serving("Riley"))),
            "{line}"
        );
        assert_eq!(watching.log().matches("error").count(), 0, "{}", watching.log());
    }
}

/// The line that is printed when this generation, once active, begins to serve.
fn serving(herd: &Herd, number: u64) -> String {
    let active = herd.await_status("Riley", "the generation", |status| status["generations"]["active"]["id"] == number);
    let digest = active["generations"]["active"]["digest"].as_str().unwrap_or_default().to_string();
    format!("generation {number} ({}) serving", &digest[..8])
}
