//! Dispatch: what happens to a participant.

use std::time::{Duration, Instant};

use super::action::Action;
use super::download::Next;
use super::herd_state::{HerdState, NUMBERS_AHEAD_MAX};
use super::message::{Broadcast, Message, truncate};
use super::participant::Participant;

impl Participant {
    /// A link to a neighbour is up.
    pub(crate) fn linked(&mut self, peer: &str) {
        self.neighbours.insert(peer.into());
        self.send(peer, Message::HerdState(self.herd_state.clone()));
    }

    /// It is down.
    pub(crate) fn unlinked(&mut self, peer: &str) {
        self.neighbours.remove(peer);
    }

    /// A neighbour says something.
    pub(crate) fn receive(&mut self, from: &str, message: Message, now: Instant) {
        // That it is linked may have been said before that it was not, of the link before.
        self.neighbours.insert(from.into());
        match message {
            Message::HerdState(theirs) => match self.validated(theirs) {
                Some(theirs) => self.receive_herd_state(from, theirs, now),
                None => {
                    tracing::warn!(node = %self.node, peer = from, "a peer says that the herd swapped more often than can be");
                }
            },
            Message::Broadcast(number, mut broadcast) => {
                if self.seen.insert(number) {
                    broadcast.truncate();
                    self.push(Action::SendToAll(Some(from.into()), Message::Broadcast(number, broadcast.clone())));
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
        let behind = theirs.swap < self.herd_state.swap;
        let knew = self.herd_state.rolled_back.contains_key(&self.node);
        if self.herd_state.merge(theirs) {
            self.state_source = from.into();
            if !knew {
                self.restore_rollback(now);
            }
            self.herd_state_changed(Some(from), now);
        } else if behind {
            self.send(from, Message::HerdState(self.herd_state.clone()));
        }
    }

    fn receive_broadcast(&mut self, from: &str, broadcast: Broadcast, now: Instant) {
        match broadcast {
            Broadcast::Enlist(attempt) => self.enlist(attempt, from, now),
            Broadcast::Prepare(attempt, plan) => self.prepare_candidate(attempt, plan, from, now),
            Broadcast::Abort(attempt, why) => {
                if self.is_engaged_in(&attempt) {
                    self.abort_engagement(&why);
                }
            }
            Broadcast::Vote { attempt, node, vote } => self.receive_vote(&attempt, &node, vote, now),
            Broadcast::AdoptionResult { node, number, result } => {
                self.receive_adoption_result(&node, number, result, now);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        if now.duration_since(self.last_tick) >= STALL_MIN {
            // What others have said since waits to be heard, so nobody is known to be silent.
            self.reset_silence(now);
        }
        if now >= self.announce_at {
            self.announce_at = now + ANNOUNCE_EVERY;
            self.push(Action::SendToAll(None, Message::HerdState(self.herd_state.clone())));
            if !self.is_busy() {
                self.guests.retain_only(&[]);
            }
        }
        if self.engaged.as_ref().is_some_and(|engaged| now.duration_since(engaged.heard_at) >= self.candidate_max) {
            self.abort_engagement(&format!(
                "nothing was heard of the node that asked for {} s",
                self.candidate_max.as_secs()
            ));
        }
        let next = self.download.as_mut().map_or(Next::Wait, |download| download.tick(&self.neighbours, now));
        self.continue_download(next, now);
        self.adopt_if_newer(now);
        self.continue_adopting(now);
        self.continue_proposal(now);
        self.last_tick = now;
    }

    /// What a neighbour says, without what cannot be. None if it is nonsense.
    fn validated(&self, mut herd_state: HerdState) -> Option<HerdState> {
        // A number that nobody can have come to would leave no room for the next swap, on the disk of every node.
        if herd_state.number() > self.herd_state.number().saturating_add(NUMBERS_AHEAD_MAX) {
            return None;
        }
        herd_state.rolled_back.retain(|node, _| self.nodes.contains(node));
        herd_state.rolled_back.values_mut().for_each(truncate);
        if let Some(swap) = &mut herd_state.swap {
            truncate(&mut swap.who);
        }
        Some(herd_state)
    }
}

/// This node was held up itself: while something is under way, time passes in steps of some milliseconds.
const STALL_MIN: Duration = Duration::from_secs(1);
/// A neighbour that missed what was said, because its queue was full, hears it again.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
