//! Task that drives the state machine of a node: takes events, performs actions, and measures time.
//!
//! Owns the state machine while it runs. Blocking work goes to threads that may block, and comes back as an event.
//!
//! Bounds: the two queues of events are bounded where the handle makes them.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, select_all};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Inbox, Request};
use crate::host::ParticipantHost;
use crate::job;
use crate::protocol::action::Action;
use crate::protocol::guest_store::StoredFiles;
use crate::protocol::participant::Participant;
use crate::protocol::proposal::Operation;
use crate::protocol::{NotAdopted, NotSwapped, Outcome};
use crate::state_writer::{PendingWrite, StateWriter};
use crate::status::RolloutStatus;

/// Driver of one node.
pub(crate) struct Driver {
    participant: Participant,
    writer: StateWriter,
    /// Sender for the events of jobs.
    local: mpsc::Sender<Event>,
    status: Arc<Mutex<RolloutStatus>>,
    /// Operators who wait for an answer, by the identifiers of their proposals. As many as the protocol lets wait.
    operators: BTreeMap<u64, Operator>,
    /// Identifier of the next proposal.
    next_proposal: u64,
    /// Answers to operators, held back until the state is on disk.
    answers: Vec<(u64, Result<Outcome, NotSwapped>)>,
    /// Operators who wait until the state is on disk.
    storing: Vec<SyncSender<Result<(), String>>>,
    /// Set when the node is shutting down.
    stopping: Option<oneshot::Sender<()>>,
}

impl Driver {
    pub(crate) fn new(
        participant: Participant,
        writer: StateWriter,
        local: mpsc::Sender<Event>,
        status: Arc<Mutex<RolloutStatus>>,
    ) -> Self {
        let driver = Self {
            participant,
            writer,
            local,
            status,
            operators: BTreeMap::new(),
            next_proposal: 0,
            answers: Vec::new(),
            storing: Vec::new(),
            stopping: None,
        };
        driver.publish_status();
        driver
    }

    /// Runs until the node stops or the host is gone.
    pub(crate) async fn run(&mut self, mut inbox: Inbox, host: &Weak<dyn ParticipantHost>) {
        loop {
            let pause = if self.participant.is_busy() { TICK_BUSY } else { TICK_IDLE };
            let withdrawn = withdrawal(&self.operators);
            let event = tokio::select! {
                // Events of this node first: unlike messages of peers they are not repeated, and a peer that floods this
                // node must not delay the result of its own jobs.
                biased;
                id = withdrawn => Some(Event::Withdrawn(id)),
                event = inbox.local.recv() => event,
                event = inbox.remote.recv() => event,
                () = tokio::time::sleep(pause) => None,
            };
            let Some(host) = host.upgrade() else { return };
            let now = Instant::now();
            self.participant.previous = host.live().1;
            if let Some(event) = event {
                self.handle(event, &host, now);
                // Before the tick, which drops cached guests that an action to persist still has to collect.
                self.perform(&host);
            }
            // After every event and not on the timer alone, or steady events would keep time from passing.
            self.participant.tick(now);
            self.perform(&host);
            self.writer.start(&self.local, now);
            if !self.writer.is_writing() {
                self.stored(&host, now);
            }
            self.publish_status();
            // An operator who was told of a swap must find it after a crash. A write that failed does not hold the answer
            // back: the answer and the status show the error, and the herd has the swap.
            if !self.writer.is_writing() {
                for (id, answer) in self.answers.drain(..) {
                    // The operator may have left.
                    if let Some(operator) = self.operators.remove(&id) {
                        let _ = operator.answer.send(answer);
                    }
                }
            }
            if let Some(stopped) = self.stopping.take_if(|_| !self.writer.is_writing()) {
                let _ = stopped.send(());
                return;
            }
        }
    }

    fn handle(&mut self, event: Event, host: &Arc<dyn ParticipantHost>, now: Instant) {
        match event {
            Event::Received(peer, message) => self.participant.receive(&peer, message, now),
            Event::Linked(peer) => self.participant.linked(&peer, now),
            Event::Unlinked(peer) => self.participant.unlinked(&peer),
            Event::Propose(Request { operation, files, who, withdrawn, answer }) => {
                if self.stopping.is_some() {
                    let _ = answer.send(Err(NotSwapped::Stopping));
                    return;
                }
                // Given up while it was queued.
                if withdrawn.is_cancelled() {
                    let _ = answer.send(Err(NotSwapped::Withdrawn));
                    return;
                }
                let id = self.next_proposal;
                self.next_proposal += 1;
                self.operators.insert(id, Operator { answer, withdrawn: Some(withdrawn) });
                if let (Operation::Swap(plan), Some(files)) = (&operation, files) {
                    self.participant.cache(plan.files(), &files);
                }
                self.participant.propose(id, operation, &who, now);
            }
            Event::Withdrawn(id) => {
                // It stays cancelled, and must not wake this task again.
                if let Some(operator) = self.operators.get_mut(&id) {
                    operator.withdrawn = None;
                }
                self.participant.withdraw_proposal(id);
            }
            Event::Prepared(attempt, digest, prepared) => self.participant.prepared(&attempt, digest, prepared, now),
            // Here and below the host is asked for what serves now: more may have happened since the event was queued.
            Event::Adopted(swap, result) => {
                let (live, _) = host.live();
                self.participant.adopted(&swap, result, live, now);
            }
            Event::ServingChanged(guest) => {
                let (serving, _) = host.live();
                if let Some((digest, guest)) = guest {
                    self.participant.guests().cache(digest, guest.guest);
                    if let Some(signatures) = guest.signatures {
                        self.participant.guests().sign(digest, signatures);
                    }
                }
                self.participant.serving_changed(serving);
            }
            Event::RolledBack(from, why) => {
                let (serving, _) = host.live();
                self.participant.rolled_back(from, serving, why, now);
            }
            Event::GuestFailed => self.participant.push(Action::Persist),
            Event::Written(written) => {
                self.writer.finished(&written, now);
                if let Err(error) = &written {
                    let node = &self.participant.node;
                    tracing::error!(%node, error, "rollout state not written, a restart would lose it; retrying");
                }
                self.status.lock().store_error = written.err();
            }
            Event::AwaitStored(waiting) => self.storing.push(waiting),
            Event::Stop(stopped) => {
                self.participant.cancel_proposal();
                self.stopping = Some(stopped);
            }
        }
    }

