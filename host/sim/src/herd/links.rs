//! Links of a herd: connections that come up, deliver, stall and end.

use std::sync::Arc;

use bytes::Bytes;
use herd_replication::{LinkFrame, Violation as LinkViolation};

use super::{Event, Herd, MILLISECOND, SECOND};
use crate::link_end::{LinkEnd, MESSAGE, PING};
use crate::violation::Violation;

impl Herd<'_> {
    /// Dials a pair that has no connection, or of which one end has lost it.
    pub(super) fn on_dial(&mut self, pair: usize) -> Result<(), Violation> {
        self.after(DIAL_NS, Event::Dial(pair));
        let (a, b) = self.pairs[pair];
        let connection = |from, to| self.ends.get(&(from, to)).map(|end: &LinkEnd| end.connection);
        let is_up = connection(a, b).is_some() && connection(b, a).is_some();
        let cut = self.blocked.contains(&(a, b)) || self.blocked.contains(&(b, a));
        let paused = [a, b].iter().any(|&node| self.nodes[node].paused_until > self.now);
        let down = [a, b].iter().any(|&node| self.nodes[node].process.is_none());
        if is_up && connection(a, b) == connection(b, a) || cut || paused || down {
            return Ok(());
        }
        self.connections += 1;
        let connection = self.connections;
        for (from, to) in [(a, b), (b, a)] {
            // The newer connection replaces one that this end still believes in.
            self.close(from, to);
            let Some(process) = &self.nodes[from].process else { continue };
            let replica = Arc::clone(&process.replica);
            let (workers, name) = (self.settings.workers, self.nodes[to].name);
            let (end, frames) = LinkEnd::new(&replica, name, workers, connection, self.now);
            self.ends.insert((from, to), end);
            self.schedule_frames(from, to, connection, frames);
            self.schedule_turn(from, to, 20 * MILLISECOND);
        }
        self.linked(a, b)?;
        self.linked(b, a)
    }

    /// Removes an end, and what it has in flight.
    pub(super) fn close(&mut self, at: usize, peer: usize) {
        if let Some(end) = self.ends.remove(&(at, peer)) {
            self.report.cuts += 1;
            self.note_proofs(at, peer, &end);
            self.unlinked(at, peer);
            if let Some(process) = &self.nodes[at].process {
                process.replica.remove_link(end.machine.port());
            }
        }
    }

    /// Ends a connection at `at`, whose peer learns of it if the network lets it.
    pub(super) fn hang_up(&mut self, at: usize, peer: usize) {
        let Some(connection) = self.ends.get(&(at, peer)).map(|end| end.connection) else { return };
        self.close(at, peer);
        if !self.blocked.contains(&(at, peer)) {
            let wait = self.latency(at, peer);
            self.after(wait, Event::Close { at: peer, peer: at, connection });
        }
    }

    pub(super) fn on_close(&mut self, at: usize, peer: usize, connection: u64) {
        if self.ends.get(&(at, peer)).is_some_and(|end| end.connection == connection) {
            self.close(at, peer);
        }
    }

    pub(super) fn on_turn(&mut self, from: usize, to: usize, connection: u64) {
        let wall_s = self.wall_ns(from) / SECOND;
        let adds = self.nodes[from].later && self.chance.percent(20);
        let Some(end) = self.ends.get_mut(&(from, to)).filter(|end| end.connection == connection) else { return };
        end.turn_at = None;
        end.machine.prove(wall_s);
        let turn = end.machine.turn();
        // Behind the turn: what it claims may be dropped by now.
        if end.machine.is_outdated() {
            self.hang_up(from, to);
            return;
        }
        let mut frames = end.send(&turn.frames);
        if adds {
            // Of a kind that earlier versions skip.
            let kind = self.chance.between(LinkFrame::SKIPPED_MIN.into(), LinkFrame::KIND_MAX.into()) as u8;
            end.flight.push_back((kind, Bytes::from_static(b"of a later version")));
            frames += 1;
        }
        let wanted = end.machine.wants_digests().filter(|_| !std::mem::replace(&mut end.refreshing, true));
        self.schedule_frames(from, to, connection, frames);
        if turn.has_more {
            self.schedule_turn(from, to, MILLISECOND);
        }
        if let Some(cutoff_s) = wanted {
            let wait = self.chance.between(MILLISECOND, 20 * MILLISECOND);
            self.after(wait, Event::Refresh { from, to, connection, cutoff_s });
        }
    }

    pub(super) fn on_frame(&mut self, from: usize, to: usize, connection: u64) -> Result<(), Violation> {
        let (is_blocked, wall_ns) = (self.blocked.contains(&(from, to)), self.wall_ns(to));
        let Some(end) = self.ends.get_mut(&(from, to)).filter(|end| end.connection == connection) else {
            return Ok(());
        };
        if is_blocked {
            end.stalled += 1;
            return Ok(());
        }
        let Some((kind, body)) = end.flight.pop_front() else { return Ok(()) };
        let (Some(hearer), Some(process)) = (self.ends.get_mut(&(to, from)), &self.nodes[to].process) else {
            self.reset(from, to, connection);
            return Ok(());
        };
        if hearer.connection != connection {
            self.reset(from, to, connection);
            return Ok(());
        }
        hearer.heard_at = self.now;
        if kind == PING {
            return Ok(());
        }
        self.report.frames += 1;
        if kind == MESSAGE {
            return self.on_message(from, to, &body);
        }
        let worker = self.chance.index(self.settings.workers);
        process.deciders.set_now(wall_ns);
        if let Some(spread) = self.history.spread() {
            spread.via = Some(self.nodes[from].name.into());
            spread.bytes += body.len() as u64 + FRAME_HEAD_BYTES;
        }
        let refused = |why: String| Violation::Refused {
            node: self.nodes[to].name.into(),
            peer: self.nodes[from].name.into(),
            why,
        };
        let frame = LinkFrame::decode(kind, body).map_err(|error| refused(error.to_string()))?;
        let is_have = matches!(frame, LinkFrame::Have(_));
        if let LinkFrame::Reports(frame) = &frame {
            let reports = hearer.machine.reports(frame).map_err(|error| refused(error.to_string()))?;
            if let Some(spread) = self.history.spread() {
                spread.copies += reports.len() as u64;
            }
            let taken = process.ingest.take(worker, hearer.machine.port(), &reports);
            taken.map_err(|error| refused(error.to_string()))?;
        } else {
            match hearer.machine.hear(frame) {
                Ok(()) => {}
                Err(LinkViolation::Rejoined { .. }) => return self.rejoined(to, from),
                Err(LinkViolation::Outdated) => {
                    self.hang_up(to, from);
                    return Ok(());
                }
                Err(error) => return Err(refused(error.to_string())),
            }
        }
        if is_have && self.settings.acks > 0 {
            self.advance_sessions(to);
        }
        if !is_have {
            self.schedule_turns(to, TURN_NS);
        }
        let touched = self.touched(to);
        if let Some(spread) = self.history.spread() {
            spread.via = None;
        }
        touched
    }

    /// Ends the link on which a node has met a peer after an absence. Its other links end with their next turn.
    fn rejoined(&mut self, node: usize, peer: usize) -> Result<(), Violation> {
        self.report.rejoins += 1;
        if let Some(process) = &mut self.nodes[node].process {
            process.note_restamped(&mut self.history);
        }
        self.hang_up(node, peer);
        self.schedule_turns(node, MILLISECOND);
        self.touched(node)
    }

    /// Tells the sender of a frame that nobody knows its connection.
    fn reset(&mut self, from: usize, to: usize, connection: u64) {
        if !self.blocked.contains(&(to, from)) {
            let wait = self.latency(to, from);
            self.after(wait, Event::Close { at: from, peer: to, connection });
        }
    }

    /// Sends a message of a swap, which full queues drop now and then.
    pub(super) fn send_message(&mut self, from: usize, to: usize, message: Bytes) {
        let lost = !self.resting && self.chance.percent(1);
        let Some(end) = self.ends.get_mut(&(from, to)).filter(|_| !lost) else { return };
        end.flight.push_back((MESSAGE, message));
        let connection = end.connection;
        self.schedule_frames(from, to, connection, 1);
    }

    /// Shows peers that the node lives, and ends connections on which nothing was heard.
    pub(super) fn ping(&mut self, node: usize) {
        let peers: Vec<usize> = self.ends.keys().filter(|(from, _)| *from == node).map(|(_, to)| *to).collect();
        for peer in peers {
            let now = self.now;
            let Some(end) = self.ends.get_mut(&(node, peer)) else { continue };
            if now.saturating_sub(end.heard_at) > SILENCE_NS {
                self.hang_up(node, peer);
                continue;
            }
            end.flight.push_back((PING, Bytes::new()));
            let connection = end.connection;
            self.schedule_frames(node, peer, connection, 1);
            self.schedule_turn(node, peer, TURN_NS);
        }
    }

    /// Schedules a turn of each link of a node for which reports were queued.
    pub(super) fn schedule_woken(&mut self, node: usize) {
        let woken: Vec<usize> = self
            .ends
            .range((node, 0)..(node + 1, 0))
            .filter(|(_, end)| end.take_woken())
            .map(|((_, to), _)| *to)
            .collect();
        for peer in woken {
            self.schedule_turn(node, peer, MILLISECOND);
        }
    }

    pub(super) fn schedule_turns(&mut self, node: usize, wait_ns: u64) {
        let peers: Vec<usize> = self.ends.range((node, 0)..(node + 1, 0)).map(|((_, to), _)| *to).collect();
        for peer in peers {
            self.schedule_turn(node, peer, wait_ns);
        }
    }

    pub(super) fn schedule_turn(&mut self, from: usize, to: usize, wait_ns: u64) {
        let at = self.now + wait_ns;
        let Some(end) = self.ends.get_mut(&(from, to)) else { return };
        if end.turn_at.is_none_or(|other| other > at) {
            end.turn_at = Some(at);
            let connection = end.connection;
            self.queue.push(at, Event::Turn { from, to, connection });
        }
    }

    pub(super) fn schedule_frames(&mut self, from: usize, to: usize, connection: u64, count: usize) {
        for _ in 0..count {
            let wait = self.latency(from, to);
            self.after(wait, Event::Frame { from, to, connection });
        }
    }

    fn latency(&mut self, from: usize, to: usize) -> u64 {
        let base = self.latency_ns.get(&(from, to)).copied().unwrap_or(2 * MILLISECOND);
        base + self.chance.below(base / 2)
    }
}

/// Bytes before the body of a frame: length and kind.
const FRAME_HEAD_BYTES: u64 = 5;
/// Between two attempts to connect.
const DIAL_NS: u64 = 250 * MILLISECOND;
/// Silence after which a connection is given up.
const SILENCE_NS: u64 = 3 * SECOND;
/// Wait of a link's turn for more of the same.
const TURN_NS: u64 = 50 * MILLISECOND;
