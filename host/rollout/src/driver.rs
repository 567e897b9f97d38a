//! Drives the state machine of a node: one task that hears what happens and does what is ordered. What may block goes to
//! threads that may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use herd_model::Digest;
use tokio::sync::{mpsc, oneshot};

use crate::event::{Event, Inbox, Request};
use crate::host::ParticipantHost;
use crate::pending_write::Unwritten;
use crate::protocol::action::Action;
use crate::protocol::participant::Participant;
use crate::protocol::proposal::Operation;
use crate::protocol::{NotAdopted, NotSwapped, Outcome};
use crate::status::{RolloutStatus, lock};
use crate::store::{RolloutStore, StoredState};

pub(crate) struct Driver {
    pub(crate) participant: Participant,
    pub(crate) store: RolloutStore,
    pub(crate) host: Option<Weak<dyn ParticipantHost>>,
    pub(crate) local: mpsc::Sender<Event>,
    /// Who waits for the swap that this node was asked for.
    pub(crate) answer: Option<oneshot::Sender<Result<Outcome, NotSwapped>>>,
    pub(crate) status: Arc<Mutex<RolloutStatus>>,
    /// What is to be written down next. A newer one takes its place.
    pub(crate) unwritten: Option<Unwritten>,
    pub(crate) writing: Option<Unwritten>,
    /// Not before, because the disk has just failed.
    pub(crate) write_again: Option<Instant>,
    /// What came of a swap, to be said when it is written down.
    pub(crate) answering: Option<Result<Outcome, NotSwapped>>,
    pub(crate) stopping: Option<oneshot::Sender<()>>,
}

impl Driver {
    pub(crate) async fn drive(&mut self, mut inbox: Inbox) {
        loop {
            let pause = if self.participant.is_busy() { TICK_BUSY } else { TICK_IDLE };
            let event = tokio::select! {
                biased;
                event = inbox.local.recv() => event,
                event = inbox.remote.recv() => event,
                () = tokio::time::sleep(pause) => None,
            };
            let Some(host) = self.host.as_ref().and_then(Weak::upgrade) else { return };
            let now = Instant::now();
            self.participant.previous = host.live().1;
            if let Some(event) = event {
                self.happened(event, &host, now);
                // Before time passes: what is to be remembered is in memory yet.
                self.perform(&host);
            }
            self.participant.tick(now);
            self.perform(&host);
            self.write(now);
            self.show();
            // What was answered is not to be forgotten.
            if let Some(answer) = self.answering.take_if(|_| self.writing.is_none()) {
                // Who asked may have left.
                if let Some(waiting) = self.answer.take() {
                    let _ = waiting.send(answer);
                }
            }
            if let Some(stopped) = self.stopping.take_if(|_| self.writing.is_none()) {
                let _ = stopped.send(());
                return;
            }
        }
    }

    fn happened(&mut self, event: Event, host: &Arc<dyn ParticipantHost>, now: Instant) {
        match event {
            Event::Received(peer, message) => self.participant.receive(&peer, message, now),
            Event::Linked(peer) => self.participant.linked(&peer),
            Event::Unlinked(peer) => self.participant.unlinked(&peer),
            Event::Propose(Request { operation, guest, who, answer }) => {
                if self.answer.is_some() || self.stopping.is_some() {
                    let _ = answer.send(Err(NotSwapped::Busy));
                    return;
                }
                self.answer = Some(answer);
                if let (Operation::Swap(plan), Some(guest)) = (&operation, guest) {
                    self.participant.guests().cache(plan.digest, guest);
                }
                self.participant.propose(operation, &who, now);
            }
            Event::Prepared(attempt, digest, prepared) => self.participant.prepared(&attempt, digest, prepared, now),
            Event::Adopted(swap, taken) => {
                let (live, _) = host.live();
                self.participant.adopted(&swap, taken, live, now);
            }
            Event::ServingChanged(guest) => {
                let (serving, _) = host.live();
                if let Some(guest) = guest {
                    self.participant.guests().cache(Digest::of(&guest), guest);
                }
                self.participant.serving_changed(serving);
            }
            Event::RolledBack(from, why) => {
                let (serving, _) = host.live();
                self.participant.rolled_back(from, serving, why, now);
            }
            Event::Written(written) => {
                let last = self.writing.take();
                if let Err(error) = &written {
                    tracing::error!(
                        node = self.participant.node,
                        error,
                        "what was swapped is not remembered over a restart; it is tried again"
                    );
                    self.unwritten = match self.unwritten.take() {
                        Some(newer) => Some(newer.after(last)),
                        None => last,
                    };
                    self.write_again = Some(now + WRITE_PAUSE);
                }
                lock(&self.status).store_error = written.err();
            }
            Event::Stop(stopped) => {
                self.participant.cancel_proposal();
                self.stopping = Some(stopped);
            }
        }
    }

