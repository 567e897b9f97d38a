//! Guests that fault in a call: the effect on the line, the session, the node and the log.
//!
//! [`wrong`] classifies every fixture, so that no fixture is left without a test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herd_runtime::{ComponentDecider, Engine, Limits, Warmth};
use herd_sdk::native::{Decider, MemoryRecords};
use herd_sdk::{Input, Mark, Moment, Settings};
use herd_tests::{DEFAULT_GUEST, Fixture, Herd};

/// Kind of misbehaviour of a fixture, which decides the tests that cover it.
pub(crate) enum Wrong {
    /// Faults on each of these lines, with these words in the message.
    OnLines(&'static [(&'static str, &'static str)]),
    /// Looks for capabilities that it was not granted.
    Curious,
    /// Faults on the answers to its fetches.
    OnAnswers,
    /// Refuses or faults on reports from peers: `reports.rs`.
    OnReports,
    /// Faults on nothing and consumes nothing: `rehearsals.rs`.
    NeverDone,
    /// Faults on a record that it looks up: `cases_saved.rs`.
    OnRecords,
    /// Faults on a small share of ordinary lines: `tests/show/swap`.
    NowAndThen,
    /// Answers in another format: `shadows.rs`.
    InItsFormat,
    /// Writes its records in another form: `forms.rs`.
    InItsForm,
    /// Cannot serve at all: `refusals.rs`.
    AtTheSwap,
    /// Has a bug that only a herd shows: `simulations.rs`, and `tests/show/guests`.
    InAHerd,
}

/// Classifies a fixture. The match is exhaustive and the tests iterate over [`Fixture::ALL`], so a new fixture cannot go untested.
pub(crate) fn wrong(fixture: Fixture) -> Wrong {
    match fixture {
        Fixture::Exiter => Wrong::OnLines(&[("BOOM", "exited")]),
        Fixture::Flood | Fixture::Forever => Wrong::OnLines(&[("BOOM", "missed its deadline")]),
        Fixture::Hog => Wrong::OnLines(&[("BOOM", "passed its memory cap")]),
        Fixture::Liar => Wrong::OnLines(LIES),
        Fixture::Recursion => Wrong::OnLines(&[("BOOM", "recursed too deeply")]),
        Fixture::Sleeper => Wrong::OnLines(&[("BOOM", "slept")]),
        Fixture::Trap => Wrong::OnLines(&[("BOOM", "the bottom fell out")]),
        Fixture::Peeker => Wrong::Curious,
        Fixture::Ungrateful => Wrong::OnAnswers,
        Fixture::Refuser => Wrong::OnReports,
        Fixture::Grudge => Wrong::OnRecords,
        Fixture::Hoarder => Wrong::NeverDone,
        Fixture::Rounder => Wrong::InItsFormat,
        Fixture::Stumbler => Wrong::NowAndThen,
        Fixture::SecondForm | Fixture::NoWayBack | Fixture::NoWayIn | Fixture::TrapOnUpgrade | Fixture::UnsaidForm => {
            Wrong::InItsForm
        }
        Fixture::Greedy | Fixture::OtherVersion | Fixture::OtherWorld | Fixture::Picky | Fixture::Stillborn => {
            Wrong::AtTheSwap
        }
        Fixture::PlantedEarlyReply
        | Fixture::PlantedFetchLoop
        | Fixture::PlantedHiddenCounter
        | Fixture::PlantedLossyForm
        | Fixture::PlantedLostByte
        | Fixture::PlantedLostFallback
        | Fixture::PlantedNodeRank
        | Fixture::PlantedOldReports
        | Fixture::PlantedOwnClock
        | Fixture::PlantedRefusedOthers
        | Fixture::PlantedStaleWatch
        | Fixture::PlantedTimesAsText => Wrong::InAHerd,
    }
}

const LIES: &[(&str, &str)] = &[
    ("BOOM consumed", "consumed 15 of 14 bytes"),
    ("BOOM awaits", "awaits 0 more bytes"),
    ("BOOM output", "8388609 bytes of output, over the limit of 8388608"),
    ("BOOM effects", "8193 effects, over the limit of 8192"),
    ("BOOM span", "effect 1 points outside of the output"),
    ("BOOM tie", "effect 1 is tied to a keep that does not precede it"),
    ("BOOM later-tie", "effect 1 is tied to a keep that does not precede it"),
    ("BOOM publish", "effect 1 is tied to a keep that does not precede it"),
    ("BOOM key", "effect 2 has a key of 65537 bytes, which must be 1 byte to 64 KiB"),
    ("BOOM no-key", "effect 1 has a key of 0 bytes, which must be 1 byte to 64 KiB"),
    ("BOOM rank", "effect 1 has a rank of 65 bytes, which must be at most 64 bytes"),
    ("BOOM record", "effect 1 has a record of 131073 bytes, which must be at most 128 KiB"),
    ("BOOM fan-out", "effect 1 has a list of peers of 4097 bytes, which must be at most 4 KiB"),
    ("BOOM token", "effect 1 has a token of 4097 bytes, which must be at most 4 KiB"),
    ("BOOM topic", "effect 1 has a topic of 0 bytes, which must be 1 byte to 64 KiB"),
    ("BOOM words", "effect 2 cannot be decoded"),
    ("BOOM look-up", "a key of 65537 bytes is over the limit of 65536"),
    ("BOOM undone", "0 of 1 inputs are done"),
    ("BOOM refuse", "effect 1 refuses a report, but the call has none"),
];

/// The fixtures that fault on lines, each with its name and those lines.
fn on_lines() -> impl Iterator<Item = (Fixture, String, &'static [(&'static str, &'static str)])> {
    Fixture::ALL.into_iter().filter_map(|fixture| match wrong(fixture) {
        Wrong::OnLines(lines) => Some((fixture, name(fixture), lines)),
        _ => None,
    })
}

/// Prefix of a fixture's echo, which is its file name.
fn name(fixture: Fixture) -> String {
    fixture.path().file_stem().unwrap().to_string_lossy().into_owned()
}

/// Goal: a fault reports its kind, and the next call runs on a fresh instance. Method: the component alone, without a node.
#[test]
fn fault_names_its_kind_and_costs_only_its_instance() {
    // Faults such as the memory cap need some processor time; with a tight deadline they would become deadline faults.
    let engine = Engine::new(Limits { deadline: Duration::from_millis(200), ..Limits::default() }).unwrap();
    for (fixture, name, lines) in on_lines() {
        let mut decider = decider(&engine, fixture, Warmth::Warm);
        for (line, words) in lines {
            let fault = ask(&mut decider, line).unwrap_err();
            assert!(fault.contains(words), "{name}: {line}: {fault}");
            assert_eq!(ask(&mut decider, "hello").as_deref(), Ok(&*format!("{name}: hello\n")), "{line}");
        }
    }
}

/// Goal: without a previous generation a fault ends its own session and nothing else. Method: a node that starts with the guest,
/// and sessions opened before, during and after the fault.
#[test]
fn fault_without_a_previous_generation_ends_only_its_session() {
    for (fixture, name, lines) in on_lines() {
        let herd = Herd::of_one().with_guest(fixture);
        let mut up = herd.up();
        let mut before = herd.client("Riley");
        assert_eq!(before.ask("hello"), format!("{name}: hello"));
        for (line, _) in lines {
            let mut victim = herd.client("Riley");
            assert_eq!(victim.ask("here I am"), format!("{name}: here I am"));
            victim.send(format!("{line}\n"));
            assert_eq!(victim.rest(), b"", "{name}: {line}");
            assert_eq!(before.ask("and I"), format!("{name}: and I"), "{line}");
            assert_eq!(herd.client("Riley").ask("new"), format!("{name}: new"), "{line}");
        }
        assert_eq!(herd.status("Riley")["generations"]["active"]["faults"], lines.len(), "{name}");
        up.await_log(&["WARN", "the active generation faulted", lines[0].1]);
        assert!(up.is_running());
    }
}

/// Goal: the previous generation decides an input on which the active one faults, and the client gets its answer. Method: one
/// node and a session per faulting line; each guest is swapped in over the default one. Rehearsal is off, because it would refuse a
/// guest for the faulting lines sent to the guest before it, and so is probation, which would roll the guest back.
#[test]
fn fault_is_rescued_by_the_previous_generation() {
    let herd = Herd::of_one().with("swap.probation_s=0");
    let mut up = herd.up();
    let mut session = herd.client("Riley");
    let mut rescued = 0;
    for (fixture, name, lines) in on_lines() {
        herd.swap(DEFAULT_GUEST, &[]).unwrap();
        herd.swap_with(fixture, &["--unrehearsed"]).unwrap();
        assert_eq!(session.ask("hello"), format!("{name}: hello"));
        for (line, _) in lines {
            // A session each: one that provokes more than eight faults is rerouted.
            let mut faulting = herd.client("Riley");
            assert_eq!(faulting.ask(line), format!("? {line}"), "{name}");
            assert_eq!(faulting.ask("hello"), format!("{name}: hello"), "{line}");
        }
        rescued += lines.len();
        let generations = &herd.status("Riley")["generations"];
        assert_eq!(generations["active"]["faults"], lines.len(), "{name}");
        assert_eq!(generations["previous"]["faults"], 0, "{name}");
        assert_eq!(generations["rescued"], rescued, "{name}");
    }
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(session.ask("hello"), "? hello");
    assert!(up.is_running());
}

/// The previous generation decides the whole call again: all lines of the packet, not only the one that faulted.
#[test]
fn rescue_decides_the_whole_call_in_order() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap(Fixture::Trap, &[]).unwrap();
    let mut kiwi = herd.client("Riley");
    kiwi.send("IAMAT kiwi +34-118 1\nBOOM\nIAMAT kiwi +35-118 2\n");
    let answers = [kiwi.line(), kiwi.line(), kiwi.line()];
    assert!(answers[0].starts_with("AT Riley ") && answers[0].ends_with(" kiwi +34-118 1"), "{answers:?}");
    assert_eq!(answers[1], "? BOOM");
    assert!(answers[2].ends_with(" kiwi +35-118 2"), "{answers:?}");
    assert_eq!(herd.status("Riley")["records"]["keys"], 1, "the effects of the previous generation were performed");
}

