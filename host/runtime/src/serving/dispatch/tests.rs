//! Tests of dispatch, with guests that fault on what the test sends them.

use std::sync::mpsc::channel;

use herd_model::{GenerationId, GuestFiles, Listener, Reroute, Side, SwapOptions};
use herd_recording::Call;
use herd_sdk::Outcome;

use super::{Faulted, Request};
use crate::cases::collector::{CaseCollector, SavedCase};
use crate::engine::engine::Engine;
use crate::sandbox::fault::Fault;
use crate::sandbox::limits::Limits;
use crate::serving::probation::SwapLimits;
use crate::serving::registry::GenerationRegistry;
use crate::test_guest::{NOW, TestGuest, generations, generations_on, lines, output};

/// The response of an upstream.
const RESPONSE: Outcome<'static> = Outcome::Answered { status: 200, body: b"[0,0,0]" };
/// Instructions that trap on a response, and decide a failure.
const TRAP_ON_RESPONSE: &str = "(if (i32.eqz (local.get $failed)) (then unreachable))";

/// Decides a response with the active generation, and returns its output.
fn answer(generations: &GenerationRegistry) -> Option<Vec<u8>> {
    generations.answer(GenerationId(2), NOW, 1, b"token", b"otherwise", RESPONSE).ok().map(|decision| decision.output)
}

#[test]
fn answer_on_which_its_guest_faults_is_decided_as_incomplete() {
    let active = TestGuest::new("active").on_answer(TRAP_ON_RESPONSE);
    let generations = generations(&active, Some(&TestGuest::new("previous")), SwapLimits::default());
    assert_eq!(answer(&generations).as_deref(), Some(&b"active\n"[..]));
}

#[test]
fn answer_is_undecided_if_its_guest_faults_on_a_failure_too() {
    let active = TestGuest::new("active").on_answer("unreachable");
    let generations = generations(&active, Some(&TestGuest::new("previous")), SwapLimits::default());
    assert_eq!(answer(&generations), None);
}

/// Goal: an upstream whose responses no guest can take does not send back a good swap, and a guest that cannot take what
/// others can is still sent back. Method: more faulty answers than a probation allows, with either kind of previous guest.
#[test]
fn answer_fault_counts_if_another_generation_survives_the_same_call() {
    let active = TestGuest::new("active").on_answer(TRAP_ON_RESPONSE);
    let limits = SwapLimits::default();
    for (previous, rolls_back) in
        [(TestGuest::new("previous").on_answer(TRAP_ON_RESPONSE), false), (TestGuest::new("previous"), true)]
    {
        let generations = generations(&active, Some(&previous), limits.clone());
        let before = generations.digests().0;
        (0..limits.faults_max - 1).for_each(|_| drop(answer(&generations)));
        assert_eq!(generations.digests().0, before, "one fault is missing");
        answer(&generations);
        assert_eq!(generations.digests().0 != before, rolls_back);
    }
}

/// Goal: a pool without room is no fault of a guest, and the guest that serves gets the room. Method: a pool for three
/// instances, of which the checks of two generations leave one.
#[test]
fn dispatch_makes_room_for_the_guest_that_serves_and_blames_none() {
    let engine = Engine::make(Limits::default(), 3, None).unwrap();
    let active = TestGuest::new("active").on_boom("unreachable");
    let generations = generations_on(&engine, &active, Some(&TestGuest::new("previous")), SwapLimits::default());
    let decide = |line| output(generations.inputs(NOW, &lines(&[line]), &[], Side::Active, None));
    for _ in 0..2 {
        assert_eq!(decide("hello\n").as_deref(), Ok("active\n"));
        assert_eq!(decide("BOOM\n").as_deref(), Ok("previous\n"));
    }
    assert_eq!(generations.status().active.faults, 2);
}

/// Goal: an input is not blamed for a host without room. Method: a pool without any.
#[test]
fn dispatch_tells_a_missing_instance_from_a_fault() {
    let engine = Engine::make(Limits::default(), 2, None).unwrap();
    let generations =
        generations_on(&engine, &TestGuest::new("active"), Some(&TestGuest::new("previous")), SwapLimits::default());
    let undecided = generations.inputs(NOW, &lines(&["hello\n"]), &[], Side::Active, None).unwrap_err();
    assert_eq!(undecided.kind(), "no-instance");
    let status = generations.status();
    assert_eq!((status.active.faults, status.previous.unwrap().faults), (0, 0));
}