    fn perform(&mut self, host: &Arc<dyn ParticipantHost>) {
        let actions: Vec<Action> = self.participant.actions().collect();
        for action in actions {
            match action {
                Action::Send(peer, message) => host.send(&peer, message.encode()),
                Action::SendToAll(except, message) => host.send_to_all(except.as_deref(), message.encode()),
                Action::Prepare { attempt, plan, guest } => self.job(host, move |host| {
                    let prepared = caught(|| host.prepare(&guest, &plan, &attempt.to_string()));
                    Some(Event::Prepared(attempt, plan.digest, prepared.unwrap_or_else(Err)))
                }),
                Action::Abort { digest, who, why } => self.job(host, move |host| {
                    let _ = caught(|| host.abort(digest, &who, &why));
                    None
                }),
                Action::Adopt { swap, guest } => self.job(host, move |host| {
                    let taken = caught(|| host.adopt(&swap, guest.as_deref()));
                    Some(Event::Adopted(swap, taken.unwrap_or_else(|panic| Err(NotAdopted::Refused(panic)))))
                }),
                Action::Persist => self.remember(host),
                Action::Answer(answer) => self.answering = Some(answer),
            }
        }
    }

    /// Does what may block, where it may.
    fn job(
        &self,
        host: &Arc<dyn ParticipantHost>,
        job: impl FnOnce(&dyn ParticipantHost) -> Option<Event> + Send + 'static,
    ) {
        let (host, local) = (Arc::clone(host), self.local.clone());
        tokio::task::spawn_blocking(move || {
            if let Some(event) = job(&*host) {
                let _ = local.blocking_send(event);
            }
        });
    }

    fn remember(&mut self, host: &Arc<dyn ParticipantHost>) {
        let (serving, previous) = host.live();
        let (herd_state, applied) = (self.participant.herd_state.clone(), self.participant.applied.clone());
        let swapped_to = herd_state.swap.as_ref().map(|swap| swap.digest).filter(|digest| *digest != serving);
        let guests = [serving].into_iter().chain(swapped_to);
        let guests = guests.filter_map(|digest| Some((digest, self.participant.guests().find(digest)?))).collect();
        let unwritten = Unwritten { stored: StoredState { herd_state, applied, serving, previous }, guests };
        self.unwritten = Some(unwritten.after(self.unwritten.take()));
        // Only the same again has to wait.
        self.write_again = None;
    }

    fn write(&mut self, now: Instant) {
        if self.writing.is_some() || self.write_again.is_some_and(|again| now < again) {
            return;
        }
        let Some(unwritten) = self.unwritten.take() else { return };
        self.writing = Some(unwritten.clone());
        let (store, local) = (self.store.clone(), self.local.clone());
        tokio::task::spawn_blocking(move || {
            let Unwritten { stored, guests } = unwritten;
            let written = caught(|| store.write(&stored, &guests).map_err(|error| error.to_string()));
            let _ = local.blocking_send(Event::Written(written.unwrap_or_else(Err)));
        });
    }

    pub(crate) fn show(&self) {
        let mut status = lock(&self.status);
        status.herd_state.clone_from(&self.participant.herd_state);
        status.applied = self.participant.applied.as_ref().map_or(0, |swap| swap.number);
        status.engaged = self.participant.engagement();
    }
}

/// What is done, or that it panicked: who waits for it is to hear of it in any case.
fn caught<T>(job: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|_| "the node panicked over it; its log says why".into())
}

/// A disk that was full may have room again.
const WRITE_PAUSE: Duration = Duration::from_secs(5);
/// While a swap is under way: a neighbour that lacks a guest is asked again after such a time.
const TICK_BUSY: Duration = Duration::from_millis(10);
/// And while none is.
const TICK_IDLE: Duration = Duration::from_secs(1);
