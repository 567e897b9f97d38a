//! Properties of dialogues: any bytes, cut anywhere, and two nodes that write at the same time.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::sync::Arc;

use herd_example_resp::Resp;
use herd_sdk::check::{Scope, check};
use herd_sdk::native::{Decider, MemoryRecords, Native};
use herd_sdk::{Awaiting, Effect, Input, InputBatch, Logic, Mark, Moment, Records, Report, Settings};
use proptest::prelude::*;

/// Node with one session, which offers input as a node does.
struct Node {
    guest: Native<Resp>,
    records: Arc<MemoryRecords>,
    now_ns: u64,
    unconsumed: Vec<u8>,
    seen: usize,
    awaits: Awaiting,
    replies: Vec<u8>,
    is_closed: bool,
}

impl Node {
    fn new(name: &str) -> Self {
        Self::ordered_by("clock", name)
    }

    fn ordered_by(order: &str, name: &str) -> Self {
        let records = Arc::new(MemoryRecords::default());
        let table = vec![("order".into(), order.into())];
        let logic = Resp::configure(&Settings { node: name.into(), table }).unwrap();
        let guest = Native::new(logic, records.clone()).converting();
        let (unconsumed, replies, awaits) = (vec![], vec![], Awaiting::Delimiter(b'\n'));
        Self { guest, records, now_ns: 1, unconsumed, seen: 0, awaits, replies, is_closed: false }
    }

    /// Receives bytes, and offers them if they hold what is awaited.
    fn receive(&mut self, bytes: &[u8], mark: Mark) {
        if self.is_closed {
            return;
        }
        self.unconsumed.extend_from_slice(bytes);
        let new = self.unconsumed.get(self.seen..).unwrap_or_default();
        let is_met = match self.awaits {
            Awaiting::Delimiter(byte) => new.contains(&byte),
            Awaiting::Bytes(count) => new.len() >= count as usize,
        };
        if !is_met && mark == Mark::More {
            return;
        }
        let batch = InputBatch::from_iter([Input { bytes: &self.unconsumed, mark }]);
        let decision = self.guest.inputs(Moment { now_ns: self.now_ns, random: (0, 0) }, &batch).unwrap();
        check(&decision, Scope::Inputs(batch.iter())).unwrap();
        for effect in &decision.effects {
            match effect {
                Effect::Reply(reply) => self.replies.extend_from_slice(decision.bytes(reply.bytes)),
                Effect::Close => self.is_closed = true,
                _ => {}
            }
        }
        let progress = decision.progress().unwrap();
        self.records.apply(&decision);
        self.unconsumed.drain(..progress.consumed);
        (self.seen, self.awaits) = (self.unconsumed.len(), progress.awaits);
    }

    /// Sends a command and returns the replies.
    fn ask(&mut self, line: &str) -> String {
        self.receive(format!("{line}\r\n").as_bytes(), Mark::More);
        String::from_utf8(std::mem::take(&mut self.replies)).unwrap()
    }

    /// Passes the record of a key to another node, as a link does.
    fn tell(&self, key: &str, other: &Self) {
        if let Some(found) = self.records.find(&[key.as_bytes()]).remove(0) {
            let report =
                Report { key: key.as_bytes(), rank: &found.rank, form: found.form, bytes: &found.bytes, origin: b"x" };
            other.records.apply_report(&report);
        }
    }
}

