//! Dialogues with a node whose records are confirmed when a test says so. Time is an argument.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herd_model::{Confirmation, DecidedInputs, FetchAnswer, GenerationId, Keeping, Kept, Reign, Reroute, Side, Ticket};
use herd_sdk::{
    Awaiting, Decision, Effect, FanOut, Fetch, InputBatch, Keep, Method, Moment, Progress, Publish, Reply, Tie,
};

use super::Dialogue;
use crate::core::dialogues::Dialogues;
use crate::core::topics::Topics;
use crate::host::{KeepRequest, Undecided};
use crate::limits::SessionLimits;
use crate::test_host::{CONFIRMATION_TIMEOUT, TestHost};

/// A node that keeps the name in `keep NAME`, fetches for `fetch NAME` and keeps that too, subscribes at `subscribe`, and echoes
/// other lines. The ticket of the first keep has position 1, that of the second 2.
#[derive(Default)]
struct LogHost {
    kept: AtomicU64,
    /// Confirmations by position; the others are pending.
    confirmations: Mutex<HashMap<u64, Confirmation>>,
}

impl LogHost {
    fn settle(&self, position: u64, confirmation: Confirmation) {
        self.confirmations.lock().unwrap().insert(position, confirmation);
    }
}

fn keep(decision: &mut Decision, name: &str, number: u32) {
    let (key, empty) = (decision.copy(name.as_bytes()), decision.copy(b""));
    let (reply, otherwise) =
        (decision.copy(format!("AT {name}\n").as_bytes()), decision.copy(format!("? {name}\n").as_bytes()));
    let topic = decision.copy(b"topic");
    let effects = &mut decision.effects;
    effects.push(Effect::Keep(Keep { key, rank: empty, form: 1, bytes: key, fan_out: FanOut::Everyone }));
    effects.push(Effect::Publish(Publish { topic, bytes: key, tie: Some(number) }));
    effects.push(Effect::Reply(Reply { bytes: reply, tie: Some(Tie { keep: number, otherwise }) }));
}

impl TestHost for LogHost {
    fn on_inputs(&self, inputs: &InputBatch, _: Side, _: Option<Reroute>) -> Result<DecidedInputs, Undecided> {
        let (mut decision, mut keeps) = (Decision::default(), 0);
        for input in inputs.iter() {
            let text = String::from_utf8(input.bytes.into()).unwrap();
            let mut consumed = 0;
            for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                match line.trim_end().split_once(' ') {
                    Some(("keep", name)) => {
                        keep(&mut decision, name, keeps);
                        keeps += 1;
                    }
                    Some(("fetch", name)) => {
                        let (name, empty) = (decision.copy(name.as_bytes()), decision.copy(b""));
                        decision.effects.push(Effect::Fetch(Fetch {
                            upstream: name,
                            method: Method::Get,
                            path: empty,
                            body: empty,
                            token: name,
                            otherwise: name,
                        }));
                    }
                    Some(("subscribe", topic)) => {
                        let topic = decision.copy(topic.as_bytes());
                        decision.effects.push(Effect::Subscribe(topic));
                    }
                    _ => {
                        let bytes = decision.copy(line.as_bytes());
                        decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
                    }
                }
                consumed += line.len();
            }
            decision.effects.push(Effect::Done(Progress { consumed, awaits: Awaiting::Delimiter(b'\n') }));
        }
        Ok(DecidedInputs { by: GenerationId(1), rescued_from: None, decision })
    }

    fn on_answer(&self) -> Result<Decision, Undecided> {
        let mut decision = Decision::default();
        keep(&mut decision, "fetched", 0);
        Ok(decision)
    }

    fn on_keep(&self, _: KeepRequest<'_>) -> Keeping {
        let position = self.kept.fetch_add(1, Ordering::Relaxed) + 1;
        Keeping { kept: Kept::Applied(Reign(0)), ticket: Ticket { position, ..Ticket::default() } }
    }

    fn on_flush(&self) -> bool {
        true
    }

    fn waits(&self) -> bool {
        true
    }

    fn on_confirmation(&self, ticket: Ticket) -> Confirmation {
        self.confirmations.lock().unwrap().get(&ticket.position).copied().unwrap_or(Confirmation::Pending)
    }
}

