//! Writes of the state that survives a restart.
//!
//! Owns the order of writes and the retry of failed ones. Knows nothing of the protocol.
//!
//! Bounds: one write in flight and one pending, which a newer one replaces, with the bytes of [`GUESTS_MAX`] guests each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_model::Digest;
use tokio::sync::mpsc;

use crate::event::Event;
use crate::job;
use crate::protocol::participant::Participant;
use crate::store::{FailedGuest, RolloutStore, StoredState};

/// Writer of the rollout's state.
pub(crate) struct StateWriter {
    store: RolloutStore,
    pending: Option<PendingWrite>,
    in_flight: Option<PendingWrite>,
    /// Earliest time of the next write, after a failed one.
    retry_at: Option<Instant>,
}

/// State to write, with the guests that it names.
#[derive(Clone, Debug)]
pub struct PendingWrite {
    /// The state, which is written last: it must not name a guest whose bytes a crash has lost.
    pub state: StoredState,
    /// Guests, without bytes if the disk has them.
    pub guests: Vec<(Digest, Option<Arc<[u8]>>)>,
    /// Transcripts that came beside the guest of the herd.
    pub transcripts: Option<(Digest, Option<Arc<[u8]>>)>,
    /// Signatures of these guests, by the digest of the guest. Those that the disk has already are left out.
    pub signatures: Vec<(Digest, Arc<[u8]>)>,
}

impl StateWriter {
    pub(crate) fn new(store: RolloutStore) -> Self {
        Self { store, pending: None, in_flight: None, retry_at: None }
    }

    /// Queues a write in place of the pending one.
    pub(crate) fn queue(&mut self, write: PendingWrite) {
        self.pending = Some(write.replacing(self.pending.take()));
        // The pause after a failure is for a repetition; a new state is worth a try at once.
        self.retry_at = None;
    }

    /// Starts the pending write, unless another one is in flight or a retry is not due yet. It ends with an event.
    pub(crate) fn start(&mut self, local: &mpsc::Sender<Event>, now: Instant) {
        if self.in_flight.is_some() || self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return;
        }
        let Some(write) = self.pending.take() else { return };
        self.in_flight = Some(write.clone());
        let store = self.store.clone();
        job::spawn(local, move || {
            let PendingWrite { state, guests, transcripts, signatures } = write;
            let written = job::catch_panic(|| {
                store.write(&state, &guests, transcripts.as_ref(), &signatures).map_err(|error| error.to_string())
            });
            Some(Event::Written(written.unwrap_or_else(Err)))
        });
    }

    /// Handles the end of the write in flight. A failed one is pending again.
    pub(crate) fn finished(&mut self, written: &Result<(), String>, now: Instant) {
        let last = self.in_flight.take();
        if written.is_err() {
            self.pending = match self.pending.take() {
                Some(newer) => Some(newer.replacing(last)),
                None => last,
            };
            self.retry_at = Some(now + RETRY_PAUSE);
        }
    }

    /// True while a write is in flight. False while a failed one waits for its retry.
    pub(crate) fn is_writing(&self) -> bool {
        self.in_flight.is_some()
    }
}

impl PendingWrite {
    /// Returns the write of what a node has now: the state, and the guests that a restart or a peer needs.
    pub(crate) fn of(
        participant: &mut Participant,
        (serving, previous): (Digest, Option<Digest>),
        failed: Vec<FailedGuest>,
    ) -> Self {
        let (herd_state, applied) = (participant.herd_state.clone(), participant.applied.clone());
        // Between commit and adoption the herd's guest is not the one that serves here.
        let committed = herd_state.swap.as_ref().map(|swap| swap.digest).filter(|digest| *digest != serving);
        // What is not in memory was read from the disk before, so the disk has it.
        let mut signatures = Vec::new();
        let find = |digest| {
            signatures.extend(participant.guests().signatures_in_memory(digest).map(|bytes| (digest, bytes)));
            (digest, participant.guests().in_memory(digest))
        };
        let guests = [serving].into_iter().chain(committed).map(find).collect();
        // For nodes that adopt the swap later, from this one.
        let transcripts = herd_state.swap.as_ref().and_then(|swap| swap.transcripts);
        let transcripts = transcripts.map(|digest| (digest, participant.guests().in_memory(digest)));
        let state = StoredState { herd_state, applied, serving, previous, failed };
        Self { state, guests, transcripts, signatures }
    }

    /// Returns this write in place of an older one that did not happen. The guests of that stay: a rollback may return to them.
    #[must_use]
    pub fn replacing(mut self, older: Option<Self>) -> Self {
        let Some(older) = older else { return self };
        for (digest, guest) in older.guests {
            let has_room = self.guests.len() < GUESTS_MAX;
            match self.guests.iter_mut().find(|(other, _)| *other == digest) {
                // The memory has dropped them since, and the disk does not have them yet.
                Some((_, bytes)) => *bytes = bytes.take().or(guest),
                None if has_room => self.guests.push((digest, guest)),
                None => {}
            }
        }
        for (digest, signatures) in older.signatures {
            if self.signatures.len() < GUESTS_MAX && self.signatures.iter().all(|(known, _)| *known != digest) {
                self.signatures.push((digest, signatures));
            }
        }
        if let (Some((digest, bytes)), Some((other, older))) = (&mut self.transcripts, older.transcripts)
            && *digest == other
        {
            *bytes = bytes.take().or(older);
        }
        self
    }
}

/// Guests that wait for the disk: two of the newest state, and two that it replaced.
const GUESTS_MAX: usize = 4;
/// Pause after a failed write. A disk that was full may have room again by then.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::HerdState;

    fn write(guests: &[(&[u8], bool)], transcripts: bool) -> PendingWrite {
        let bytes = |text: &[u8], is_here: bool| (Digest::of(text), is_here.then(|| text.into()));
        PendingWrite {
            state: StoredState {
                herd_state: HerdState::default(),
                applied: None,
                serving: Digest::of(b"one"),
                previous: None,
                failed: Vec::new(),
            },
            guests: guests.iter().map(|(text, is_here)| bytes(text, *is_here)).collect(),
            transcripts: Some(bytes(b"{}", transcripts)),
            signatures: if transcripts { vec![(Digest::of(b"one"), b"by".as_slice().into())] } else { Vec::new() },
        }
    }

    /// Goal: a disk that is full for a while loses no guest. Method: a write that failed, and a newer state after the guests were
    /// dropped from memory.
    #[test]
    fn pending_write_keeps_the_bytes_of_the_one_that_it_replaces() {
        let older = write(&[(b"one", true), (b"two", true)], true);
        let both = write(&[(b"one", false)], false).replacing(Some(older));
        assert_eq!(both.guests.iter().map(|(_, bytes)| bytes.is_some()).collect::<Vec<_>>(), [true, true]);
        assert!(both.transcripts.unwrap().1.is_some());
        assert_eq!(both.signatures.len(), 1);
    }
}
