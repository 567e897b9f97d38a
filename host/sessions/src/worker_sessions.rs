//! The sessions of one node on one worker, and the task that runs their batcher.
//!
//! Owns the batcher, its waker, and weak references to the sessions: all of them for a drain, and those whose replies wait.
//! Decides nothing itself. Bounds: one guest call per poll; one per [`RETRY`] while the host has no room for an instance, until the
//! timeouts of the sessions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use herd_sys::clock;
use tokio::time::Sleep;

use crate::core::batcher::{BatchedSession, Batcher};
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::shared::Shared;
use crate::waiting_sessions::WaitingSessions;

/// A session as its worker addresses it when something changes for all sessions.
pub(crate) trait AddressedSession {
    /// Discards undecided input. The session ends once its replies are written.
    fn drain(&self);

    /// Queues input that waits for bytes that a generation awaited, because another generation may decide since.
    fn offer_again(self: &Rc<Self>);

    /// Sends the replies whose wait for a confirmation is over. Returns the deadline of the next one, if one waits.
    fn release_replies(self: &Rc<Self>, now: Instant) -> Option<Instant>;
}

/// The sessions of one node on one worker.
pub(crate) struct WorkerSessions<S, M> {
    pub(crate) shared: Arc<Shared<S>>,
    batcher: Batcher<S, M>,
    /// Weak: a session lives as long as its task.
    sessions: RefCell<HashMap<SessionId, Weak<M>>>,
    /// Shared with the task that follows the confirmations.
    waiting: Rc<WaitingSessions<M>>,
    /// Wakes the task that runs the batcher.
    waker: RefCell<Option<Waker>>,
}