/// One worker, at a time that a test sets.
struct World {
    host: Arc<LogHost>,
    worker: Dialogues<LogHost>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let (host, limits) = (Arc::<LogHost>::default(), SessionLimits { output_kib_max: 1, ..Default::default() });
        let worker = Dialogues::new(Arc::clone(&host), Arc::<Topics>::default(), limits);
        Self { host, worker, now: Instant::now() }
    }

    fn dialogue(&self, number: u64) -> Rc<Dialogue<LogHost>> {
        self.worker.begin(number, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), self.now)
    }

    /// Receives and decides input, and returns the output.
    fn say(&self, dialogue: &Rc<Dialogue<LogHost>>, text: &str) -> String {
        dialogue.receive(text.as_bytes());
        self.decide();
        output(dialogue)
    }

    fn decide(&self) {
        while self.worker.has_input() {
            assert!(self.worker.decide(AT, self.now));
        }
    }

    /// Settles a confirmation, and returns the output that it releases.
    fn settle(&self, dialogue: &Rc<Dialogue<LogHost>>, position: u64, confirmation: Confirmation) -> String {
        self.host.settle(position, confirmation);
        dialogue.advance(self.now);
        output(dialogue)
    }

    fn unconfirmed(&self) -> u64 {
        self.worker.unconfirmed()
    }
}

fn output(dialogue: &Rc<Dialogue<LogHost>>) -> String {
    String::from_utf8(dialogue.take_output()).unwrap()
}

#[test]
fn waiting_reply_holds_the_replies_behind_it() {
    let world = World::new();
    let dialogue = world.dialogue(1);
    assert_eq!(world.say(&dialogue, "first\nkeep a\nsecond\nkeep b\nthird\n"), "first\n");
    assert_eq!(world.settle(&dialogue, 2, Confirmation::Confirmed), "", "the reply before it waits");
    assert_eq!(world.settle(&dialogue, 1, Confirmation::Confirmed), "AT a\nsecond\nAT b\nthird\n");
    assert_eq!((dialogue.deadline(), world.unconfirmed()), (Some(world.now + Duration::from_secs(3600)), 0));
}

#[test]
fn waiting_reply_waits_for_its_own_keep_only() {
    let world = World::new();
    let dialogues = [1, 2].map(|number| world.dialogue(number));
    dialogues[0].receive(b"keep a\n");
    dialogues[1].receive(b"keep b\n");
    world.decide();
    world.host.settle(2, Confirmation::Confirmed);
    dialogues.iter().for_each(|dialogue| dialogue.advance(world.now));
    assert_eq!(dialogues.each_ref().map(output), ["", "AT b\n"]);
}

#[test]
fn reply_to_a_confirmed_keep_does_not_wait() {
    let world = World::new();
    world.host.settle(1, Confirmation::Confirmed);
    world.host.settle(2, Confirmation::Failed);
    let dialogue = world.dialogue(1);
    assert_eq!(world.say(&dialogue, "keep a\nkeep b\n"), "AT a\n? b\n");
    assert_eq!(world.unconfirmed(), 1);
}

/// Goal: replies leave in the order of the commands, whichever of the disk and the upstream is slower.
#[test]
fn waiting_replies_and_fetches_keep_the_order_of_their_commands() {
    let world = World::new();
    let dialogue = world.dialogue(1);
    assert_eq!(world.say(&dialogue, "keep a\nfetch x\nkeep b\nlast\n"), "");
    let fetch = dialogue.start_fetch(world.now).unwrap();
    assert!(dialogue.start_fetch(world.now).is_none());
    dialogue.answer(fetch.id, &FetchAnswer::Response { status: 200, body: vec![] }, AT, world.now);
    assert_eq!(output(&dialogue), "", "the first command is not confirmed");
    assert_eq!(world.settle(&dialogue, 1, Confirmation::Confirmed), "AT a\n", "nor is the record of the answer");
    assert_eq!(world.settle(&dialogue, 2, Confirmation::Confirmed), "");
    assert_eq!(world.settle(&dialogue, 3, Confirmation::Confirmed), "AT fetched\nAT b\nlast\n");
}

#[test]
fn waiting_reply_behind_a_fetch_is_released_with_the_answer() {
    let world = World::new();
    let dialogue = world.dialogue(1);
    world.say(&dialogue, "fetch x\nkeep a\nkeep b\n");
    let fetch = dialogue.start_fetch(world.now).unwrap();
    for position in 1..=3 {
        assert_eq!(world.settle(&dialogue, position, Confirmation::Confirmed), "");
    }
    // Long after both deadlines: what was confirmed in time is not refused because an upstream is slow.
    let later = world.now + 2 * CONFIRMATION_TIMEOUT;
    dialogue.answer(fetch.id, &FetchAnswer::Response { status: 200, body: vec![] }, AT, later);
    assert_eq!(output(&dialogue), "AT fetched\nAT a\nAT b\n");
}

