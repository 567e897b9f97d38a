//! Client: sends lines and keeps count of the replies that it waits for.
//!
//! Owns one session at a time. Knows only the line protocol.

use std::collections::VecDeque;
use std::rc::Rc;

use herd_sessions::Dialogue;

use crate::chance::Chance;
use crate::logic_host::WorkerHost;

/// A client.
pub(crate) struct Client {
    pub(crate) session: Option<Session>,
    /// Offset of its clock in nanoseconds. Some are years ahead.
    clock_offset_ns: i64,
}

/// A session with a node.
pub(crate) struct Session {
    pub(crate) node: usize,
    pub(crate) worker: usize,
    pub(crate) dialogue: Rc<Dialogue<WorkerHost>>,
    /// Number of the session, unique in the run.
    pub(crate) number: u64,
    /// Lines that wait for their replies, in order.
    pub(crate) pending: VecDeque<Pending>,
    /// Pieces that the network has yet to deliver.
    pub(crate) outbox: VecDeque<Vec<u8>>,
    /// Fetches since the last reply.
    pub(crate) fetches: usize,
    pub(crate) received: Vec<u8>,
}

/// A line that waits for its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) is_report: bool,
    pub(crate) line: String,
}

/// Reply to a line, by its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientReply {
    /// The report is kept, as this record.
    Kept(Vec<u8>),
    /// The report is not confirmed, in these words.
    Unconfirmed(Vec<u8>),
    /// A question was answered, with this text.
    Answer(Vec<u8>),
    /// A question was refused, in these words: the client is not known.
    Unknown(Vec<u8>),
}

impl Client {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let clock_offset_ns = match chance.below(10) {
            0 => 3 * 365 * 86_400 * 1_000_000_000,
            1 => -3600 * 1_000_000_000,
            _ => chance.below(2_000_000_000) as i64 - 1_000_000_000,
        };
        Self { session: None, clock_offset_ns }
    }

    /// Returns the next line. With `varies`, some are written in unusual ways.
    pub(crate) fn line(&self, chance: &mut Chance, keys: u64, now_ns: u64, varies: bool) -> String {
        let name = client_name(chance.below(keys));
        if chance.percent(15) {
            let radius = chance.between(1, 50);
            return format!("WHATSAT {name} {radius} 5\n");
        }
        if varies && chance.percent(2) {
            return format!("WHEREIS {name}\n");
        }
        // Clocks step back now and then, so that ranks do.
        let back = if chance.percent(10) { chance.below(5_000_000_000) as i64 } else { 0 };
        let time_ns = now_ns.saturating_add_signed(self.clock_offset_ns - back);
        let (seconds, rest) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
        let (latitude, longitude) = (chance.below(90), chance.below(180));
        // A number does not grow by the zeros before it.
        let zeros = if varies && chance.percent(10) { "00" } else { "" };
        format!("IAMAT {name} +{latitude}.068930-{longitude}.445127 {zeros}{seconds}.{rest:09}\n")
    }
}

/// Returns the name of a client that lines are about.
pub(crate) fn client_name(key: u64) -> String {
    format!("client{key}")
}

impl Pending {
    /// Returns what a line without its newline waits for.
    pub(crate) fn of(line: &str) -> Self {
        Self { is_report: line.starts_with("IAMAT "), line: line.into() }
    }
}

impl Session {
    pub(crate) fn new(node: usize, worker: usize, dialogue: Rc<Dialogue<WorkerHost>>, number: u64) -> Self {
        let (pending, outbox, received) = (VecDeque::new(), VecDeque::new(), Vec::new());
        Self { node, worker, dialogue, number, pending, outbox, fetches: 0, received }
    }

    /// Takes what the node sent.
    pub(crate) fn receive(&mut self) {
        let output = self.dialogue.take_output();
        self.received.extend(output);
    }

    /// Takes the next reply that is complete, and the line that it answers.
    pub(crate) fn take_reply(&mut self) -> Option<(Pending, ClientReply)> {
        let first = self.pending.front()?;
        let refused = self.received.starts_with(b"? ");
        let end: &[u8] = if first.is_report || refused { b"\n" } else { b"\n\n" };
        let at = self.received.windows(end.len()).position(|window| window == end)?;
        let rest = self.received.split_off(at + end.len());
        let mut reply = std::mem::replace(&mut self.received, rest);
        reply.pop();
        let line = self.pending.pop_front()?;
        self.fetches = 0;
        let told = match (line.is_report, refused) {
            (true, true) => ClientReply::Unconfirmed(reply),
            (true, false) => ClientReply::Kept(reply),
            (false, true) => ClientReply::Unknown(reply),
            (false, false) => ClientReply::Answer(reply),
        };
        Some((line, told))
    }
}