/// Goal: a fault in a batch costs no other session of the batch anything. Method: a guest that loops until its deadline blocks
/// the only worker, so the lines that many sessions send meanwhile are decided in one call, which holds a second looping line.
/// No previous generation exists that could decide it.
#[test]
fn fault_in_a_batch_of_sessions_costs_the_other_sessions_nothing() {
    let herd = Herd::of_one().with_guest(Fixture::Forever).with("runtime.workers=1").with("runtime.deadline_ms=300");
    let _up = herd.up();
    let (mut first, mut second) = (herd.client("Riley"), herd.client("Riley"));
    let mut others: Vec<_> = (0..40).map(|_| herd.client("Riley")).collect();
    assert_eq!(others[0].ask("all"), "forever: all");
    first.send("BOOM\n");
    for (number, other) in others.iter_mut().enumerate() {
        if number == 20 {
            second.send("before\nBOOM\nafter\n");
        }
        other.send(format!("hello {number}\n"));
    }
    for (number, other) in others.iter_mut().enumerate() {
        assert_eq!(other.line(), format!("forever: hello {number}"));
        assert_eq!(other.ask("still"), "forever: still");
    }
    assert_eq!(first.rest(), b"");
    assert_eq!(second.rest(), b"forever: before\n", "the session ends at the line on which the only guest faults");
}