#[test]
fn waiting_reply_is_replaced_by_its_fallback_at_its_deadline() {
    let mut world = World::new();
    let dialogue = world.dialogue(1);
    world.say(&dialogue, "keep a\nlast\n");
    let deadline = world.now + CONFIRMATION_TIMEOUT;
    assert_eq!(dialogue.deadline(), Some(deadline));
    dialogue.advance(deadline - Duration::from_nanos(1));
    assert_eq!(output(&dialogue), "");
    world.now = deadline;
    dialogue.advance(deadline);
    assert_eq!((output(&dialogue).as_str(), world.unconfirmed()), ("? a\nlast\n", 1));
    assert_eq!(world.settle(&dialogue, 1, Confirmation::Confirmed), "", "it was answered");
    assert_eq!(world.say(&dialogue, "keep b\n"), "");
    assert_eq!(dialogue.deadline(), Some(deadline + CONFIRMATION_TIMEOUT));
}

#[test]
fn waiting_reply_is_replaced_by_its_fallback_when_the_log_fails() {
    let world = World::new();
    let dialogue = world.dialogue(1);
    world.say(&dialogue, "keep a\nkeep b\n");
    assert_eq!(world.settle(&dialogue, 1, Confirmation::Failed), "? a\n");
    assert_eq!(world.settle(&dialogue, 2, Confirmation::Confirmed), "AT b\n");
}

/// Goal: a disk that is slower than a client is back pressure, and loses no line.
#[test]
fn waiting_replies_count_towards_the_limits_of_their_session() {
    let world = World::new();
    let [dialogue, other] = [1, 2].map(|number| world.dialogue(number));
    let lines: String = (0..LINES).map(|number| format!("keep {number:03}\n")).collect();
    assert_eq!(world.say(&dialogue, &lines), "");
    let kept = world.host.kept.load(Ordering::Relaxed);
    assert!(kept < LINES && !dialogue.accepts_input(), "{kept} fill a KiB");
    assert_eq!(world.say(&other, "line\n"), "line\n", "another session goes on");
    let mut replies = String::new();
    for position in 1..=LINES {
        replies += &world.settle(&dialogue, position, Confirmation::Confirmed);
        world.decide();
    }
    let expected: String = (0..LINES).map(|number| format!("AT {number:03}\n")).collect();
    assert_eq!(replies, expected);
    assert!(dialogue.accepts_input());
}

#[test]
fn waiting_replies_count_towards_the_number_of_queued_replies() {
    let world = World::new();
    let limits = SessionLimits { output_kib_max: 1 << 20, ..Default::default() };
    let worker = Dialogues::new(Arc::clone(&world.host), Arc::<Topics>::default(), limits);
    let world = World { worker, ..world };
    let dialogue = world.dialogue(1);
    world.say(&dialogue, &"keep a\n".repeat(4000));
    let kept = world.host.kept.load(Ordering::Relaxed);
    assert!((1024..2048).contains(&kept) && !dialogue.accepts_input(), "{kept}");
}

#[test]
fn drain_waits_for_replies_and_drops_what_is_undecided() {
    let world = World::new();
    let dialogue = world.dialogue(1);
    world.say(&dialogue, "keep a\nkeep b\n");
    dialogue.receive(b"keep c\n");
    dialogue.close();
    world.decide();
    assert!(!dialogue.is_over());
    assert_eq!(world.settle(&dialogue, 1, Confirmation::Confirmed), "AT a\n");
    assert!(!dialogue.is_over());
    assert_eq!(world.settle(&dialogue, 2, Confirmation::Failed), "? b\n");
    assert!(dialogue.is_over());
}

#[test]
fn publish_of_an_applied_keep_does_not_wait() {
    let world = World::new();
    let [reporter, subscriber] = [1, 2].map(|number| world.dialogue(number));
    world.say(&subscriber, "subscribe topic\n");
    assert_eq!(world.say(&reporter, "keep a\n"), "");
    assert_eq!(output(&subscriber), "a");
}

/// Goal: a client is not idle while its reply waits, even if it is allowed less time than the disk.
#[test]
fn idle_timeout_excludes_a_session_whose_reply_waits() {
    let world = World::new();
    let limits = SessionLimits { idle_s: 1, ..Default::default() };
    let worker = Dialogues::new(Arc::clone(&world.host), Arc::<Topics>::default(), limits);
    let world = World { worker, ..world };
    let dialogue = world.dialogue(1);
    world.say(&dialogue, "keep a\n");
    dialogue.advance(world.now + Duration::from_secs(2));
    assert!(!dialogue.is_over());
    assert_eq!(world.settle(&dialogue, 1, Confirmation::Confirmed), "AT a\n");
    dialogue.advance(world.now + Duration::from_secs(2));
    assert!(dialogue.is_over());
}

/// Several windows.
const LINES: u64 = 1000;
const AT: Moment = Moment { now_ns: 0, random: (0, 0) };
