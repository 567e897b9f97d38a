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
    /// Seconds since both nodes were last found to hold equal records. `None`: not since the link came up.
    pub proof_age_s: Option<u64>,
    /// Number of proofs that both nodes hold equal records.
    pub proofs: u64,
    /// Number of buckets of about 64 records that were found unequal and mended. Above 0 after a lost disk or a bug.
    pub repairs: u64,
    /// Bytes that proofs have cost, except the records that they mended.
    pub proof_bytes: u64,
}

impl LinkReplication {
    /// Reads the counters of a link.
    #[must_use]
    pub fn of(port: &LinkPort) -> Self {
        let counts = &port.counts;
        let proved_at_s = counts.proved_at_s.load(Relaxed);
        let age_s = counts.now_s.load(Relaxed).saturating_sub(proved_at_s);
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
            proof_age_s: (proved_at_s != 0).then_some(age_s),
            proofs: counts.proofs.load(Relaxed),
            repairs: counts.repairs.load(Relaxed),
            proof_bytes: counts.proof_bytes.load(Relaxed),
        }
    }

    /// Returns whether the link shows that both nodes hold the same records: nothing is owed, no keep is ahead, and the last proof is
    /// younger than two periods of proofs.
    #[must_use]
    pub fn converged(&self) -> bool {
        !self.owes && self.lag == 0 && self.proof_age_s.is_some_and(|age| age < 2 * PROOF_PERIOD_S)
    }
}

/// Time between two proofs of a link, in seconds.
pub(crate) const PROOF_PERIOD_S: u64 = 30;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stamp::{LaneId, Stamp};
    use crate::tests::pair::Asleep;
    use crate::wire_report::{Head, WireReport};

    fn port() -> Arc<LinkPort> {
        LinkPort::new("Riley", 1 << 20, 1, Asleep)
    }

    #[test]
    fn link_owes_what_was_dropped_until_it_has_sent_it_again() {
        let port = port();
        assert!(LinkReplication::of(&port).owes, "all that the peer lacks");
        port.counts.owes.store(false, Relaxed);
        assert!(!LinkReplication::of(&port).owes);
        let (head, record, mut item) = (Head::of(Stamp { lane: LaneId(0), seq: 1 }), vec![0; 1 << 20], Vec::new());
        WireReport { head, key: b"kiwi", reign: 0, rank: b"1", form: 1, record: &record, extension: b"" }
            .encode(&mut item);
        let _ = port.outbox.push(0, &item);
        let status = LinkReplication::of(&port);
        assert_eq!((status.owes, status.dropped_reports, &*status.peer), (true, 1, "Riley"));
        assert!(port.outbox.take_behind());
        assert!(!LinkReplication::of(&port).owes);
    }

    #[test]
    fn link_has_converged_if_nothing_is_owed_or_ahead_and_the_last_proof_is_young() {
        let status = LinkReplication::of(&port());
        let converged =
            |owes, lag, proof_age_s| LinkReplication { owes, lag, proof_age_s, ..status.clone() }.converged();
        assert_eq!([0, 59, 60].map(|age_s| converged(false, 0, Some(age_s))), [true, true, false]);
        assert_eq!([converged(false, 0, None), converged(true, 0, Some(0)), converged(false, 1, Some(0))], [false; 3]);
        assert!(!converged(true, 1, Some(0)));
    }
}