#[test]
fn fault_on_an_answer_sends_the_fallback_reply_and_keeps_the_session() {
    for fixture in Fixture::ALL.into_iter().filter(|&fixture| matches!(wrong(fixture), Wrong::OnAnswers)) {
        let name = name(fixture);
        let herd = Herd::of_one().with_guest(fixture);
        let _up = herd.up();
        let mut session = herd.client("Riley");
        session.send("BOOM\nhello\n");
        assert_eq!([session.line(), session.line()], ["otherwise".to_string(), format!("{name}: hello")]);
        assert_eq!(session.ask("still there"), format!("{name}: still there"));
        let faults = &herd.status("Riley")["generations"]["active"]["faults"];
        assert_eq!(*faults, 2, "on the response, and on the failure in its place");
    }
}

#[test]
fn sandbox_grants_no_access_to_its_surroundings() {
    for fixture in Fixture::ALL.into_iter().filter(|&fixture| matches!(wrong(fixture), Wrong::Curious)) {
        let herd = Herd::of_one().with_guest(fixture);
        let _up = herd.up();
        let mut session = herd.client("Riley");
        for sense in ["files", "environment", "arguments", "input", "network", "threads", "clock"] {
            assert_eq!(session.ask(&format!("BOOM {sense}")), "found 0: []", "{sense}");
        }
        assert_eq!(
            herd.status("Riley")["generations"]["active"]["faults"],
            0,
            "the guest looked around without a fault"
        );
    }
}

