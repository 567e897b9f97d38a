//! Properties of the default logic on any bytes, cut anywhere. The order laws of ranks are beside them, in `rank.rs`.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::sync::Arc;

use herd_logic::{AtLine, Command, Herd};
use herd_sdk::check::{Scope, check};
use herd_sdk::native::{Decider, MemoryRecords, Native};
use herd_sdk::{Awaiting, Effect, Input, InputBatch, Logic, Mark, Moment, Records, Settings};
use proptest::prelude::*;

/// Session of a node, which offers input as a node does.
struct Session {
    guest: Native<Herd>,
    records: Arc<MemoryRecords>,
    unconsumed: Vec<u8>,
    seen: usize,
    awaits: Awaiting,
    consumed: usize,
    /// Replies and requests in their order.
    answers: String,
}

impl Session {
    fn new() -> Self {
        let records = Arc::new(MemoryRecords::default());
        let settings = Settings { node: "Riley".into(), table: vec![("places.sources".into(), "embedded".into())] };
        let guest = Native::new(Herd::configure(&settings).unwrap(), records.clone());
        let (awaits, answers) = (Awaiting::Delimiter(b'\n'), String::new());
        Self { guest, records, unconsumed: vec![], seen: 0, awaits, consumed: 0, answers }
    }

    fn receive(&mut self, bytes: &[u8], mark: Mark) {
        self.unconsumed.extend_from_slice(bytes);
        let new = &self.unconsumed[self.seen..];
        let is_met = match self.awaits {
            Awaiting::Delimiter(byte) => new.contains(&byte),
            Awaiting::Bytes(count) => new.len() >= count as usize,
        };
        if !is_met && mark == Mark::More {
            return;
        }
        let batch = InputBatch::from_iter([Input { bytes: &self.unconsumed, mark }]);
        let decision = self.guest.inputs(Moment { now_ns: 1_700_000_000_000_000_000, random: (0, 0) }, &batch).unwrap();
        check(&decision, Scope::Inputs(batch.iter())).unwrap();
        for effect in &decision.effects {
            match effect {
                Effect::Reply(reply) => self.answers += &decision.bytes(reply.bytes).escape_ascii().to_string(),
                Effect::Fetch(fetch) => {
                    self.answers += &format!("fetch {}\n", decision.bytes(fetch.path).escape_ascii());
                }
                _ => {}
            }
        }
        let progress = decision.progress().unwrap();
        self.records.apply(&decision);
        self.unconsumed.drain(..progress.consumed);
        self.consumed += progress.consumed;
        (self.seen, self.awaits) = (self.unconsumed.len(), progress.awaits);
    }
}

/// Lines of the protocol, lines that are nearly of it, and any bytes.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let near = "(IAMAT|WHATSAT|AT|iamat)?[ \t\r]{0,2}[ab]?[ \t]?([+-][0-9]{1,3}(\\.[0-9]{0,9})?){0,2} ?[0-9]{0,20}(\\.[0-9]{0,9})?( [0-9]{1,2})?[\r ]{0,2}\n";
    let good = "(IAMAT [ab] [+-][0-8]?[0-9](\\.[0-9]{1,6})?[+-]1?[0-7][0-9] 17000000[0-9]{2}(\\.[0-9]{1,9})?|WHATSAT [ab] [1-4]?[0-9] 1?[0-9])\r?\n";
    prop_oneof![
        4 => good.prop_map(String::into_bytes),
        3 => near.prop_map(String::into_bytes),
        1 => prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b' ')], 0..40),
    ]
}

proptest! {
    /// Goal: nothing panics, breaks a limit or loses a byte, and the answers do not depend on the cuts. Method: the same bytes as a
    /// whole and in pieces.
    #[test]
    fn answers_are_independent_of_the_cuts(
        lines in prop::collection::vec(line(), 0..20),
        cuts in prop::collection::vec(1_usize..60, 1..30),
    ) {
        let bytes = lines.concat();
        let (mut whole, mut cut) = (Session::new(), Session::new());
        whole.receive(&bytes, Mark::More);
        let mut rest = &bytes[..];
        let mut cuts = cuts.into_iter().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(cuts.next().unwrap()));
            cut.receive(piece, Mark::More);
            rest = after;
        }
        for session in [&mut whole, &mut cut] {
            prop_assert_eq!(session.consumed, bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
            session.receive(b"", Mark::End);
            prop_assert_eq!(session.consumed, bytes.len());
        }
        prop_assert_eq!(&whole.answers, &cut.answers);
        for key in [b"a", b"b"] {
            prop_assert_eq!(whole.records.find(&[key]), cut.records.find(&[key]));
        }
    }

    #[test]
    fn parsing_an_at_line_returns_what_was_written(
        line in "IAMAT [!-~]{1,12} [+-][0-8]?[0-9](\\.[0-9]{1,9})?[+-]1?[0-7][0-9](\\.[0-9]{1,9})? [0-9]{1,18}(\\.[0-9]{1,9})?",
        received_ns: u64,
    ) {
        let Command::Iamat(iamat) = Command::parse(line.as_bytes()) else { panic!("{line} is valid") };
        let mut written = vec![];
        AtLine::write(&mut written, b"Riley", received_ns, &iamat);
        let at = AtLine::parse(&written).unwrap();
        prop_assert_eq!((at.node, at.client, at.location, at.time), (&b"Riley"[..], iamat.client, iamat.location, iamat.time));
        prop_assert_eq!(at.skew_ns, i128::from(received_ns) - iamat.time.ns() as i128);
    }
}