    /// Reports to everybody who waits for the disk that it has the state, or why not.
    fn stored(&mut self, host: &Arc<dyn ParticipantHost>, now: Instant) {
        let error = self.status.lock().store_error.clone();
        self.participant.report_adoption(error.as_deref(), now);
        for waiting in self.storing.drain(..) {
            // It has room for this one result. The operator may have left.
            let _ = waiting.try_send(error.clone().map_or(Ok(()), Err));
        }
        self.perform(host);
    }

    /// Performs the queued actions, in order.
    fn perform(&mut self, host: &Arc<dyn ParticipantHost>) {
        let actions: Vec<Action> = self.participant.actions().collect();
        for action in actions {
            match action {
                Action::Send(peer, message) => host.send(&peer, message.encode()),
                Action::SendToAll(except, message) => host.send_to_all(except.as_deref(), message.encode()),
                Action::Prepare { attempt, plan, files } => self.spawn(host, move |host| {
                    let prepared = job::catch_panic(|| host.prepare(files.borrowed(), &plan, &attempt.to_string()));
                    Some(Event::Prepared(attempt, plan.digest, prepared.unwrap_or_else(Err)))
                }),
                Action::Abort { digest, who, why } => self.spawn(host, move |host| {
                    let _ = job::catch_panic(|| host.abort(digest, &who, &why));
                    None
                }),
                Action::Adopt { swap, files } => self.spawn(host, move |host| {
                    let files = files.as_ref().map(StoredFiles::borrowed);
                    let adopted = job::catch_panic(|| host.adopt(&swap, files));
                    Some(Event::Adopted(swap, adopted.unwrap_or_else(|panic| Err(NotAdopted::Refused(panic)))))
                }),
                Action::Persist => self.persist(host),
                Action::Answer(id, answer) => self.answers.push((id, answer)),
            }
        }
    }

    fn spawn(
        &self,
        host: &Arc<dyn ParticipantHost>,
        call: impl FnOnce(&dyn ParticipantHost) -> Option<Event> + Send + 'static,
    ) {
        let host = Arc::clone(host);
        job::spawn(&self.local, move || call(&*host));
    }

    /// Queues a write of the state, with the guests that a restart or a peer needs.
    fn persist(&mut self, host: &Arc<dyn ParticipantHost>) {
        let write = PendingWrite::of(&mut self.participant, host.live(), host.failed_guests());
        self.writer.queue(write);
    }

    fn publish_status(&self) {
        let mut status = self.status.lock();
        status.herd_state.clone_from(&self.participant.herd_state);
        status.applied = self.participant.applied.as_ref().map_or(0, |swap| swap.number);
        status.engaged = self.participant.engaged_in();
    }
}

/// Operator who waits for the answer to a proposal.
struct Operator {
    answer: oneshot::Sender<Result<Outcome, NotSwapped>>,
    /// Cancelled when the operator no longer wants it. None once that was handled.
    withdrawn: Option<CancellationToken>,
}

/// Waits until an operator withdraws a proposal, and returns its identifier. Cancel safe.
fn withdrawal(operators: &BTreeMap<u64, Operator>) -> impl Future<Output = u64> + Send + use<> {
    let tokens = operators.iter().filter_map(|(id, operator)| Some((*id, operator.withdrawn.clone()?)));
    let withdrawals: Vec<BoxFuture<'static, u64>> = tokens
        .map(|(id, withdrawn)| -> BoxFuture<'static, u64> {
            Box::pin(async move {
                withdrawn.cancelled().await;
                id
            })
        })
        .collect();
    async move {
        // A list without futures never ends here, and would panic there.
        if withdrawals.is_empty() {
            return std::future::pending().await;
        }
        select_all(withdrawals).await.0
    }
}

/// Interval of ticks while a swap is in progress. Below the pause after which a neighbour that lacks a guest is asked again.
const TICK_BUSY: Duration = Duration::from_millis(10);
/// Interval of ticks otherwise.
const TICK_IDLE: Duration = Duration::from_secs(1);
