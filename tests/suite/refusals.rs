//! Refusals: guests that cannot serve are refused by a swap, at the start and by `herd inspect`, with the stage and the reason.

use std::path::PathBuf;

use herd_tests::{CORE_MODULE, DAMAGED, DEFAULT_GUEST, Fixture, Herd, Scratch};

use crate::faults::{Wrong, wrong};

/// Files that are no usable guest, each with the text of its refusal.
fn refused(scratch: &Scratch) -> Vec<(PathBuf, &'static str)> {
    let good = std::fs::read(DEFAULT_GUEST).unwrap();
    let fixture = |fixture: Fixture, words| (fixture.path().to_path_buf(), words);
    vec![
        (scratch.write("nothing.wasm", ""), "not parsed: the file is empty"),
        (scratch.write("text.wasm", "(component)"), "not parsed: WebAssembly text; a guest is binary"),
        (
            scratch.write("core.wasm", CORE_MODULE),
            "not parsed: a core module, not a component; build it with `--target wasm32-wasip2`",
        ),
        (scratch.write("native.cwasm", b"\x7fELF\x02\x01\x01"), "not parsed: native code; a guest is a component"),
        (scratch.write("later.wasm", b"\0asm\x0e\0\x01\0"), "not parsed: a component of a version that this host"),
        (scratch.write("half.wasm", &good[..good.len() / 2]), "not parsed: cut off: the file ends after "),
        (scratch.write("damaged.wasm", DAMAGED), "not compiled: "),
        fixture(Fixture::OtherVersion, "not checked: imports herd:logic/records@0.9.0, and this host offers"),
        fixture(Fixture::OtherWorld, "not checked: does not export herd:logic/logic@"),
        fixture(Fixture::Greedy, "not checked: imports wasi:keyvalue/store@0.2.0, which this host does not offer"),
        fixture(Fixture::Picky, "not checked: setting `mood`: must be good"),
        fixture(Fixture::Stillborn, "not checked: trapped: "),
    ]
}

#[test]
fn refusals_cover_every_guest_that_cannot_serve() {
    let scratch = Scratch::new();
    let refused = refused(&scratch);
    for fixture in Fixture::ALL.into_iter().filter(|&fixture| matches!(wrong(fixture), Wrong::AtTheSwap)) {
        assert!(
            refused.iter().any(|(guest, _)| guest == fixture.path()),
            "{fixture:?} is missing from the list of refusals"
        );
    }
}

/// Goal: every unusable guest is refused by every node with the same stage and reason, and neither generations nor sessions
/// change. Method: a herd of two and one session throughout; the counters of the stages at the end.
#[test]
fn refusal_names_its_stage_and_changes_nothing() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    let mut session = herd.client("Riley");
    assert_eq!(
        session.ask("hello"),
        "? hello",
        "a first call, because the status shows its time and must not change below"
    );
    let before = herd.status("Riley")["generations"].clone();
    for (guest, words) in refused(herd.scratch()) {
        let said = herd.swap(&guest, &[]).unwrap_err();
        assert!(said.contains(&format!("herd: Jaquez, Riley: {words}")), "{}: {said}", guest.display());
        assert!(!said.contains('\u{1b}'), "text from a guest is escaped for the terminal: {said:?}");
        assert_eq!(herd.status("Riley")["generations"], before, "{}", guest.display());
        assert_eq!(session.ask("hello"), "? hello");
    }
    let stages = herd.status("Riley")["stages"].clone();
    let refused = |stage: &str| stages[stage]["refused"].as_u64().unwrap();
    assert_eq!([refused("parsed"), refused("compiled"), refused("checked")], [6, 1, 5], "{stages}");
    assert_eq!((&stages["rehearsed"]["reached"], &stages["candidate"]["reached"]), (&0.into(), &12.into()));
    let said = herd.herd(&["rollback", "--node", "Riley"]);
    let said = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said, "herd: Riley: there is no previous generation to go back to\n");
}

#[test]
fn start_fails_with_a_guest_that_cannot_serve() {
    let herd = Herd::of_one();
    for (guest, words) in refused(herd.scratch()) {
        let guest = format!("guest={}", guest.display());
        let started = herd.herd(&["run", "Riley", "--set", &guest]);
        assert_eq!(started.status.code(), Some(1), "{guest}");
        let said = String::from_utf8_lossy(&started.stderr);
        assert!(said.contains(&format!("herd: the guest cannot serve Riley: {words}")), "{guest}: {said}");
        assert!(!said.contains('\u{1b}'), "text from a guest is escaped for the terminal: {said:?}");
        assert_eq!(started.stdout, b"");
    }
}

#[test]
fn settings_table_reaches_the_guest() {
    let herd = Herd::of_one().with_guest(Fixture::Picky).with("logic.mood=good");
    let _up = herd.up();
    assert_eq!(herd.client("Riley").ask("hello"), "picky: hello");
    let status = herd.herd(&["status"]);
    assert!(
        !String::from_utf8_lossy(&status.stdout).contains('\u{1b}'),
        "the name of a guest is escaped for the terminal"
    );
}

#[test]
fn inspect_gives_the_verdict_of_a_swap() {
    let herd = Herd::of_one();
    for fixture in [Fixture::OtherVersion, Fixture::OtherWorld, Fixture::Greedy] {
        let inspected = herd.herd(&["inspect", &fixture.path().display().to_string()]);
        assert_eq!(inspected.status.code(), Some(1));
        let said = String::from_utf8_lossy(&inspected.stdout);
        let (_, words) = refused(herd.scratch()).into_iter().find(|(guest, _)| guest == fixture.path()).unwrap();
        let words = words.strip_prefix("not checked: ").unwrap();
        assert!(said.contains(&format!("verdict  this host cannot run it: it {words}")), "{said}");
    }
    // What does not compile has a size and signatures all the same.
    let damaged = herd.scratch().write("damaged.wasm", DAMAGED);
    let inspected = herd.herd(&["inspect", &damaged.display().to_string()]);
    assert_eq!(inspected.status.code(), Some(1));
    let said = String::from_utf8_lossy(&inspected.stdout);
    assert!(said.starts_with("digest   ") && said.contains("\nsigned   no\n"), "{said}");
    assert!(said.contains("\nverdict  this host cannot run it: not compiled: "), "{said}");
}