#[test]
fn sandbox_randomness_repeats_in_every_fresh_instance() {
    let engine = Engine::new(Limits::default()).unwrap();
    let mut decider = decider(&engine, Fixture::Peeker, Warmth::Fresh);
    let first = ask(&mut decider, "BOOM chance").unwrap();
    assert!(first.starts_with("found 1: "), "{first}");
    assert_eq!(ask(&mut decider, "BOOM chance"), Ok(first));
}

/// Goal: guest output reaches the log escaped, so that it cannot control a terminal, and truncated.
#[test]
fn guest_output_becomes_log_lines_escaped_and_truncated() {
    let herd = Herd::of_one().with_guest(Fixture::Flood);
    let up = herd.up();
    let mut session = herd.client("Riley");
    assert_eq!(session.ask("BOOM ONCE"), "said");
    let line = up.await_log(&["the flood"]);
    assert!(line.contains("\\u{1b}[2J\\u{7} the flood é"), "{line}");
    assert!(line.len() < 2048, "{} bytes of 20,000", line.len());
    for guest in [Path::new(DEFAULT_GUEST), Fixture::Trap.path()] {
        herd.swap_with(guest, &["--unrehearsed"]).unwrap();
    }
    assert_eq!(session.ask("BOOM"), "? BOOM");
    up.await_log(&["WARN", "the bottom fell out"]);
    assert!(!up.log().contains('\u{1b}'));
}

/// Goal: a guest cannot fill the disk. Method: a guest that prints without end, and one that panics with a message, each called
/// many times. Every fault replaces the instance, and the rate limit must survive that.
#[test]
fn guest_output_is_rate_limited_across_faults() {
    const BOOMS: usize = 100;
    for (fixture, words) in [(Fixture::Flood, "a drop in the flood"), (Fixture::Trap, "the bottom fell out")] {
        let herd = Herd::of_one().with_guest(fixture);
        let up = herd.up();
        let began = std::time::Instant::now();
        for _ in 0..BOOMS {
            let mut victim = herd.client("Riley");
            victim.send("BOOM\n");
            assert_eq!(victim.rest(), b"");
        }
        // The limit is per second; the first and the last window are partial, hence two more.
        let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
        let lines = up.log().lines().filter(|line| line.contains(words)).count();
        assert!(lines <= seconds * LINES_PER_SECOND_MAX, "{lines} lines in {seconds} s");
        assert!(lines > 0);
        assert_eq!(
            herd.status("Riley")["generations"]["active"]["faults"],
            BOOMS,
            "the status counts faults that the log omits"
        );
    }
}

fn decider(engine: &Arc<Engine>, fixture: Fixture, warmth: Warmth) -> ComponentDecider {
    let component = std::fs::read(fixture.path()).unwrap();
    ComponentDecider::load(engine, &component, Settings::default(), Arc::new(MemoryRecords::default()), warmth).unwrap()
}

/// Returns the output of one call, or the text of its fault.
fn ask(decider: &mut ComponentDecider, line: &str) -> Result<String, String> {
    let input = format!("{line}\n");
    let decided = decider.input(Moment::default(), Input { bytes: input.as_bytes(), mark: Mark::More });
    let decision = decided.map_err(|fault| fault.to_string())?;
    Ok(String::from_utf8(decision.output).unwrap())
}

/// Log lines per second that the host permits for guest output and guest faults together.
const LINES_PER_SECOND_MAX: usize = 100;