/// Bytes that are a command, nearly one, or none at all.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"SET".to_vec()),
        Just(b"get".to_vec()),
        Just(b"DEL".to_vec()),
        Just(b"EXISTS".to_vec()),
        Just(b"GEOADD".to_vec()),
        Just(b"GEOPOS".to_vec()),
        Just(b"GEODIST".to_vec()),
        Just(b"PING".to_vec()),
        Just(b"ECHO".to_vec()),
        Just(b"HELLO".to_vec()),
        Just(b"CLIENT".to_vec()),
        Just(b"COMMAND".to_vec()),
        Just(b"INFO".to_vec()),
        Just(b"QUIT".to_vec()),
    ];
    let argument = prop_oneof![
        "[a-c]{0,1}".prop_map(String::into_bytes),
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..20),
        Just(vec![b'x'; 5000]),
    ];
    let command = (word, prop::collection::vec(argument, 0..6)).prop_map(|(word, arguments)| {
        let mut bytes = format!("*{}\r\n", arguments.len() + 1).into_bytes();
        for argument in std::iter::once(word).chain(arguments) {
            bytes.extend(format!("${}\r\n", argument.len()).bytes());
            bytes.extend(argument);
            bytes.extend(b"\r\n");
        }
        bytes
    });
    let geoadd = "GEOADD g [0-9]{1,3} [0-9]{1,2} [a-e]\n".prop_map(String::into_bytes);
    let noise = prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'*'), Just(b'$'), Just(b'1')], 0..30);
    prop_oneof![6 => command, 3 => geoadd, 1 => noise]
}

proptest! {
    /// Goal: replies do not depend on how the input is cut, no byte is lost, and nothing panics or breaks a limit. Method: the same bytes
    /// as a whole and in pieces; then the records must be equal too.
    #[test]
    fn replies_are_independent_of_the_cuts(
        pieces in prop::collection::vec(piece(), 0..12),
        cuts in prop::collection::vec(1_usize..400, 1..40),
    ) {
        let bytes = pieces.concat();
        let (mut whole, mut cut) = (Node::new("Riley"), Node::new("Riley"));
        whole.receive(&bytes, Mark::More);
        let mut rest = &bytes[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            cut.receive(piece, Mark::More);
            rest = after;
        }
        prop_assert_eq!(whole.replies.escape_ascii().to_string(), cut.replies.escape_ascii().to_string());
        prop_assert_eq!(whole.is_closed, cut.is_closed);
        if !whole.is_closed {
            prop_assert_eq!(&whole.unconsumed, &cut.unconsumed);
        }
        for key in ["a", "b", "c", "g"] {
            let value = |node: &Node| node.records.find(&[key.as_bytes()]).remove(0).map(|found| found.bytes);
            prop_assert_eq!(value(&whole), value(&cut));
        }
        whole.receive(b"", Mark::End);
        prop_assert!(whole.unconsumed.is_empty() || whole.is_closed, "the end of the input consumes it");
    }

    /// Goal: with `order = "seen"`, a write wins over what its node has seen, whatever the clocks say, and nodes agree in the end.
    #[test]
    fn last_writer_wins_over_all_that_its_node_has_seen(
        steps in prop::collection::vec((any::<bool>(), 1..100_u64, 0..3_u8), 1..30),
    ) {
        let mut nodes = [Node::ordered_by("seen", "Riley"), Node::ordered_by("seen", "Campbell")];
        for (number, (at_first, now_ns, tells)) in steps.into_iter().enumerate() {
            let node = &mut nodes[usize::from(!at_first)];
            node.now_ns = now_ns;
            prop_assert_eq!(node.ask(&format!("SET k {number}")), "+OK\r\n");
            prop_assert_eq!(node.ask("GET k"), format!("${}\r\n{number}\r\n", number.to_string().len()));
            let [a, b] = &nodes;
            match tells {
                0 => a.tell("k", b),
                1 => b.tell("k", a),
                _ => {}
            }
        }
        let [a, b] = &mut nodes;
        a.tell("k", b);
        b.tell("k", a);
        prop_assert_eq!(a.ask("GET k"), b.ask("GET k"));
    }

    /// Goal: with the default order, the write with the latest time stays at every node, in whatever order writes arrive; those
    /// of one pipeline count in their order.
    #[test]
    fn last_writer_by_the_clock_wins_at_every_node(
        steps in prop::collection::vec((0..2_usize, 1..50_u64, 1..4_usize, any::<bool>()), 1..20),
    ) {
        let mut nodes = [Node::new("Riley"), Node::new("Campbell")];
        let mut last = None;
        let mut times = std::collections::HashSet::new();
        for (number, (at, now_ns, writes, tells)) in steps.into_iter().enumerate() {
            // A call reads the clock once, and two calls of a node never read the same time.
            if !times.insert((at, now_ns)) {
                continue;
            }
            nodes[at].now_ns = now_ns;
            let commands: Vec<String> = (0..writes).map(|write| format!("SET k {number}.{write}")).collect();
            prop_assert_eq!(nodes[at].ask(&commands.join("\r\n")), "+OK\r\n".repeat(writes));
            // Of equal times, the number in the call and then the name decide.
            let order = (now_ns, writes, ["Riley", "Campbell"][at], format!("{number}.{}", writes - 1));
            last = last.max(Some(order));
            if tells {
                nodes[at].tell("k", &nodes[1 - at]);
            }
        }
        let [a, b] = &mut nodes;
        a.tell("k", b);
        b.tell("k", a);
        let value = last.unwrap().3;
        for node in [a, b] {
            prop_assert_eq!(node.ask("GET k"), format!("${}\r\n{value}\r\n", value.len()));
        }
    }
}

