//! Target: what a client sends, cut in any way.
//!
//! Whatever it sends and however it is cut, the replies are the same bytes; the session goes on reading, or is over; a line over the limit ends
//! it; and the node holds a bounded number of bytes for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use herd_model::{Digest, FetchAnswer, FetchRequest};
use herd_sdk::{Failure, Moment};
use herd_sessions::{Dialogue, Dialogues, Reporter, Reporters, SessionLimits, Topics};

use crate::input::{Input, cuts};
use crate::node::Node;

/// Bytes that an input may make the node hold: three nodes without records have some 200 KiB, and replies wait up to the limit of output.
pub const BYTES_MAX: usize = 8 << 20;

/// Runs an input: a byte of settings, a number that chooses the cuts, and what the client sends.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let (settings, number) = (Settings(input.byte()), input.number());
    let text = input.rest();
    let whole = replies(settings, text.chunks(64 << 10));
    let pieces = replies(settings, cuts(text, number));
    // A question in the same call as a report that is not permitted is answered as if that was kept (docs/clients.md).
    if settings.limits_reporters() && text.windows(7).any(|word| word == b"WHATSAT") {
        return;
    }
    assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole), "cut by {number}");
    if text.len() <= 256 {
        let bytes = replies(settings, text.chunks(1));
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&whole), "byte by byte");
    }
}

/// Returns conversations of the protocol.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let lines = [
        ("report", "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1614209128.918963997\n"),
        (
            "question",
            "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1614209128.918963997\nWHATSAT kiwi.cs.ucla.edu 10 5\n",
        ),
        ("invalid", "IAMAT kiwi 34.1-118.4 now\n? \nAT\n WHATSAT kiwi 51 21\r\n\r\n\n"),
        ("token", "TOKEN let-me-in\nIAMAT kiwi +1-1 1\nIAMAT apple +1-1 1\n"),
        ("unfinished", "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1614209128.9"),
    ];
    let mut seeds = Vec::new();
    for (name, text) in lines {
        for settings in 0..8 {
            let input = [&[settings, 7, 0], text.as_bytes()].concat();
            seeds.push((format!("{name}-{settings}"), input));
        }
    }
    let long = format!("IAMAT {} +1-1 1\nIAMAT kiwi +1-1 1\n", "k".repeat(100));
    seeds.push(("long".into(), [&[4, 9, 0], long.as_bytes()].concat()));
    // The second line is over the limit by one byte, and no newline follows.
    let behind = format!("\nIAMAT {}", "k".repeat(59));
    seeds.push(("long-behind".into(), [&[4, 9, 0], behind.as_bytes()].concat()));
    seeds
}

/// Settings of a node and of its client, one a bit.
#[derive(Clone, Copy)]
struct Settings(u8);

impl Settings {
    fn ends_input(self) -> bool {
        self.0 & 1 > 0
    }

    fn limits_reporters(self) -> bool {
        self.0 & 2 > 0
    }

    fn limits(self) -> SessionLimits {
        let mut limits = SessionLimits::default();
        if self.limits_reporters() {
            limits.reporters = REPORTERS.clone();
        }
        if self.0 & 4 > 0 {
            limits.line_bytes_max = 64;
            limits.output_kib_max = 1;
        }
        limits
    }

    /// Returns the answer of an upstream, which is the same however often it is asked.
    fn answer(self, request: &FetchRequest) -> FetchAnswer {
        if self.0 & 8 > 0 || request.upstream.is_empty() {
            return FetchAnswer::Failed(Failure::Timeout);
        }
        FetchAnswer::Response {
            status: 200,
            body: br#"{"results": [{"name": "a"}, {"name": "b"}], "places": []}"#.to_vec(),
        }
    }
}

static REPORTERS: LazyLock<Reporters> = LazyLock::new(|| {
    let group = |token: Option<&[u8]>, clients: &str| Reporter {
        token_sha256: token.map(Digest::of),
        clients: vec![clients.into()],
    };
    Reporters(BTreeMap::from([
        ("public".into(), group(None, "public*")),
        ("members".into(), group(Some(b"let-me-in"), "kiwi*")),
    ]))
});
/// One time for all: nothing here takes any.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
const AT: Moment = Moment { now_ns: 1_614_209_129_000_000_000, random: (7, 11) };

/// Returns what a fresh node replies to these pieces.
fn replies<'a>(settings: Settings, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let dialogues = Dialogues::new(Arc::new(Node::new()), Arc::new(Topics::default()), settings.limits());
    let dialogue = dialogues.begin(1, SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1)), *NOW);
    let mut replies = Vec::new();
    for piece in pieces {
        dialogue.receive(piece);
        settle(settings, &dialogues, &dialogue, &mut replies);
        if dialogue.is_over() {
            return replies;
        }
        assert!(dialogue.accepts_input(), "the session neither reads nor ends");
    }
    if settings.ends_input() {
        dialogue.end_input();
        settle(settings, &dialogues, &dialogue, &mut replies);
        assert!(dialogue.is_over(), "the session stays when its input has ended");
    }
    replies
}

/// Lets a node go on until nothing is left to do.
fn settle(settings: Settings, dialogues: &Dialogues<Node>, dialogue: &Rc<Dialogue<Node>>, replies: &mut Vec<u8>) {
    loop {
        let mut is_busy = dialogues.has_input();
        dialogues.decide(AT, *NOW);
        while let Some(fetch) = dialogue.start_fetch(*NOW) {
            dialogue.answer(fetch.id, &settings.answer(&fetch.request), AT, *NOW);
            is_busy = true;
        }
        let output = dialogue.take_output();
        replies.extend_from_slice(&output);
        if !is_busy && output.is_empty() {
            return;
        }
    }
}
