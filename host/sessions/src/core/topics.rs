//! Topics: bytes for every session of this node that subscribed.
//!
//! A publish never waits. A session whose channel is full loses the push, which is counted, and receives the next ones. A
//! publish while no session subscribes costs one atomic load.
//!
//! Owns the subscribers of each topic. Knows nothing of sockets and guests. Bounds: topics per session; pushes that wait for a
//! session, which its limits set.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::mpsc;

/// Number of a session, unique on its node since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(pub(crate) u64);

/// The topics of a node.
pub struct Topics {
    /// By hash of the topic, so that workers seldom meet at a lock.
    shards: Box<[RwLock<Shard>]>,
    /// Random keys: topics come from clients, who must not be able to choose the shard.
    hasher: RandomState,
    /// Number of subscriptions of all sessions.
    subscribers: AtomicUsize,
    /// Number of pushes dropped since the start.
    dropped: AtomicU64,
}

/// The subscribers of some of the topics.
#[derive(Default)]
struct Shard(HashMap<Box<[u8]>, Vec<Subscriber>>);

/// A session on a topic.
#[derive(Clone)]
struct Subscriber {
    session: SessionId,
    pushes: mpsc::Sender<Bytes>,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            subscribers: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }
}

impl Topics {
    /// Sends bytes to every session on a topic. Never waits: a session without room loses the push.
    pub fn publish(&self, topic: &[u8], bytes: &[u8]) {
        // Relaxed is enough: a publish that races with a subscription may come before or after it.
        if self.subscribers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let shard = self.shard(topic).read();
        let Some(subscribers) = shard.0.get(topic) else { return };
        let bytes = Bytes::copy_from_slice(bytes);
        for subscriber in subscribers {
            // A publisher is the worker of another session, in the middle of a decision. Waiting for a client that does not
            // read would stop all sessions of that worker, and holding the push would let that client grow the memory of the
            // node.
            if subscriber.pushes.try_send(bytes.clone()).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Number of pushes dropped because their session had no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn join(&self, topic: &[u8], subscriber: Subscriber) {
        let mut shard = self.shard(topic).write();
        let subscribers = shard.0.entry(topic.into()).or_default();
        if subscribers.iter().all(|other| other.session != subscriber.session) {
            subscribers.push(subscriber);
            self.subscribers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn leave(&self, topic: &[u8], session: SessionId) {
        let mut shard = self.shard(topic).write();
        let Some(subscribers) = shard.0.get_mut(topic) else { return };
        let before = subscribers.len();
        subscribers.retain(|subscriber| subscriber.session != session);
        self.subscribers.fetch_sub(before - subscribers.len(), Ordering::Relaxed);
        if subscribers.is_empty() {
            shard.0.remove(topic);
        }
    }

    fn shard(&self, topic: &[u8]) -> &RwLock<Shard> {
        &self.shards[usize::try_from(self.hasher.hash_one(topic) % SHARDS as u64).unwrap_or(0)]
    }
}

/// The subscriptions of one session. Created with the first, so that other sessions do not pay for the channel.
pub(crate) struct Subscriptions {
    session: SessionId,
    topics: Vec<Box<[u8]>>,
    /// Cloned for each topic. Held here too, so the channel never closes while the session lives.
    sender: mpsc::Sender<Bytes>,
    /// Published bytes that the session has not queued as replies yet.
    pub(crate) pushes: mpsc::Receiver<Bytes>,
}

impl Subscriptions {
    pub(crate) fn new(session: SessionId, pushes_max: usize) -> Self {
        let (sender, pushes) = mpsc::channel(pushes_max.max(1));
        Self { session, topics: Vec::new(), sender, pushes }
    }

    /// Returns whether the session is on any topic.
    pub(crate) fn is_subscribed(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Joins a topic. Returns false if the session is on too many; joining one twice is one subscription.
    pub(crate) fn subscribe(&mut self, all: &Topics, topic: &[u8]) -> bool {
        if self.topics.iter().any(|other| **other == *topic) {
            return true;
        }
        if self.topics.len() >= TOPICS_MAX {
            return false;
        }
        all.join(topic, Subscriber { session: self.session, pushes: self.sender.clone() });
        self.topics.push(topic.into());
        true
    }

    /// Leaves a topic. Pushes that were sent before still arrive.
    pub(crate) fn unsubscribe(&mut self, all: &Topics, topic: &[u8]) {
        self.topics.retain(|other| **other != *topic);
        all.leave(topic, self.session);
    }

    /// Leaves every topic, at the end of the session.
    pub(crate) fn leave_all(&mut self, all: &Topics) {
        for topic in std::mem::take(&mut self.topics) {
            all.leave(&topic, self.session);
        }
    }
}

/// Locks of all topics. Far more than workers, so that two seldom want the same one.
const SHARDS: usize = 64;
/// Topics per session.
const TOPICS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publish_reaches_exactly_the_subscribers_of_its_topic() {
        let topics = Topics::default();
        let mut first = Subscriptions::new(SessionId(1), 4);
        let mut second = Subscriptions::new(SessionId(2), 4);
        assert!(first.subscribe(&topics, b"a") && first.subscribe(&topics, b"a") && second.subscribe(&topics, b"b"));
        topics.publish(b"a", b"1");
        assert_eq!(first.pushes.try_recv().unwrap(), "1");
        assert!(first.pushes.try_recv().is_err(), "a topic joined twice brings its bytes once");
        assert!(second.pushes.try_recv().is_err());
        first.unsubscribe(&topics, b"a");
        second.leave_all(&topics);
        topics.publish(b"a", b"2");
        assert!(first.pushes.try_recv().is_err());
        assert_eq!(topics.subscribers.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn publish_drops_and_counts_what_a_full_session_cannot_take() {
        let topics = Topics::default();
        let mut slow = Subscriptions::new(SessionId(1), 1);
        assert!(slow.subscribe(&topics, b"a"));
        topics.publish(b"a", b"1");
        topics.publish(b"a", b"2");
        assert_eq!((topics.dropped(), slow.pushes.try_recv().unwrap()), (1, Bytes::from("1")));
    }
}