#[test]
fn concurrent_geoadds_of_two_nodes_keep_one_of_the_sets() {
    let [mut a, mut b] = [Node::new("Riley"), Node::new("Campbell")];
    (a.now_ns, b.now_ns) = (10, 11);
    assert_eq!(a.ask("GEOADD g 1 1 a"), ":1\r\n");
    assert_eq!(b.ask("GEOADD g 2 2 b"), ":1\r\n");
    a.tell("g", &b);
    b.tell("g", &a);
    for node in [&mut a, &mut b] {
        assert!(node.ask("GEOPOS g a b").starts_with("*2\r\n*-1\r\n*2\r\n"));
    }
    assert_eq!(a.ask("GEOADD g 1 1 a"), ":1\r\n", "after it has seen the other set, it adds to that one");
    a.tell("g", &b);
    assert!(!b.ask("GEOPOS g a b").contains("*-1"));
}

/// Goal: a pipeline that asks for more than a call may hold is refused in part, with an error, and is no fault.
#[test]
fn pipeline_beyond_the_limits_of_a_call_is_answered_with_tryagain() {
    let mut node = Node::new("Riley");
    for (key, length) in [("k", 60_000), ("l", 60_000)] {
        assert_eq!(node.ask(&format!("SET {key} {}", "x".repeat(length))), "+OK\r\n");
    }
    let gets = node.ask(&"GET k\r\n".repeat(585));
    assert!(gets.len() < 5 << 20 && gets.contains("-TRYAGAIN "), "{} bytes", gets.len());
    assert_eq!(gets.matches('$').count() + gets.matches("-TRYAGAIN ").count(), 585);
    let exists = node.ask(&format!("EXISTS {}", "k ".repeat(1000)));
    assert!(exists.starts_with("-TRYAGAIN "), "{exists}");
    assert!(node.ask(&format!("DEL {}", "k l ".repeat(500))).starts_with("-TRYAGAIN "));
    assert_eq!(node.ask("EXISTS k l k"), ":3\r\n", "nothing was deleted");
}

/// Goal: sessions that add to one full set in one call stay within the limits of a decision.
#[test]
fn batch_of_sessions_that_change_a_full_set_stays_within_the_limits() {
    let mut node = Node::new("Riley");
    for member in 0..2300 {
        assert_eq!(node.ask(&format!("GEOADD g 1 1 member-{member:011}")), ":1\r\n");
    }
    let lines: Vec<_> =
        (0..64).map(|n| format!("GEOADD g 2 2 member-{n:011}\nGET g\nGEOADD g 3 3 member-{n:011}\n")).collect();
    let batch: InputBatch = lines.iter().map(|line| Input { bytes: line.as_bytes(), mark: Mark::More }).collect();
    let decision = node.guest.inputs(Moment { now_ns: 1, random: (0, 0) }, &batch).unwrap();
    check(&decision, Scope::Inputs(batch.iter())).unwrap();
    assert!(decision.output.len() < 5 << 20);
}
