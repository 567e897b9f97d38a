//! The queue of a link: reports and messages that wait, and the wake-ups of the link's task.
//!
//! Messages that are no reports have a short queue of their own and go first. A message that finds it full is lost; its
//! sender repeats it.
//!
//! Bounds: number and bytes of messages; for reports, those of [`Outbox`].

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use herd_replication::{Outbox, Push, ReportBatch};
use herd_sys::workers;
use tokio::sync::Notify;

/// The queue of a link.
pub(crate) struct LinkQueue {
    outbox: Outbox,
    messages: Mutex<VecDeque<Bytes>>,
    reports_queued: Notify,
    frame_filled: Notify,
    messages_queued: Notify,
}

impl LinkQueue {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            outbox: Outbox::new(bytes_max, workers::slots()),
            messages: Mutex::default(),
            reports_queued: Notify::new(),
            frame_filled: Notify::new(),
            messages_queued: Notify::new(),
        }
    }

    /// Adds an encoded report in the lane of this worker. Never waits. False when the link has ended; then it is not
    /// added.
    #[must_use]
    pub(crate) fn push(&self, report: &[u8]) -> bool {
        match self.outbox.push(workers::index(), report) {
            Push::Closed => return false,
            // Two wake-ups: the task waits for `frame_filled` only while it holds back a small frame.
            Push::FrameFilled => self.frame_filled.notify_one(),
            Push::Queued => {}
        }
        self.reports_queued.notify_one();
        true
    }

    /// Adds a message. Never waits. False when too many wait already; then it is not added.
    pub(crate) fn push_message(&self, message: Bytes) -> bool {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = messages.iter().map(Bytes::len).sum();
        if messages.len() >= MESSAGES_MAX || bytes >= MESSAGES_BYTES_MAX {
            return false;
        }
        messages.push_back(message);
        drop(messages);
        self.messages_queued.notify_one();
        true
    }

    /// Waits until there is a message. Cancel safe.
    pub(crate) async fn messages_queued(&self) {
        self.messages_queued.notified().await;
    }

    /// Waits until there is a report. Cancel safe.
    pub(crate) async fn reports_queued(&self) {
        self.reports_queued.notified().await;
    }

    /// Waits until there are enough reports for a frame of their own. Cancel safe. May return early: a turn may have
    /// taken them since.
    pub(crate) async fn frame_filled(&self) {
        self.frame_filled.notified().await;
    }

    /// Takes the messages that wait.
    pub(crate) fn take_messages(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reports that wait, without the wake-ups.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Takes all reports that wait, and admits no more.
    pub(crate) fn close(&self) -> ReportBatch {
        self.outbox.close()
    }
}

/// A round of a swap in a herd of fifty.
const MESSAGES_MAX: usize = 256;
/// A few chunks of a guest.
const MESSAGES_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_in_order_and_few_wait() {
        let queue = LinkQueue::new(1 << 20);
        let taken = (0..1000).filter(|number: &u32| queue.push_message(number.to_be_bytes().to_vec().into())).count();
        assert_eq!(taken, MESSAGES_MAX);
        let messages = queue.take_messages();
        assert_eq!((messages.len(), &messages[1][..]), (MESSAGES_MAX, &[0, 0, 0, 1][..]));
        let large = Bytes::from(vec![0; 1 << 20]);
        assert_eq!((0..9).filter(|_| queue.push_message(large.clone())).count(), 4);
    }
}
