//! The sessions of a worker whose next reply waits until its keep is confirmed.
//!
//! Where replies wait for the disk, all busy sessions of a worker wait for the same sync. So a session is listed only while it
//! waits, a change wakes one task per worker, and that asks for the first reply of each listed session. Deadlines have one timer
//! per worker. It is set for the earliest deadline and not moved when that reply goes out: it fires once per timeout at most,
//! mostly for nothing, and a reply costs no timer.
//!
//! Owns the list and the time of the timer. Bounds: the sessions of the worker.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Instant;

use tokio::sync::Notify;

/// Sessions that wait, and when they are to be looked at if no confirmation comes.
pub(crate) struct WaitingSessions<M> {
    /// Weak: a session that broke need not be removed.
    sessions: RefCell<Vec<Weak<M>>>,
    /// No later than the earliest deadline of a listed session. None: the timer is not set.
    alarm: Cell<Option<Instant>>,
    /// Wakes the task when the alarm is earlier than before, or the worker has no more sessions.
    changed: Notify,
}

impl<M> WaitingSessions<M> {
    /// Lists a session whose first reply waits until `deadline`. The session is not listed yet.
    pub(crate) fn add(&self, session: &Rc<M>, deadline: Instant) {
        self.sessions.borrow_mut().push(Rc::downgrade(session));
        self.set_alarm(deadline);
    }

    /// Takes all sessions off the list. The caller returns those that wait on with [`put_back`](Self::put_back).
    pub(crate) fn take(&self, now: Instant) -> Vec<Weak<M>> {
        if self.alarm.get().is_some_and(|alarm| alarm <= now) {
            self.alarm.set(None);
        }
        self.sessions.take()
    }

    /// Lists sessions again that wait on, the earliest until `deadline`.
    pub(crate) fn put_back(&self, mut sessions: Vec<Weak<M>>, deadline: Option<Instant>) {
        let mut listed = self.sessions.borrow_mut();
        // Sessions that began to wait meanwhile are few.
        sessions.append(&mut listed);
        *listed = sessions;
        deadline.into_iter().for_each(|deadline| self.set_alarm(deadline));
    }

    /// Wakes the task, because the worker has no more sessions.
    pub(crate) fn close(&self) {
        self.changed.notify_one();
    }

    /// Waits for the alarm. Returns also when it is set to an earlier time, and after [`close`](Self::close). Cancel safe.
    pub(crate) async fn alarm(&self) {
        tokio::select! {
            biased;
            () = self.changed.notified() => {}
            () = sleep_until(self.alarm.get()) => {}
        }
    }

    fn set_alarm(&self, deadline: Instant) {
        if self.alarm.get().is_none_or(|alarm| deadline < alarm) {
            self.alarm.set(Some(deadline));
            self.changed.notify_one();
        }
    }
}

impl<M> Default for WaitingSessions<M> {
    fn default() -> Self {
        Self { sessions: RefCell::default(), alarm: Cell::default(), changed: Notify::new() }
    }
}

async fn sleep_until(alarm: Option<Instant>) {
    match alarm {
        Some(alarm) => tokio::time::sleep_until(alarm.into()).await,
        None => std::future::pending().await,
    }
}
