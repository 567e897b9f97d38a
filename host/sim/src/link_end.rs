//! Link end: one node's end of a connection, and the frames that it has sent.
//!
//! Frames arrive in order or not at all. Knows nothing of time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use herd_replication::{LinkFrame, LinkMachine, LinkPort, Replica, WakeLink};

/// Kind of a sign of life, which links have beside those of replication.
pub(crate) const PING: u8 = 0;
/// Kind of a message of a swap, which links have too.
pub(crate) const MESSAGE: u8 = 7;

/// One end of a connection.
pub(crate) struct LinkEnd {
    pub(crate) machine: LinkMachine,
    /// Number of the connection. The other end has the same, or belongs to another connection.
    pub(crate) connection: u64,
    pub(crate) flight: VecDeque<(u8, Bytes)>,
    /// Frames whose time came while the network was cut. They arrive when it heals.
    pub(crate) stalled: u64,
    /// Time of the next turn, if one is due.
    pub(crate) turn_at: Option<u64>,
    pub(crate) heard_at: u64,
    /// Digests are being refreshed for a proof of this link.
    pub(crate) refreshing: bool,
    woken: Arc<Woken>,
}

/// Set by keeps, read by the world.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

struct Waker(Arc<Woken>);

impl WakeLink for Waker {
    fn reports_queued(&self) {
        self.0.0.store(true, Ordering::Relaxed);
    }

    fn frame_filled(&self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl LinkEnd {
    /// Begins an end, with its greeting in flight. Returns the number of frames.
    pub(crate) fn new(replica: &Arc<Replica>, peer: &str, workers: usize, connection: u64, now: u64) -> (Self, usize) {
        let woken = Arc::<Woken>::default();
        let port = LinkPort::new(peer, 1 << 20, workers, Waker(Arc::clone(&woken)));
        replica.add_link(&port);
        let mut machine = LinkMachine::new(Arc::clone(replica), port);
        let greeting = machine.greet();
        let flight = VecDeque::new();
        let mut end =
            Self { machine, connection, flight, stalled: 0, turn_at: None, heard_at: now, refreshing: false, woken };
        let frames = end.send(&greeting.frames);
        (end, frames)
    }

    /// Sends frames, encoded as they travel. Returns their number.
    pub(crate) fn send(&mut self, frames: &[LinkFrame]) -> usize {
        self.flight.extend(frames.iter().map(|frame| (frame.kind(), frame.body())));
        frames.len()
    }

    /// Returns whether the peer has been sent all that it lacks, and nothing of it is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        self.machine.is_settled()
            && self.stalled == 0
            && self.flight.iter().all(|(kind, _)| *kind == PING || *kind == MESSAGE)
    }

    /// Returns whether reports were queued since the last call.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.0.swap(false, Ordering::Relaxed)
    }
}
