//! Clients of a herd and the sessions that serve them: lines, decisions, answers of upstreams, and what clients were told.
//!
//! Knows nothing of links and faults. Bounds: one line of a client at a time.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use herd_model::{FetchAnswer, Kept};
use herd_replication::{LaneId, Stamp};
use herd_sdk::{Failure, Moment};
use herd_sessions::FetchId;

use super::{EPOCH_NS, Event, Herd, MILLISECOND, SECOND};
use crate::client::{Session, Told};
use crate::process::Process;
use crate::violation::Violation;

impl Herd {
    /// Lets a client send its next line, or connect again.
    pub(super) fn on_client(&mut self, number: usize) {
        let wait = self.chance.between(50 * MILLISECOND, 400 * MILLISECOND);
        self.after(wait, Event::Client(number));
        if self.resting {
            return;
        }
        let gives_up = self.chance.percent(1);
        let client = &mut self.clients[number];
        if client.session.as_ref().is_some_and(|session| session.dialogue.is_over()) || gives_up {
            client.session = None;
        }
        if client.session.is_none() {
            let node = self.chance.index(self.nodes.len());
            let Some(process) = &self.nodes[node].process else { return };
            let worker = self.chance.index(self.settings.workers);
            self.sessions += 1;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let now = self.base + Duration::from_nanos(self.now);
            let dialogue = process.workers[worker].dialogues.begin(self.sessions, address, now);
            self.clients[number].session = Some(Session::new(node, worker, dialogue, self.sessions));
        }
        let now_ns = EPOCH_NS + self.now;
        let client = &mut self.clients[number];
        let (pending, line) = client.line(&mut self.chance, self.keys, now_ns);
        let Some(session) = client.session.as_mut().filter(|session| session.pending.is_none()) else { return };
        session.pending = Some(pending);
        session.dialogue.receive(line.as_bytes());
        let (node, worker) = (session.node, session.worker);
        self.report.commands += 1;
        self.schedule_decision(node, worker);
    }

    fn schedule_decision(&mut self, node: usize, worker: usize) {
        let wait = self.chance.between(20_000, 300_000);
        let life = self.nodes[node].life;
        if let Some(process) = &mut self.nodes[node].process
            && !std::mem::replace(&mut process.workers[worker].scheduled, true)
        {
            self.after(wait, Event::Decide { node, worker, life });
        }
    }

    pub(super) fn on_decide(&mut self, node: usize, worker: usize, life: u64) -> Result<(), Violation> {
        if !self.is_alive(node, life) {
            return Ok(());
        }
        let at = Moment { now_ns: self.wall_ns(node), random: (self.chance.draw(), self.chance.draw()) };
        let now = self.instant();
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let workers = &mut process.workers[worker];
        workers.scheduled = false;
        workers.host.now_s.store(at.now_ns / SECOND, std::sync::atomic::Ordering::Relaxed);
        workers.dialogues.decide(at, now);
        let has_more = workers.dialogues.has_input();
        self.take_notes(node, worker);
        self.advance_sessions(node);
        if has_more {
            self.schedule_decision(node, worker);
        }
        self.touched(node)
    }

    fn take_notes(&mut self, node: usize, worker: usize) {
        let Some(Process { replica, workers, seen, .. }) = &mut self.nodes[node].process else { return };
        for note in workers[worker].host.notes.lock().drain(..) {
            let ticket = note.keeping.ticket;
            match note.keeping.kept {
                Kept::Applied(_) => {
                    let stamp = Stamp { lane: LaneId(ticket.lane), seq: ticket.seq };
                    self.history.keep(replica, seen, stamp, note.held.clone());
                }
                Kept::Outranked => {}
                Kept::NoRoom | Kept::NotStored => continue,
            }
            self.undecided.insert(note.record, note.held);
        }
    }

    /// Goes on with the sessions of a node: replies that were confirmed go out.
    pub(super) fn advance_sessions(&mut self, node: usize) {
        let now = self.instant();
        for number in 0..self.clients.len() {
            let Some(session) = self.clients[number].session.as_mut().filter(|session| session.node == node) else {
                continue;
            };
            session.dialogue.advance(now);
            let id = session.number;
            let fetches: Vec<FetchId> =
                std::iter::from_fn(|| session.dialogue.start_fetch(now)).map(|fetch| fetch.id).collect();
            if let Some(told) = session.receive() {
                self.on_told(told);
            }
            for fetch in fetches {
                // Some upstreams answer late, and some when the slot is over.
                let wait = if self.chance.percent(10) { self.chance.below(12 * SECOND) } else { 30 * MILLISECOND };
                self.after(wait, Event::Fetch { client: number, session: id, id: fetch });
            }
        }
    }

    fn on_told(&mut self, told: Told) {
        let seen = match told {
            Told::Kept(record) => {
                self.report.kept += 1;
                // A reply that names no record of this run would be a bug of the session.
                if let Some(held) = self.undecided.remove(&record) {
                    self.history.answer(&held);
                }
                record.iter().fold(1, |hash: u64, byte| hash.wrapping_mul(31) ^ u64::from(*byte))
            }
            Told::Unconfirmed => {
                self.report.unconfirmed += 1;
                2
            }
            Told::Answer => {
                self.report.answers += 1;
                3
            }
            Told::Unknown => 4,
        };
        self.report.fingerprint = self.report.fingerprint.rotate_left(7) ^ seen ^ self.now;
    }

    pub(super) fn on_fetch(&mut self, client: usize, number: u64, id: FetchId) {
        let now = self.instant();
        let Some(session) = &self.clients[client].session else { return };
        let (node, worker) = (session.node, session.worker);
        if session.number != number {
            return;
        }
        let dialogue = std::rc::Rc::clone(&session.dialogue);
        let at = Moment { now_ns: self.wall_ns(node), random: (self.chance.draw(), self.chance.draw()) };
        let answer = if self.chance.percent(20) {
            FetchAnswer::Failed(Failure::Timeout)
        } else {
            FetchAnswer::Response { status: 200, body: b"{}".to_vec() }
        };
        dialogue.answer(id, &answer, at, now);
        self.take_notes(node, worker);
        self.advance_sessions(node);
    }
}
