//! Client: sends lines, one at a time, and keeps a ledger of what it was told.
//!
//! Owns one session at a time. Knows only the line protocol.

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
    pub(crate) pending: Option<Pending>,
    received: Vec<u8>,
}

/// A line that waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    Report,
    Question,
}

/// Meaning of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The report is kept, as this record.
    Kept(Vec<u8>),
    /// The report is not confirmed.
    Unconfirmed,
    /// A question was answered.
    Answer,
    /// A question was refused: the client is not known.
    Unknown,
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

    /// Returns the next line.
    pub(crate) fn line(&self, chance: &mut Chance, keys: u64, now_ns: u64) -> (Pending, String) {
        let name = format!("client{}", chance.below(keys));
        if chance.percent(15) {
            let radius = chance.between(1, 50);
            return (Pending::Question, format!("WHATSAT {name} {radius} 5\n"));
        }
        // Clocks step back now and then, so that ranks do.
        let back = if chance.percent(10) { chance.below(5_000_000_000) as i64 } else { 0 };
        let time_ns = now_ns.saturating_add_signed(self.clock_offset_ns - back);
        let (seconds, rest) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
        let (latitude, longitude) = (chance.below(90), chance.below(180));
        (Pending::Report, format!("IAMAT {name} +{latitude}.068930-{longitude}.445127 {seconds}.{rest:09}\n"))
    }
}

impl Session {
    pub(crate) fn new(node: usize, worker: usize, dialogue: Rc<Dialogue<WorkerHost>>, number: u64) -> Self {
        Self { node, worker, dialogue, number, pending: None, received: Vec::new() }
    }

    /// Takes what the node sent, and returns what the reply says once it is complete.
    pub(crate) fn receive(&mut self) -> Option<Told> {
        self.received.extend(self.dialogue.take_output());
        let pending = self.pending?;
        let refused = self.received.starts_with(b"? ");
        let end: &[u8] = if pending == Pending::Question && !refused { b"\n\n" } else { b"\n" };
        if !self.received.ends_with(end) {
            return None;
        }
        self.pending = None;
        let mut reply = std::mem::take(&mut self.received);
        reply.pop();
        Some(match (pending, refused) {
            (Pending::Report, true) => Told::Unconfirmed,
            (Pending::Report, false) => Told::Kept(reply),
            (Pending::Question, true) => Told::Unknown,
            (Pending::Question, false) => Told::Answer,
        })
    }
}