/// Goal: a call for which only the host had no room leaves no case and counts as no rescue. Method: such a call, then one on which
/// the same guest faults. Calls become cases in their order, and the first case is the second call's.
#[test]
fn dispatch_saves_no_case_of_a_generation_without_an_instance() {
    let active = TestGuest::new("active").on_boom("unreachable");
    let generations = generations(&active, Some(&TestGuest::new("previous")), SwapLimits::default());
    let (directory, (saved, cases)) = (tempfile::tempdir().unwrap(), channel());
    let tell = move |case: &SavedCase| {
        let _ = saved.send(case.fault.kind());
    };
    assert!(generations.cases.set(CaseCollector::start(directory.path(), "Riley", tell).unwrap()).is_ok());
    let (snapshot, inputs) = (generations.snapshot.load_full(), lines(&["BOOM\n"]));
    let faulted = [Faulted { generation: &snapshot.active, fault: Fault::NoInstance("no room".into()), reads: vec![] }];
    let previous = snapshot.previous.as_ref().unwrap();
    let call = Call::Inputs(&inputs);
    let request = Request { at: NOW, call: &call, sessions: &[], listener: Listener::Clients };
    assert!(!generations.record_rescue(&snapshot, &request, &faulted, previous, &[]));
    assert_eq!(generations.status().rescued, 0);
    generations.inputs(NOW, &inputs, &[], Side::Active, None).unwrap();
    assert_eq!(generations.status().rescued, 1);
    assert_eq!(cases.recv(), Ok("trap"));
}

/// Goal: input on which the active guest faults costs one call once its session is rerouted, and other sessions keep the guest.
#[test]
fn dispatch_asks_the_generation_of_a_reroute_first() {
    let active = TestGuest::new("active").on_boom("unreachable");
    let generations = generations(&active, Some(&TestGuest::new("previous")), SwapLimits::default());
    let decide = |line, reroute| generations.inputs(NOW, &lines(&[line]), &[], Side::Active, reroute).unwrap();
    let rescued = decide("BOOM\n", None);
    assert_eq!((rescued.by, rescued.rescued_from), (GenerationId(1), Some(GenerationId(2))));
    let reroute = Some(Reroute { from: GenerationId(2), to: GenerationId(1) });
    for line in ["BOOM\n", "hello\n"] {
        let rerouted = decide(line, reroute);
        assert_eq!((rerouted.by, rerouted.rescued_from), (GenerationId(1), None));
    }
    assert_eq!(generations.status().active.faults, 1);
    assert_eq!(decide("hello\n", None).by, GenerationId(2));
    // Another generation is first in line by now: it has not faulted.
    let outdated = Some(Reroute { from: GenerationId(3), to: GenerationId(1) });
    assert_eq!(decide("hello\n", outdated).by, GenerationId(2));
}

/// Goal: lines of classic links are decided with a setting that names their listener, and repeated nowhere with other settings. Method: the
/// number of instances, and a recorder and counters that see the calls of clients only.
#[test]
fn dispatch_decides_lines_of_classic_links_on_instances_of_their_own() {
    let generations = generations(&TestGuest::new("active"), None, SwapLimits::default());
    let made = || generations.resources().0.made;
    let before = made();
    generations.serve_classic().unwrap();
    assert_eq!(made(), before + 1, "checked at once");
    generations.classic_inputs(NOW, &lines(&["hello\n"]), Side::Active, None).unwrap();
    let inputs = || generations.decision_counts()[0].inputs;
    assert_eq!((generations.recorder.calls().len(), inputs()), (0, 0));
    generations.inputs(NOW, &lines(&["hello\n"]), &[], Side::Active, None).unwrap();
    assert_eq!((generations.recorder.calls().len(), inputs()), (1, 1));
}

/// Goal: a guest that cannot decide for a listener of the node does not serve. Method: one that faults on the setting, at the start and as a
/// candidate.
#[test]
fn dispatch_refuses_a_guest_that_refuses_the_setting_of_classic_links() {
    let refusing = TestGuest::new("refusing").on_configure("(if (local.get 3) (then unreachable))");
    let refused = generations(&refusing, None, SwapLimits::default()).serve_classic().unwrap_err();
    assert!(
        refused.to_string().contains("not checked: trapped") && refused.to_string().contains("classic links"),
        "{refused}"
    );
    let serving = generations(&TestGuest::new("active"), None, SwapLimits::default());
    serving.serve_classic().unwrap();
    let files = GuestFiles { guest: &refusing.bytes(), transcripts: None, signatures: None };
    assert!(serving.prepare(files, SwapOptions::default()).is_err());
    assert!(
        serving
            .prepare(
                GuestFiles { guest: &TestGuest::new("other").bytes(), transcripts: None, signatures: None },
                SwapOptions::default()
            )
            .is_ok()
    );
}
