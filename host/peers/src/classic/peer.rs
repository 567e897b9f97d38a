//! One classic peer: where it is, its counts, and what tells it apart from others as a source of lines.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use herd_replication::LinkPort;
use herd_sys::HostPort;
use parking_lot::Mutex;

use super::status::{ClassicPeerState, ClassicPeerStatus};

/// A configured classic peer, shared by its task, the status and the listener.
pub(super) struct ClassicPeer {
    pub(super) address: HostPort,
    pub(super) port: Arc<LinkPort>,
    /// Addresses of its host, as of the last look-up.
    ips: Mutex<Vec<IpAddr>>,
    state: Mutex<(ClassicPeerState, Option<String>)>,
    pub(super) sent: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) resends: AtomicU64,
    pub(super) resending: AtomicBool,
    failures: AtomicU64,
}

impl ClassicPeer {
    pub(super) fn new(address: HostPort, port: Arc<LinkPort>) -> Self {
        Self {
            ips: Mutex::new(address.host.ip().into_iter().collect()),
            address,
            port,
            state: Mutex::default(),
            sent: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            resends: AtomicU64::new(1),
            resending: AtomicBool::new(true),
            failures: AtomicU64::new(0),
        }
    }

    /// Returns whether the host of the peer has this address.
    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        self.ips.lock().contains(&ip)
    }

    /// Notes the addresses of its host.
    pub(super) fn set_ips(&self, ips: Vec<IpAddr>) {
        *self.ips.lock() = ips;
    }

    /// Notes that lines were delivered. Returns whether the peer was away before.
    pub(super) fn is_up(&self) -> bool {
        let before = std::mem::replace(&mut *self.state.lock(), (ClassicPeerState::Up, None));
        before.0 == ClassicPeerState::Down
    }

    /// Notes that an attempt failed. Returns whether the peer was there before, as far as was known.
    pub(super) fn is_down(&self, why: String) -> bool {
        let before = std::mem::replace(&mut *self.state.lock(), (ClassicPeerState::Down, Some(why)));
        let is_news = before.0 != ClassicPeerState::Down;
        self.failures.fetch_add(u64::from(is_news), Ordering::Relaxed);
        is_news
    }

    pub(super) fn status(&self) -> ClassicPeerStatus {
        let (state, last_error) = self.state.lock().clone();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ClassicPeerStatus {
            peer: self.address.to_string(),
            state,
            sent: count(&self.sent),
            skipped: count(&self.skipped),
            queued_bytes: self.port.queued_bytes(),
            dropped: self.port.dropped(),
            resends: count(&self.resends),
            resending: self.resending.load(Ordering::Relaxed),
            failures: count(&self.failures),
            last_error,
        }
    }
}
