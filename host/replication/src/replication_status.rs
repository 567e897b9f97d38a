//! Status of replication on a link, as operators and scripts read it.

use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use crate::live_links::LinkPort;

/// Replication on one link, in numbers since it came up.
#[derive(Clone, Debug, Serialize)]
pub struct LinkReplication {
    /// Name of the peer.
    pub peer: String,
    /// A resend of what the peer lacks is due or under way.
    pub owes: bool,
    /// Keeps that this node covers and the peer did not at the last look.
    pub lag: u64,
    /// Bytes of reports that wait for the peer.
    pub queued_bytes: usize,
    /// Number of reports dropped because the peer was too slow. A resend brings them.
    pub dropped_reports: u64,
    /// Number of reports sent.
    pub reports_sent: u64,
    /// Bytes of all frames sent.
    pub bytes_sent: u64,
    /// Number of resends: one as the link came up, and one for each time that its queue was dropped.
    pub resends: u64,
    /// Shards of the table of which resends read every record.
    pub shards_scanned: u64,
}

impl LinkReplication {
    /// Reads the counters of a link.
    #[must_use]
    pub fn of(port: &LinkPort) -> Self {
        let counts = &port.counts;
        Self {
            peer: port.peer().into(),
            owes: counts.owes.load(Relaxed) || port.outbox.is_behind(),
            lag: counts.lag.load(Relaxed),
            queued_bytes: port.outbox.bytes(),
            dropped_reports: port.outbox.dropped(),
            reports_sent: counts.reports_sent.load(Relaxed),
            bytes_sent: counts.bytes_sent.load(Relaxed),
            resends: counts.resends.load(Relaxed),
            shards_scanned: counts.shards_scanned.load(Relaxed),
        }
    }
}
