//! The batcher with a host that echoes lines and with sessions without sockets or tasks: time stands still, and a test runs the
//! batcher until its queue is empty.

use std::cell::{Cell, RefCell, RefMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use herd_model::{DecidedInputs, GenerationId, Reroute, Share, Side, Sides};
use herd_sdk::{Awaiting, Decision, Effect, FanOut, InputBatch, Keep, Moment, Progress, Reply};

use super::{BatchedSession, Batcher, INPUTS_MAX};
use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::rescues::RESCUES_MAX;
use crate::core::session_core::SessionCore;
use crate::core::topics::{SessionId, Topics};
use crate::host::Undecided;
use crate::limits::SessionLimits;
use crate::reporters::{Reporter, Reporters};
use crate::test_host::TestHost;

/// A node whose generations echo each line, and all fault on a call with the line `fault`. The first one also faults on `loop`. On `behind`
/// they keep a record behind their last input.
struct EchoHost {
    sides: Mutex<Sides>,
    /// The generation that decides.
    decides: Mutex<GenerationId>,
    /// Lines that it consumes per input at most, and what it awaits.
    lines_max: Mutex<usize>,
    awaits: Mutex<Awaiting>,
    /// Times that a line is in its reply.
    copies: Mutex<usize>,
    /// Calls for which there is no instance.
    calls_without_instance: AtomicUsize,
    /// Reroutes of the calls so far that had one.
    reroutes: Mutex<Vec<Reroute>>,
    /// The calls so far: their side and their inputs.
    calls: Mutex<Vec<(Side, Vec<String>)>>,
}

impl TestHost for EchoHost {
    fn split(&self) -> Sides {
        *self.sides.lock().unwrap()
    }

    fn on_inputs(&self, inputs: &InputBatch, side: Side, reroute: Option<Reroute>) -> Result<DecidedInputs, Undecided> {
        let left =
            self.calls_without_instance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            return Err(Undecided::NoInstance);
        }
        self.reroutes.lock().unwrap().extend(reroute);
        let texts: Vec<String> = inputs.iter().map(|input| String::from_utf8(input.bytes.into()).unwrap()).collect();
        self.calls.lock().unwrap().push((side, texts.clone()));
        if texts.iter().flat_map(|text| text.lines()).any(|line| line == "fault") {
            return Err(Undecided::Faulted);
        }
        let loops = texts.iter().flat_map(|text| text.lines()).any(|line| line == "loop");
        let keeps_behind = texts.iter().flat_map(|text| text.lines()).any(|line| line == "behind");
        let mut decision = Decision::default();
        for text in texts {
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let mut consumed = 0;
            for line in lines.take(*self.lines_max.lock().unwrap()) {
                let bytes = decision.copy(line.repeat(*self.copies.lock().unwrap()).as_bytes());
                decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
                consumed += line.len();
            }
            decision.effects.push(Effect::Done(Progress { consumed, awaits: *self.awaits.lock().unwrap() }));
        }
        if keeps_behind {
            let key = decision.copy(b"behind");
            decision.effects.push(Effect::Keep(Keep {
                key,
                rank: key,
                form: 1,
                bytes: key,
                fan_out: FanOut::Everyone,
            }));
        }
        let deciding = *self.decides.lock().unwrap();
        let by = if loops || reroute.is_some() { PREVIOUS } else { deciding };
        let rescued_from = (loops && reroute.is_none()).then_some(deciding);
        Ok(DecidedInputs { by, rescued_from, decision })
    }

    fn on_flush(&self) -> bool {
        true
    }
}

/// A session whose client reads its replies unless it stalls.
struct FakeSession {
    worker: Rc<Worker>,
    core: RefCell<SessionCore>,
    queued: Cell<bool>,
    stalls: Cell<bool>,
    deferred: Cell<bool>,
    replies: RefCell<Vec<u8>>,
}

impl FakeSession {
    fn receive(self: &Rc<Self>, bytes: &str) {
        self.core().conversation.input.extend(bytes.as_bytes());
        self.enqueue();
    }

