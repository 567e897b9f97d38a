//! Clients of a herd and the sessions that serve them: lines, decisions, answers of upstreams, and what clients were told.
//!
//! Knows nothing of links and faults. Bounds: three lines of a client at a time.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use herd_model::{FetchAnswer, FetchRequest, Kept};
use herd_replication::{LaneId, Stamp};
use herd_sdk::{Failure, Moment};
use herd_sessions::{FetchId, StartedFetch};

use super::{CLIENTS, Event, Herd, MILLISECOND, SECOND};
use crate::chance::Chance;
use crate::client::{Client, ClientReply, Pending, Session, client_name};
use crate::process::Process;
use crate::scenario::{Action, CLIENT_MAX};
use crate::simulation::Protocol;
use crate::violation::Violation;

impl Herd<'_> {
    /// Lets a client send its next line, or leave.
    pub(super) fn on_client(&mut self, number: usize) -> Result<(), Violation> {
        let wait = self.fate.between(50 * MILLISECOND, 400 * MILLISECOND);
        self.after(wait, Event::Client(number));
        if self.resting {
            return Ok(());
        }
        if let Some(exchange) =
            number.checked_sub(CLIENTS).and_then(|visitor| self.simulation.check?.during.get(visitor))
        {
            return self.visit(number, &exchange.line);
        }
        if self.simulation.protocol == Protocol::None {
            return Ok(());
        }
        let gives_up = self.fate.percent(1);
        let session = self.clients[number].session.as_ref();
        if session.is_some() && gives_up {
            return self.act(Action::Leave { client: number });
        }
        let session = session.filter(|session| !session.dialogue.is_over());
        if session.is_some_and(|session| !session.pending.is_empty()) {
            return Ok(());
        }
        let (node, worker) = match session {
            Some(session) => (session.node, session.worker),
            None => (self.fate.index(self.nodes.len()), self.fate.index(self.settings.workers)),
        };
        let (now_ns, varies) = (self.epoch_ns() + self.now, self.told.is_some());
        let lines = if varies && self.fate.percent(20) { self.fate.between(2, 3) } else { 1 };
        let line = |_| self.clients[number].line(&mut self.fate, self.reporting, now_ns, varies);
        let text: String = (0..lines).map(line).collect();
        let cuts = if varies && self.fate.percent(30) { vec![1 + self.fate.index(text.len() - 1)] } else { Vec::new() };
        self.act(Action::Send { client: number, node: self.nodes[node].name.into(), worker, text, cuts })
    }

    /// Lets a visitor send the line of a check file in a session of its own, or end that.
    fn visit(&mut self, number: usize, line: &str) -> Result<(), Violation> {
        if self.clients[number].session.is_some() {
            return self.act(Action::Leave { client: number });
        }
        let (node, worker) = (self.fate.index(self.nodes.len()), self.fate.index(self.settings.workers));
        let text = line.replace("{client}", &client_name(self.fate.below(self.keys))) + "\n";
        let node = self.nodes[node].name.into();
        self.act(Action::Send { client: number, node, worker, text, cuts: Vec::new() })
    }

    /// Ends the session of a client.
    pub(super) fn leave(&mut self, number: usize) {
        if let Some(client) = self.clients.get_mut(number) {
            client.session = None;
        }
    }

    /// Sends the lines of a client to a node, where it has or begins a session. Nothing is sent to a node that is down.
    pub(super) fn send(&mut self, number: usize, node: usize, worker: usize, text: &str, cuts: &[usize]) {
        let number = number.min(CLIENT_MAX);
        while self.clients.len() <= number {
            self.clients.push(Client::new(&mut self.fate));
        }
        // What a line of another protocol is answered with is not known.
        let visitors = self.simulation.check.map_or(0, |check| check.during.len());
        let is_visitor = (CLIENTS..CLIENTS + visitors).contains(&number) || self.simulation.protocol == Protocol::None;
        let client = &mut self.clients[number];
        client.session.take_if(|session| session.node != node || session.dialogue.is_over());
        if client.session.is_none() {
            let Some(process) = &self.nodes[node].process else { return };
            let worker = worker % self.settings.workers;
            self.sessions += 1;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let now = self.base + Duration::from_nanos(self.now);
            let dialogue = process.workers[worker].dialogues.begin(self.sessions, address, now);
            client.session = Some(Session::new(node, worker, dialogue, self.sessions));
        }
        let Some(session) = &mut client.session else { return };
        for line in text.lines() {
            self.report.commands += 1;
            if let Some(told) = &mut self.told {
                told.sent(line);
            }
            if !is_visitor {
                session.pending.push_back(Pending::of(line));
            }
        }
        let mut rest = text.as_bytes();
        let mut begun = 0;
        for &cut in cuts {
            let Some((piece, behind)) = rest.split_at_checked(cut.saturating_sub(begun)) else { break };
            session.outbox.push_back(piece.to_vec());
            (rest, begun) = (behind, cut);
        }
        session.outbox.push_back(rest.to_vec());
        let (session, pieces) = (session.number, cuts.len() + 1);
        for piece in 0..pieces as u64 {
            let wait = if piece == 0 { 0 } else { piece * 20 * MILLISECOND + self.chance.below(10 * MILLISECOND) };
            self.after(wait, Event::Piece { client: number, session });
        }
    }

    /// Delivers the next piece of what a client sent.
    pub(super) fn on_piece(&mut self, number: usize, session: u64) {
        let Some(session) = self
            .clients
            .get_mut(number)
            .and_then(|client| client.session.as_mut())
            .filter(|found| found.number == session)
        else {
            return;
        };
        let Some(piece) = session.outbox.pop_front() else { return };
        session.dialogue.receive(&piece);
        let (node, worker) = (session.node, session.worker);
        self.schedule_decision(node, worker);
    }

    pub(super) fn schedule_decision(&mut self, node: usize, worker: usize) {
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
        self.note_failed_canary(node)?;
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
            let fetches: Vec<StartedFetch> = std::iter::from_fn(|| session.dialogue.start_fetch(now)).collect();
            session.fetches += fetches.len();
            let (node, lines) = (session.node, session.pending.len());
            if lines > 0 && session.fetches >= lines * FETCHES_PER_LINE_MAX {
                let line = session.pending.front().map(|pending| pending.line.clone()).unwrap_or_default();
                let fetches = session.fetches;
                self.broken.get_or_insert(Violation::FetchLoop { node: self.nodes[node].name.into(), line, fetches });
            }
            session.receive();
            while let Some((line, told)) = self.clients[number].session.as_mut().and_then(Session::take_reply) {
                self.check_reply(node, &line, &told);
                self.on_told(told);
            }
            for fetch in fetches {
                // An upstream treats a question alike whatever else happens, so that a scenario without other events asks the same.
                let mut upstream = self.upstream_chance(&fetch.request);
                // Some upstreams answer late, and some when the slot is over.
                let is_late = !self.resting && upstream.percent(10);
                let wait = if is_late { upstream.below(12 * SECOND) } else { 30 * MILLISECOND };
                let answers = self.resting || !upstream.percent(20);
                self.after(wait, Event::Fetch { client: number, session: id, id: fetch.id, answers });
            }
        }
    }

    fn on_told(&mut self, told: ClientReply) {
        let seen = match told {
            ClientReply::Kept(record) => {
                self.report.kept += 1;
                // A reply that names no record of this run would be a bug of the session.
                if let Some(held) = self.undecided.remove(&record) {
                    self.history.answer(&held);
                }
                record.iter().fold(1, |hash: u64, byte| hash.wrapping_mul(31) ^ u64::from(*byte))
            }
            ClientReply::Unconfirmed(_) => {
                self.report.unconfirmed += 1;
                2
            }
            ClientReply::Answer(_) => {
                self.report.answers += 1;
                3
            }
            ClientReply::Unknown(_) => 4,
        };
        self.report.fingerprint = self.report.fingerprint.rotate_left(7) ^ seen ^ self.now;
    }

    /// Returns what chance has in store for a request.
    fn upstream_chance(&self, request: &FetchRequest) -> Chance {
        let asked = request.upstream.iter().chain(&request.path);
        // FNV-1a.
        let hash = asked
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Chance::new(self.simulation.options.seed ^ hash)
    }

    pub(super) fn on_fetch(&mut self, client: usize, number: u64, id: FetchId, answers: bool) -> Result<(), Violation> {
        let now = self.instant();
        let Some(session) = self.clients.get(client).and_then(|client| client.session.as_ref()) else { return Ok(()) };
        let (node, worker) = (session.node, session.worker);
        if session.number != number {
            return Ok(());
        }
        let dialogue = std::rc::Rc::clone(&session.dialogue);
        let at = Moment { now_ns: self.wall_ns(node), random: (self.chance.draw(), self.chance.draw()) };
        let answer = if answers {
            FetchAnswer::Response { status: 200, body: b"{}".to_vec() }
        } else {
            FetchAnswer::Failed(Failure::Timeout)
        };
        dialogue.answer(id, &answer, at, now);
        self.take_notes(node, worker);
        self.advance_sessions(node);
        self.touched(node)
    }
}

/// Fetches for one line after which the host sends its fallback: `FETCHES_PER_SLOT_MAX` of `herd-sessions`.
const FETCHES_PER_LINE_MAX: usize = 8;
