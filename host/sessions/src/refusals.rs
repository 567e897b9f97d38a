//! Connections that were refused, and sessions that had to wait or ended by a timeout, by reason.
//!
//! Owns the counts and the throttle of the log. Bounds: one line a second and node.

use std::array;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_sys::{LogThrottle, clock};

use crate::core::pace::InputRate;
use crate::core::timeouts::Timeout;

/// Reason why a connection was closed before it became a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The allow list does not have its address.
    NotAllowed,
    /// The memory of the process is short.
    Memory,
    /// The node has as many sessions as it may.
    Sessions,
    /// Its address has as many sessions as it may.
    SessionsOfAddress,
    /// Its address connects too often.
    ConnectionRate,
    /// The other open files of the process are reserved.
    OpenFiles,
    /// The hand-off queue of its worker is full.
    HandoffQueue,
    /// As many handshakes as there may be are under way, and this one gave way to a newer one.
    Handshakes,
    /// As many handshakes of its address as there may be are under way, and this one gave way to a newer one.
    HandshakesOfAddress,
    /// Its handshake failed.
    HandshakeFailed,
    /// Its handshake took too long.
    HandshakeTimeout,
}

/// Counts of a node, since its start.
#[derive(Debug)]
pub(crate) struct Refusals {
    refused: [AtomicU64; Refusal::ALL.len()],
    paused: [AtomicU64; InputRate::ALL.len()],
    timed_out: [AtomicU64; Timeout::ALL.len()],
    log: LogThrottle,
}

impl Refusal {
    const ALL: [Self; 11] = [
        Self::NotAllowed,
        Self::Memory,
        Self::Sessions,
        Self::SessionsOfAddress,
        Self::ConnectionRate,
        Self::OpenFiles,
        Self::HandoffQueue,
        Self::Handshakes,
        Self::HandshakesOfAddress,
        Self::HandshakeFailed,
        Self::HandshakeTimeout,
    ];

    /// Key of the count in the status, and reason in the log.
    fn label(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::Memory => "memory",
            Self::Sessions => "sessions_max",
            Self::SessionsOfAddress => "sessions_per_address_max",
            Self::ConnectionRate => "connections_per_s",
            Self::OpenFiles => "open_files",
            Self::HandoffQueue => "handoff_queue",
            Self::Handshakes => "handshakes",
            Self::HandshakesOfAddress => "handshakes_per_address",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
        }
    }
}

impl InputRate {
    const ALL: [Self; 2] = [Self::Lines, Self::Bytes];

    fn label(self) -> &'static str {
        match self {
            Self::Lines => "lines_per_s",
            Self::Bytes => "kib_per_s",
        }
    }
}

impl Timeout {
    const ALL: [Self; 3] = [Self::UnfinishedLine, Self::Idle, Self::Unread];

    fn label(self) -> &'static str {
        match self {
            Self::UnfinishedLine => "unfinished_line_s",
            Self::Idle => "idle_s",
            Self::Unread => "unread_s",
        }
    }
}

impl Refusals {
    pub(crate) fn new() -> Self {
        let zeros = |_| AtomicU64::new(0);
        Self {
            refused: array::from_fn(zeros),
            paused: array::from_fn(zeros),
            timed_out: array::from_fn(zeros),
            log: LogThrottle::new(1),
        }
    }

    /// Counts a connection that is closed.
    pub(crate) fn refused(&self, node: &str, address: SocketAddr, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.admit(clock::unix_now()) {
            tracing::warn!(%node, client.addr = %address, limit = refusal.label(), suppressed, "client refused");
        }
    }

    /// Counts a session that has to wait before it reads on.
    pub(crate) fn paused(&self, node: &str, address: SocketAddr, rate: InputRate) {
        self.paused[rate as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.admit(clock::unix_now()) {
            tracing::warn!(%node, client.addr = %address, limit = rate.label(), suppressed, "client slowed down");
        }
    }

    /// Counts a session that ends by a timeout.
    pub(crate) fn timed_out(&self, timeout: Timeout) {
        self.timed_out[timeout as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts of refused connections.
    pub(crate) fn refused_by_limit(&self) -> BTreeMap<&'static str, u64> {
        Refusal::ALL.map(|refusal| (refusal.label(), self.refused[refusal as usize].load(Ordering::Relaxed))).into()
    }

    /// Returns the counts of sessions that ended by a timeout.
    pub(crate) fn ended_by_timeout(&self) -> BTreeMap<&'static str, u64> {
        Timeout::ALL.map(|timeout| (timeout.label(), self.timed_out[timeout as usize].load(Ordering::Relaxed))).into()
    }

    /// Returns the counts of waits.
    pub(crate) fn paused_by_limit(&self) -> BTreeMap<&'static str, u64> {
        InputRate::ALL.map(|rate| (rate.label(), self.paused[rate as usize].load(Ordering::Relaxed))).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_under_their_own_label() {
        let refusals = Refusals::new();
        let address = ([192, 0, 2, 1], 1).into();
        for (times, refusal) in (1..).zip(Refusal::ALL) {
            (0..times).for_each(|_| refusals.refused("Riley", address, refusal));
        }
        refusals.paused("Riley", address, InputRate::Bytes);
        let expected: BTreeMap<_, u64> =
            (1..).zip(Refusal::ALL).map(|(times, refusal)| (refusal.label(), times)).collect();
        assert_eq!(refusals.refused_by_limit(), expected);
        assert_eq!(refusals.paused_by_limit(), [("kib_per_s", 1), ("lines_per_s", 0)].into());
        refusals.timed_out(Timeout::Idle);
        assert_eq!(refusals.ended_by_timeout(), [("idle_s", 1), ("unfinished_line_s", 0), ("unread_s", 0)].into());
    }
}