    fn enqueue(self: &Rc<Self>) {
        assert!(!self.queued.replace(true), "a session is queued once");
        self.deferred.set(false);
        self.worker.batcher.enqueue(Rc::clone(self));
    }

    /// Does what a client and the task of a session do once the client reads again.
    fn unstall(self: &Rc<Self>) {
        self.stalls.set(false);
        self.finish_turn(self.deferred.get());
    }

    fn replies(&self) -> String {
        String::from_utf8(self.replies.borrow().clone()).unwrap()
    }

    fn is_closing(&self) -> bool {
        self.core().conversation.closing
    }
}

impl BatchedSession for FakeSession {
    fn id(&self) -> SessionId {
        self.core().conversation.id
    }

    fn core(&self) -> RefMut<'_, SessionCore> {
        self.core.borrow_mut()
    }

    fn on_dequeued(&self) {
        self.queued.set(false);
    }

    fn finish_turn(self: &Rc<Self>, more: bool) {
        let mut core = self.core();
        let conversation = &mut core.conversation;
        if !self.stalls.get() {
            self.replies.borrow_mut().extend_from_slice(conversation.replies.unwritten());
            let count = conversation.replies.unwritten().len();
            conversation.replies.mark_written(count);
        }
        self.deferred.set(more && !conversation.closing);
        let again = self.deferred.get() && conversation.has_reply_room(&self.worker.batcher.context);
        drop(core);
        if again {
            self.enqueue();
        }
    }
}

/// A worker without a task.
struct Worker {
    batcher: Batcher<EchoHost, FakeSession>,
    started: Instant,
}

impl Worker {
    fn new(canary: Option<&str>) -> Rc<Self> {
        Self::limited(canary, SessionLimits::default())
    }

    fn limited(canary: Option<&str>, limits: SessionLimits) -> Rc<Self> {
        let share = canary.map(|share| share.parse::<Share>().unwrap());
        let sides = Sides::new(GOOD);
        let host = EchoHost {
            sides: Mutex::new(share.map_or(sides, |share| sides.with_canary(ODD, share))),
            decides: Mutex::new(GOOD),
            lines_max: Mutex::new(usize::MAX),
            awaits: Mutex::new(Awaiting::Delimiter(b'\n')),
            copies: Mutex::new(1),
            calls: Mutex::default(),
            calls_without_instance: AtomicUsize::new(0),
            reroutes: Mutex::default(),
        };
        let limits = SessionLimits { output_kib_max: 1, ..limits };
        let context = Context::new(Arc::new(host), Arc::new(Topics::default()), limits);
        Rc::new(Self { batcher: Batcher::new(Arc::new(context)), started: Instant::now() })
    }