impl<S: SessionsHost, M: BatchedSession + AddressedSession> WorkerSessions<S, M> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Rc<Self> {
        let batcher = Batcher::new(Arc::clone(&shared.context));
        Rc::new(Self {
            shared,
            batcher,
            sessions: RefCell::default(),
            waiting: Rc::default(),
            waker: RefCell::default(),
        })
    }

    /// Runs the batcher until the listener and every session are gone.
    ///
    /// The task holds only a weak reference, or it would keep itself alive. The last of the other owners wakes it (see `Drop`),
    /// and it ends.
    pub(crate) async fn serve(sessions: Weak<Self>, shared: Arc<Shared<S>>) {
        let mut draining = pin!(shared.draining.cancelled());
        let mut drained = false;
        // Ends the wait for an instance.
        let mut retry: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let Some(sessions) = sessions.upgrade() else { return Poll::Ready(()) };
            // A task keeps its waker for life, so it is stored once.
            if sessions.waker.borrow().is_none() {
                sessions.waker.replace(Some(cx.waker().clone()));
            }
            if !drained && draining.as_mut().poll(cx).is_ready() {
                drained = true;
                sessions.drain_all();
            }
            if retry.as_mut().is_some_and(|retry| retry.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
            retry = None;
            // One reading for the whole batch: it is the receipt time of all its inputs.
            if !sessions.batcher.decide_batch(clock::now(), Instant::now()) {
                let retry = retry.insert(Box::pin(tokio::time::sleep(RETRY)));
                // Registers the waker; a sleep that has just begun is pending.
                let _ = retry.as_mut().poll(cx);
                return Poll::Pending;
            }
            // One call per poll and not a loop. The worker polls its sockets in between, so a session that always has input
            // delays the others by one call only.
            if !sessions.batcher.is_empty() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }

    /// Offers waiting input again after each change of the generations that decide, until the node drains.
    ///
    /// A task of its own: the batcher polls its sources on every batch, and this one nearly never has news.
    pub(crate) async fn follow_changes(sessions: Weak<Self>, shared: Arc<Shared<S>>) {
        let mut changes = shared.context.host.changes();
        loop {
            tokio::select! {
                biased;
                () = shared.draining.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
            let Some(all) = sessions.upgrade().map(|sessions| sessions.weak()) else { return };
            // In parts, or a worker with a hundred thousand idle sessions would answer nobody for milliseconds at each swap. A
            // session that ends meanwhile needs no offer, and one that begins has the new generation from its start.
            for some in all.chunks(OFFERED_AT_ONCE) {
                some.iter().filter_map(Weak::upgrade).for_each(|session| session.offer_again());
                tokio::task::yield_now().await;
            }
        }
    }

    /// Sends replies as their keeps are confirmed or their time is over, until every session is gone. Goes on in a drain.
    pub(crate) async fn follow_confirmations(sessions: Weak<Self>, shared: Arc<Shared<S>>) {
        let host = &shared.context.host;
        if !host.waits_for_confirmation() {
            return;
        }
        let mut confirmations = host.confirmations();
        // A session may have begun to wait before this task ran.
        confirmations.mark_changed();
        let Some(waiting) = sessions.upgrade().map(|sessions| Rc::clone(&sessions.waiting)) else { return };
        let mut ended = false;
        while sessions.strong_count() > 0 {
            tokio::select! {
                biased;
                // Marks the change as seen before the sessions are asked, so one that comes meanwhile is not missed.
                changed = confirmations.changed(), if !ended => ended = changed.is_err(),
                () = waiting.alarm() => {}
            }
            let now = Instant::now();
            let (mut wait_on, mut deadline) = (waiting.take(now), None);
            // In place, and in parts, or a worker with thousands of sessions would answer nobody else meanwhile.
            for some in wait_on.chunks_mut(RELEASED_AT_ONCE) {
                for session in some {
                    let next = session.upgrade().and_then(|session| session.release_replies(now));
                    if next.is_none() {
                        *session = Weak::new();
                    }
                    deadline = deadline.into_iter().chain(next).min();
                }
                tokio::task::yield_now().await;
            }
            wait_on.retain(|session| session.strong_count() > 0);
            waiting.put_back(wait_on, deadline);
        }
    }

    /// Lists a session whose first reply waits for a confirmation until `deadline`.
    pub(crate) fn await_confirmation(&self, session: &Rc<M>, deadline: Instant) {
        self.waiting.add(session, deadline);
    }

    /// Registers a session, so that a drain reaches it.
    pub(crate) fn admit(&self, id: SessionId, session: &Rc<M>) {
        self.sessions.borrow_mut().insert(id, Rc::downgrade(session));
    }

    /// Queues the input of a session for a decision.
    pub(crate) fn enqueue(&self, session: Rc<M>) {
        // Only the first session of a batch wakes the task. The runtime polls it behind the sessions that are ready now, so it
        // finds their input in the queue too.
        if self.batcher.enqueue(session) {
            self.wake();
        }
    }

    fn drain_all(&self) {
        self.all().iter().for_each(|session| session.drain());
    }

    fn weak(&self) -> Vec<Weak<M>> {
        self.sessions.borrow().values().cloned().collect()
    }

    /// Returns the sessions. Collected, because a session that ends while they are addressed removes itself from the map.
    fn all(&self) -> Vec<Rc<M>> {
        self.sessions.borrow().values().filter_map(Weak::upgrade).collect()
    }
}

impl<S, M> WorkerSessions<S, M> {
    /// Removes a session that ended.
    pub(crate) fn remove(&self, id: SessionId) {
        self.sessions.borrow_mut().remove(&id);
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl<S, M> Drop for WorkerSessions<S, M> {
    fn drop(&mut self) {
        self.wake();
        self.waiting.close();
    }
}

/// Wait before the next call when the host had no room for an instance. An instance is free again after a call, or a swap.
const RETRY: Duration = Duration::from_millis(5);

/// Sessions whose replies are sent at once after a confirmation. Each costs a write to its socket: less than a millisecond.
const RELEASED_AT_ONCE: usize = 128;
/// Sessions that are asked at once whether they have input for another generation: some ten microseconds.
const OFFERED_AT_ONCE: usize = 256;
