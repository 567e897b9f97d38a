//! Dispatch of events to the parts of the protocol: links, messages of neighbours, and the passing of time.
//!
//! Owns what a peer is allowed to say: texts are truncated, names that are not configured and implausible numbers are
//! dropped. Decides nothing else by itself.

use std::time::{Duration, Instant};

use herd_model::Next;

use super::action::Action;
use super::herd_state::{DISCARDS_MAX, HerdState, NUMBERS_AHEAD_MAX};
use super::message::{Broadcast, Message, truncate};
use super::participant::Participant;

impl Participant {
    /// Handles a link that came up.
    pub(crate) fn linked(&mut self, peer: &str, now: Instant) {
        self.neighbours.insert(peer.into());
        // A node that was down or cut off catches up here, without any other node having to remember it.
        self.send(peer, Message::HerdState(self.herd_state.clone()));
        // The peer may be the coordinator, or lead to it, and may have been restarted: it answers a vote on what it does not
        // remember with an abort, so that nobody has to wait until its silence is noticed.
        self.repeat_vote(now);
    }

    /// Handles a link that went down.
    pub(crate) fn unlinked(&mut self, peer: &str) {
        self.neighbours.remove(peer);
    }

    /// Handles the message of a neighbour.
    pub(crate) fn receive(&mut self, from: &str, message: Message, now: Instant) {
        // The end of an old link can be reported after the start of the one that replaced it. A message proves the link.
        self.neighbours.insert(from.into());
        match message {
            Message::HerdState(theirs) => match self.validated(theirs) {
                Some(theirs) => self.receive_herd_state(from, theirs, now),
                None => tracing::warn!(node = %self.node, peer = from, "peer announced an implausible swap number"),
            },
            Message::Broadcast(id, mut broadcast) => {
                // Forwarding the first copy only is what ends the gossip, whatever cycles the links form.
                if self.seen.insert(id) {
                    broadcast.truncate();
                    // Forwarded before it is handled, and also when it does not concern this node: another node may be
                    // reachable through this one alone.
                    self.push(Action::SendToAll(Some(from.into()), Message::Broadcast(id, broadcast.clone())));
                    self.receive_broadcast(from, broadcast, now);
                }
            }
            Message::GetChunk(digest, offset) => self.send_chunk(from, digest, offset),
            Message::Chunk(chunk) => {
                let next = self.download.as_mut().map_or(Next::Wait, |download| download.receive(from, chunk, now));
                self.continue_download(next, now);
            }
            Message::NotFound(digest) => {
                if let Some(download) = &mut self.download {
                    download.not_found(from, digest, now);
                }
            }
        }
    }

    fn receive_herd_state(&mut self, from: &str, theirs: HerdState, now: Instant) {
        let is_behind = theirs.swap < self.herd_state.swap;
        let knew_own_rollback = self.herd_state.rolled_back.contains_key(&self.node);
        if self.herd_state.merge(theirs) {
            self.state_source = from.into();
            // Once only: an operator who swaps this node to that guest again is not overruled by the next announcement.
            if !knew_own_rollback {
                self.restore_rollback(now);
            }
            self.herd_state_changed(Some(from), now);
        } else if is_behind {
            // An equal state gets no answer, or two nodes that agree would answer each other for ever.
            self.send(from, Message::HerdState(self.herd_state.clone()));
        }
    }

    fn receive_broadcast(&mut self, from: &str, broadcast: Broadcast, now: Instant) {
        match broadcast {
            Broadcast::Enlist(attempt) => self.enlist(attempt, from, now),
            Broadcast::Prepare(attempt, plan) => self.prepare_candidate(attempt, plan, from, now),
            Broadcast::Abort(attempt, why) => {
                // Otherwise late, or of an attempt that another one has followed, or the abort has crossed the commit.
                if self.is_engaged_in(&attempt) && !self.is_engagement_committed() {
                    self.abort_engagement(&why);
                }
            }
            Broadcast::Vote { attempt, node, vote } => self.receive_vote(&attempt, &node, vote, now),
            Broadcast::AdoptionResult { node, number, digest, result, not_stored } => {
                self.receive_adoption_result(&node, (number, digest), result, not_stored, now);
            }
        }
    }

    /// Handles the passing of time: repeats what may have been lost, and lets deadlines expire.
    pub(crate) fn tick(&mut self, now: Instant) {
        if now.duration_since(self.last_tick) >= STALL_MIN {
            // This node stood still, and what peers sent meanwhile is still queued. Judging their silence now would declare
            // nodes absent that have voted, and commit over a refusal.
            self.reset_silence(now);
        }
        if now >= self.announce_at {
            self.announce_at = now + ANNOUNCE_EVERY;
            self.push(Action::SendToAll(None, Message::HerdState(self.herd_state.clone())));
            // Guests that neighbours download from an idle node stay in memory until its next announcement.
            self.release_idle();
        }
        // An abort can be lost with its coordinator or with a link, so a candidate must not depend on one to go away.
        let silence = self.engagement.as_ref().map(|engaged| now.duration_since(engaged.heard_at));
        // Unless it has committed: the candidate is about to serve then, and its coordinator has nothing more to say.
        if silence.is_some_and(|silence| silence >= self.candidate_max) && !self.is_engagement_committed() {
            self.abort_engagement(&format!("the coordinator was silent for {} s", self.candidate_max.as_secs()));
        }
        let next = self.download.as_mut().map_or(Next::Wait, |download| download.tick(&self.neighbours, now));
        self.continue_download(next, now);
        // After a restart no message starts the adoption of a swap that was stored and not adopted; a tick does.
        self.adopt_if_newer(now);
        self.continue_adopting(now);
        self.continue_proposal(now);
        self.continue_waiting(now);
        self.last_tick = now;
    }

    /// Herd state of a peer without names and texts that cannot be. None if it cannot be true.
    fn validated(&self, mut herd_state: HerdState) -> Option<HerdState> {
        // A number near the end of the range would win every merge, reach the disk of every node, and leave no number for
        // the next swap.
        if herd_state.number() > self.herd_state.number().saturating_add(NUMBERS_AHEAD_MAX) {
            return None;
        }
        herd_state.rolled_back.retain(|node, _| self.nodes.contains(node));
        herd_state.rolled_back.values_mut().for_each(truncate);
        if let Some(swap) = &mut herd_state.swap {
            truncate(&mut swap.who);
            swap.discards.drain(..swap.discards.len().saturating_sub(DISCARDS_MAX));
        }
        Some(herd_state)
    }
}

/// Pause between ticks from which on this node counts as held up. While a swap is in progress, ticks come every few
/// milliseconds.
const STALL_MIN: Duration = Duration::from_secs(1);
/// Interval of announcements of the herd state, for neighbours that lost the last one to a full queue.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