    fn session(self: &Rc<Self>, id: u64) -> Rc<FakeSession> {
        let conversation = Conversation::new(SessionId(id), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Rc::new(FakeSession {
            worker: Rc::clone(self),
            core: RefCell::new(SessionCore::new(conversation, self.started)),
            queued: Cell::new(false),
            stalls: Cell::new(false),
            deferred: Cell::new(false),
            replies: RefCell::default(),
        })
    }

    /// Makes one call, or as many as the faults of one take.
    fn decide_batch(&self) -> bool {
        self.batcher.decide_batch(Moment { now_ns: 0, random: (0, 0) }, self.started)
    }

    fn run(&self) {
        for _ in 0..CALLS_MAX {
            if self.batcher.is_empty() {
                return;
            }
            self.decide_batch();
        }
        panic!("the queue does not become empty");
    }

    /// Makes a generation first in line, and lets one decide that consumes some lines per input and then awaits this.
    fn serve(&self, first: GenerationId, decides: GenerationId, lines_max: usize, awaits: Awaiting) {
        let host = &self.batcher.context.host;
        *host.sides.lock().unwrap() = Sides::new(first);
        *host.decides.lock().unwrap() = decides;
        *host.lines_max.lock().unwrap() = lines_max;
        *host.awaits.lock().unwrap() = awaits;
    }

    /// Takes the calls since this was called last.
    fn calls(&self) -> Vec<(Side, Vec<String>)> {
        std::mem::take(&mut self.batcher.context.host.calls.lock().unwrap())
    }
}

fn active(inputs: &[&str]) -> (Side, Vec<String>) {
    (Side::Active, inputs.iter().map(ToString::to_string).collect())
}

#[test]
fn batcher_decides_several_sessions_in_one_call_in_order() {
    let worker = Worker::new(None);
    let sessions = [3, 1, 2].map(|id| worker.session(id));
    for session in &sessions {
        session.receive(&format!("line of {}\n", session.id().0));
    }
    worker.run();
    assert_eq!(worker.calls(), [active(&["line of 3\n", "line of 1\n", "line of 2\n"])]);
    for session in &sessions {
        assert_eq!(session.replies(), format!("line of {}\n", session.id().0));
    }
}

#[test]
fn batcher_makes_no_call_for_an_unfinished_line() {
    let worker = Worker::new(None);
    let session = worker.session(1);
    session.receive("li");
    worker.run();
    assert_eq!((worker.calls(), session.queued.get()), (vec![], false));
    session.receive("ne\n");
    worker.run();
    assert_eq!(worker.calls(), [active(&["line\n"])]);
}

/// Goal: a guest that keeps behind its last input, where no session is, ends no worker of a node that asks who may report. Method: the host
/// has no place for a record, and panics if one is kept.
#[test]
fn batcher_permits_no_keep_behind_the_last_input() {
    let everybody = Reporter { token_sha256: None, clients: vec!["*".into()] };
    let reporters = Reporters([("everybody".to_string(), everybody)].into());
    let worker = Worker::limited(None, SessionLimits { reporters, ..SessionLimits::default() });
    let session = worker.session(1);
    session.receive("behind\n");
    worker.run();
    assert_eq!(session.replies(), "behind\n");
}

#[test]
fn batcher_limits_the_inputs_of_a_call() {
    let worker = Worker::new(None);
    let sessions: Vec<_> = (0..=INPUTS_MAX as u64).map(|id| worker.session(id)).collect();
    sessions.iter().for_each(|session| session.receive("line\n"));
    worker.run();
    let counts: Vec<usize> = worker.calls().iter().map(|(_, inputs)| inputs.len()).collect();
    assert_eq!(counts, [INPUTS_MAX, 1]);
}

/// Goal: a line on which every generation faults costs its own session only, and no second batch.
#[test]
fn batcher_closes_only_the_session_whose_line_faults() {
    let worker = Worker::new(None);
    let [before, faulty, after, later] = [1, 2, 3, 4].map(|id| worker.session(id));
    before.receive("a\n");
    faulty.receive("b\nfault\nc\nd\n");
    after.receive("e\n");
    assert!(worker.decide_batch());
    // The first half was decided, and the session queued itself again for the rest.
    assert_eq!((faulty.replies().as_str(), faulty.queued.get()), ("b\n", true));
    later.receive("f\n");
    worker.run();
    for (session, replies) in [(&before, "a\n"), (&after, "e\n"), (&later, "f\n")] {
        assert_eq!((session.replies().as_str(), session.is_closing()), (replies, false));
    }
    assert_eq!((faulty.replies().as_str(), faulty.is_closing()), ("b\n", true));
    let calls = worker.calls();
    let shared =
        calls.iter().filter(|(_, inputs)| inputs.iter().any(|input| input.contains("fault")) && inputs.len() > 1);
    assert_eq!(shared.count(), 1, "the session is isolated after the first fault: {calls:?}");
}

#[test]
fn batcher_ends_isolation_once_the_suspected_input_is_decided() {
    let worker = Worker::new(None);
    let [first, second] = [1, 2].map(|id| worker.session(id));
    first.receive("a\nfault\n");
    assert!(worker.decide_batch());
    assert!(first.core().isolated);
    first.core().conversation.input.clear();
    first.core().conversation.input.extend(b"b\n");
    worker.run();
    assert!(!first.core().isolated);
    worker.calls();
    first.receive("c\n");
    second.receive("d\n");
    worker.run();
    assert_eq!(worker.calls(), [active(&["c\n", "d\n"])]);
}

#[test]
fn batcher_separates_calls_of_canary_and_active_sessions() {
    let worker = Worker::new(Some("50%"));
    let sides = worker.batcher.context.host.split();
    let ids = |side| (0..).filter(move |&id| sides.of(id) == side).take(3);
    let (active_ids, canary_ids): (Vec<u64>, Vec<u64>) = (ids(Side::Active).collect(), ids(Side::Canary).collect());
    let order = [active_ids[0], active_ids[1], canary_ids[0], active_ids[2], canary_ids[1], canary_ids[2]];
    let sessions = order.map(|id| worker.session(id));
    for (session, line) in sessions.iter().zip(["a\n", "b\n", "c\n", "d\n", "e\n", "f\n"]) {
        session.receive(line);
    }
    worker.run();
    let canary = |inputs: &[&str]| (Side::Canary, inputs.iter().map(ToString::to_string).collect());
    // In order of arrival, although `d` could join `a` and `b`: a session is never overtaken by the other side.
    assert_eq!(worker.calls(), [active(&["a\n", "b\n"]), canary(&["c\n"]), active(&["d\n"]), canary(&["e\n", "f\n"])]);
}

#[test]
fn batcher_defers_a_session_whose_replies_are_full() {
    let worker = Worker::new(None);
    let [full, other] = [1, 2].map(|id| worker.session(id));
    full.stalls.set(true);
    full.core().conversation.replies.push(&[b'x'; 1024]);
    full.receive("a\n");
    other.receive("b\n");
    worker.run();
    assert_eq!(worker.calls(), [active(&["b\n"])]);
    assert!(full.deferred.get() && !full.queued.get(), "it waits for its client");
    full.unstall();
    worker.run();
    assert_eq!(worker.calls(), [active(&["a\n"])]);
    assert!(full.replies().ends_with("xa\n"));
}

/// Goal: what a generation awaits is forgotten with it. Otherwise the bytes that it saw would wait for what it awaited, and input
/// over the limit that it asked for would be answered as a line over the limit.
#[test]
fn generation_change_offers_the_rest_from_its_start() {
    for awaits in [Awaiting::Delimiter(0xff), Awaiting::Bytes(10_000), Awaiting::Bytes(1 << 30)] {
        let worker = Worker::new(None);
        worker.serve(ODD, ODD, 0, awaits);
        let session = worker.session(1);
        session.receive("a\nb");
        worker.run();
        assert_eq!((worker.calls(), session.replies().as_str()), (vec![active(&["a\nb"])], ""));
        worker.serve(GOOD, GOOD, usize::MAX, NEWLINE);
        session.enqueue();
        worker.run();
        assert_eq!((worker.calls(), session.replies().as_str()), (vec![active(&["a\nb"])], "a\n"), "{awaits:?}");
        session.receive("\n");
        worker.run();
        assert_eq!((session.replies().as_str(), session.is_closing()), ("a\nb\n", false), "{awaits:?}");
    }
}

#[test]
fn generation_change_offers_the_rest_once() {
    let worker = Worker::new(None);
    worker.serve(ODD, ODD, 0, Awaiting::Bytes(10_000));
    let session = worker.session(1);
    session.receive("a\n");
    worker.run();
    worker.serve(GOOD, GOOD, 0, NEWLINE);
    for _ in 0..3 {
        session.enqueue();
        worker.run();
    }
    assert_eq!(worker.calls(), [active(&["a\n"]), active(&["a\n"])], "once to each generation");
}

#[test]
fn generation_change_by_a_rescue_offers_the_rest_from_its_start() {
    let worker = Worker::new(None);
    worker.serve(ODD, GOOD, 1, Awaiting::Bytes(10_000));
    let session = worker.session(1);
    session.receive("a\nb\nc");
    worker.run();
    assert_eq!(worker.calls(), [active(&["a\nb\nc"]), active(&["b\nc"])]);
    // The fallback consumes nothing: the first in line has just been offered the same bytes.
    worker.serve(ODD, GOOD, 0, Awaiting::Bytes(10_000));
    session.receive("\n");
    worker.run();
    assert_eq!(worker.calls(), [active(&["c\n"])]);
    worker.serve(ODD, GOOD, usize::MAX, NEWLINE);
    session.receive("d\n");
    worker.run();
    assert_eq!(session.replies(), "a\nb\nc\nd\n");
}

#[test]
fn generation_change_offers_a_session_of_a_canary_again_when_it_ends() {
    let worker = Worker::new(Some("100%"));
    *worker.batcher.context.host.decides.lock().unwrap() = ODD;
    *worker.batcher.context.host.lines_max.lock().unwrap() = 0;
    let session = worker.session(1);
    session.receive("a\n");
    worker.run();
    worker.serve(GOOD, GOOD, usize::MAX, NEWLINE);
    session.enqueue();
    worker.run();
    assert_eq!(session.replies(), "a\n");
}

/// Goal: a session exceeds the limit of its output by one window, and not by as much again with each further one. Method: replies
/// that are a hundred times as long as their lines.
#[test]
fn batcher_takes_less_of_a_session_whose_input_expands() {
    let worker = Worker::new(None);
    *worker.batcher.context.host.copies.lock().unwrap() = 100;
    let session = worker.session(1);
    session.receive(&"1234567\n".repeat(1000));
    worker.run();
    let windows: Vec<usize> = worker.calls().iter().map(|(_, inputs)| inputs[0].len()).collect();
    assert_eq!(windows[..3], [4096, 64, 64], "half of a KiB of output is acceptable");
    *worker.batcher.context.host.copies.lock().unwrap() = 1;
    session.receive(&"1234567\n".repeat(40));
    worker.run();
    let windows: Vec<usize> = worker.calls().iter().map(|(_, inputs)| inputs[0].len()).collect();
    assert_eq!(windows, [64, 128, 128], "it recovers");
}

/// Goal: a host without room for an instance ends no session and loses no line. Method: two calls without one.
#[test]
fn batcher_keeps_input_for_which_there_is_no_instance() {
    let worker = Worker::new(None);
    let [first, second] = [1, 2].map(|id| worker.session(id));
    worker.batcher.context.host.calls_without_instance.store(2, Ordering::Relaxed);
    first.receive("a\n");
    second.receive("b\n");
    assert_eq!([worker.decide_batch(), worker.decide_batch(), worker.decide_batch()], [false, false, true]);
    for (session, line) in [(&first, "a\n"), (&second, "b\n")] {
        assert_eq!((session.replies().as_str(), session.is_closing()), (line, false));
    }
    assert_eq!(worker.calls(), [active(&["a\n", "b\n"])]);
}

/// Goal: a line on which the active guest loops does not cost a deadline for ever, and costs only its session.
#[test]
fn batcher_reroutes_a_session_whose_input_is_rescued_again_and_again() {
    let worker = Worker::new(None);
    let [faulty, other] = [1, 2].map(|id| worker.session(id));
    for _ in 0..100 {
        faulty.receive("loop\n");
        worker.run();
        other.receive("line\n");
        worker.run();
    }
    let reroutes = worker.batcher.context.host.reroutes.lock().unwrap().clone();
    assert_eq!(reroutes, vec![Reroute { from: GOOD, to: PREVIOUS }; 100 - RESCUES_MAX as usize]);
    assert!(!faulty.is_closing() && !other.is_closing());
}

const NEWLINE: Awaiting = Awaiting::Delimiter(b'\n');
const GOOD: GenerationId = GenerationId(1);
const ODD: GenerationId = GenerationId(2);
const PREVIOUS: GenerationId = GenerationId(0);
/// Batches after which a test gives up.
const CALLS_MAX: usize = 100;
