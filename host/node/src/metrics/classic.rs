//! Metrics of classic links, on a node that has any.

use std::fmt;

use herd_peers::classic::{ClassicPeerState, ClassicPeerStatus};

use super::families::Families;
use crate::classic_host::ClassicStatus;

pub(super) fn write(families: &mut Families<'_, '_>, status: &ClassicStatus) -> fmt::Result {
    families.counter("herd_classic_lines", "Lines of classic peers that the guest consumed", status.lines)?;
    let outcomes = [
        ("applied", status.applied),
        ("outranked", status.outranked),
        ("refused", status.refused),
        ("invalid", status.invalid),
    ];
    families.counters(
        "herd_classic_line_outcomes",
        "Outcomes of these lines: `refused` for a record that there was no room for, `invalid` for a line of which nothing was kept",
        outcomes.map(|(outcome, count)| ([("outcome", outcome)], count as f64)),
    )?;
    families.counter(
        "herd_classic_replies_dropped",
        "Replies of the guest to these lines, which are not sent; more than none if it takes them for commands",
        status.replies_dropped,
    )?;
    if let Some(connections) = &status.connections {
        families.gauge("herd_classic_connections", "Open connections of classic peers", connections.open as f64)?;
        families.counter(
            "herd_classic_connections_accepted",
            "Connections of classic peers that were accepted",
            connections.accepted,
        )?;
        families.counters(
            "herd_classic_connections_refused",
            "Connections to the port of classic links that were closed at once, by limit; `not_allowed` for a foreign address",
            connections.refused_by_limit.iter().map(|(limit, count)| ([("limit", *limit)], *count as f64)),
        )?;
    }
    let by_peer = |of: fn(&ClassicPeerStatus) -> f64| {
        status.peers.iter().map(move |peer| ([("peer", peer.peer.as_str())], of(peer)))
    };
    let states = [ClassicPeerState::Idle, ClassicPeerState::Up, ClassicPeerState::Down];
    families.gauges(
        "herd_classic_peer_state",
        "1 for the state that a classic peer is in",
        status.peers.iter().flat_map(|peer| {
            states.map(|state| {
                let value = f64::from(u8::from(peer.state == state));
                ([("peer", peer.peer.as_str()), ("state", state.word())], value)
            })
        }),
    )?;
    families.gauges(
        "herd_classic_peer_queued_bytes",
        "Bytes of records that wait for a classic peer",
        by_peer(|peer| peer.queued_bytes as f64),
    )?;
    let counters: [PeerCounter; 5] = [
        ("herd_classic_peer_lines_sent", "Lines that were delivered to a classic peer", |peer| peer.sent as f64),
        (
            "herd_classic_peer_records_skipped",
            "Records that are no `AT` lines of the default logic and were not sent",
            |peer| peer.skipped as f64,
        ),
        (
            "herd_classic_peer_records_dropped",
            "Records dropped because the queue of a classic peer was full; it is sent everything for them",
            |peer| peer.dropped as f64,
        ),
        ("herd_classic_peer_resends", "Times that a classic peer was sent everything", |peer| peer.resends as f64),
        ("herd_classic_peer_failures", "Times that a classic peer was found to be away", |peer| peer.failures as f64),
    ];
    counters.into_iter().try_for_each(|(name, help, of)| families.counters(name, help, by_peer(of)))
}

/// Name, description and value of a counter of a peer.
type PeerCounter = (&'static str, &'static str, fn(&ClassicPeerStatus) -> f64);
