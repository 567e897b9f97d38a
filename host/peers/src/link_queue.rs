//! Queue of a link: reports and messages that wait, and the wake-ups of the link's task.
//!
//! Messages have a short queue of their own and are sent before reports. A message that finds it full is dropped; its
//! sender repeats it.
//!
//! Knows nothing of frames and sockets. Bounds: number and bytes of messages; for reports, those of [`Outbox`].

use std::collections::VecDeque;

use bytes::Bytes;
use herd_replication::{Outbox, Push, ReportBatch};
use herd_sys::workers;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Reports and messages that wait for one peer.
///
/// Each `Notify` stores one wake-up, so a push just before the task starts to wait is not lost.
pub(crate) struct LinkQueue {
    outbox: Outbox,
    messages: Mutex<VecDeque<Bytes>>,
    reports_queued: Notify,
    frame_filled: Notify,
    messages_queued: Notify,
}

impl LinkQueue {
    /// Creates a queue whose reports have `bytes_max` bytes at most, in a lane per worker.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            outbox: Outbox::new(bytes_max, workers::slots()),
            messages: Mutex::default(),
            reports_queued: Notify::new(),
            frame_filled: Notify::new(),
            messages_queued: Notify::new(),
        }
    }

    /// Queues an encoded report in the lane of this worker. Never waits. Returns false if the link has ended; then the
    /// report was not queued.
    #[inline]
    #[must_use]
    pub(crate) fn push(&self, report: &[u8]) -> bool {
        match self.outbox.push(workers::index(), report) {
            Push::Closed => return false,
            // A wake-up of its own: the task waits for it only while it delays a small frame, and must not be woken by each
            // further report then.
            Push::FrameFilled => self.frame_filled.notify_one(),
            Push::Queued => {}
        }
        self.reports_queued.notify_one();
        true
    }

    /// Queues a message. Never waits. Returns false if the queue is full; then the message was not queued.
    pub(crate) fn push_message(&self, message: Bytes) -> bool {
        let mut messages = self.messages.lock();
        let bytes: usize = messages.iter().map(Bytes::len).sum();
        if messages.len() >= MESSAGES_MAX || bytes >= MESSAGES_BYTES_MAX {
            return false;
        }
        messages.push_back(message);
        drop(messages);
        self.messages_queued.notify_one();
        true
    }

    /// Waits until a message was queued. Cancel safe.
    pub(crate) async fn messages_queued(&self) {
        self.messages_queued.notified().await;
    }

    /// Waits until a report was queued. Cancel safe.
    pub(crate) async fn reports_queued(&self) {
        self.reports_queued.notified().await;
    }

    /// Waits until a lane had enough reports for a frame. Cancel safe. May return early, when the reports of a stored
    /// wake-up were taken already; then the frame is smaller, which does no harm.
    pub(crate) async fn frame_filled(&self) {
        self.frame_filled.notified().await;
    }

    /// Removes all messages and returns them in order.
    pub(crate) fn take_messages(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut *self.messages.lock())
    }

    /// Returns the reports that wait.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Closes the queue of reports and returns those that waited.
    pub(crate) fn close(&self) -> ReportBatch {
        self.outbox.close()
    }
}

/// Messages that wait: those of one swap in a herd of fifty nodes.
const MESSAGES_MAX: usize = 256;
/// Bytes of messages above which no further one is queued: a few chunks of a guest.
const MESSAGES_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_queue_keeps_the_order_and_its_limits() {
        let queue = LinkQueue::new(1 << 20);
        let taken = (0..1000).filter(|number: &u32| queue.push_message(number.to_be_bytes().to_vec().into())).count();
        assert_eq!(taken, MESSAGES_MAX);
        let messages = queue.take_messages();
        assert_eq!((messages.len(), &messages[1][..]), (MESSAGES_MAX, &[0, 0, 0, 1][..]));
        let large = Bytes::from(vec![0; 1 << 20]);
        assert_eq!((0..9).filter(|_| queue.push_message(large.clone())).count(), 4);
    }
}
