//! Queue of a link: messages that wait, and the wake-ups of the link's task.
//!
//! Reports wait in the outbox of the link's port, which wakes the task through this queue. Messages have a short queue and are sent
//! before reports. A message that finds it full is dropped; its sender repeats it.
//!
//! Knows nothing of sockets and of what is in a frame. Bounds: number and bytes of messages.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use herd_replication::WakeLink;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Messages that wait for one peer, each as its frame, and what wakes the link's task.
///
/// Each `Notify` stores one wake-up, so a push just before the task starts to wait is not lost.
#[derive(Default)]
pub(crate) struct LinkQueue {
    messages: Mutex<VecDeque<Bytes>>,
    reports_queued: Notify,
    frame_filled: Notify,
    messages_queued: Notify,
    /// Somebody doubts that the peer is there.
    probed: Notify,
}

/// Wakes the task of a link.
pub(crate) struct WakeTask(pub(crate) Arc<LinkQueue>);

impl WakeLink for WakeTask {
    fn reports_queued(&self) {
        self.0.reports_queued.notify_one();
    }

    fn frame_filled(&self) {
        // A wake-up of its own: the task waits for it only while it delays a small frame, and must not be woken by each
        // further report then.
        self.0.frame_filled.notify_one();
    }
}

impl LinkQueue {
    /// Queues the frame of a message. Never waits. Returns false if the queue is full; then the message was not queued.
    pub(crate) fn push_message(&self, frame: Bytes) -> bool {
        let mut messages = self.messages.lock();
        let bytes: usize = messages.iter().map(Bytes::len).sum();
        if messages.len() >= MESSAGES_MAX || bytes >= MESSAGES_BYTES_MAX {
            return false;
        }
        messages.push_back(frame);
        drop(messages);
        self.messages_queued.notify_one();
        true
    }

    /// Waits until a message was queued. Cancel safe.
    pub(crate) async fn messages_queued(&self) {
        self.messages_queued.notified().await;
    }

    /// Has the task take a turn soon.
    pub(crate) fn wake(&self) {
        self.reports_queued.notify_one();
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

    /// Has the task find out soon whether the peer is there.
    pub(crate) fn probe(&self) {
        // Both directions of the link wait for it.
        self.probed.notify_waiters();
    }

    /// Waits until the link was probed. Cancel safe.
    pub(crate) async fn probed(&self) {
        self.probed.notified().await;
    }

    /// Removes all messages and returns their frames in order.
    pub(crate) fn take_messages(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut *self.messages.lock())
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
        let queue = LinkQueue::default();
        let taken = (0..1000).filter(|number: &u32| queue.push_message(number.to_be_bytes().to_vec().into())).count();
        assert_eq!(taken, MESSAGES_MAX);
        let messages = queue.take_messages();
        assert_eq!((messages.len(), &messages[1][..]), (MESSAGES_MAX, &[0, 0, 0, 1][..]));
        let large = Bytes::from(vec![0; 1 << 20]);
        assert_eq!((0..9).filter(|_| queue.push_message(large.clone())).count(), 4);
    }
}
