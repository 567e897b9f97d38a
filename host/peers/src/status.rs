//! Status of peers and links, as operators and scripts read it. Bounds: one entry per peer.

use std::collections::BTreeMap;

use herd_replication::LinkReplication;
use serde::Serialize;

/// Status of all peers.
#[derive(Clone, Debug, Serialize)]
pub struct PeersStatus {
    /// One entry per peer that is configured or has connected.
    pub links: Vec<LinkStatus>,
    /// Connections that were refused, and links that were ended because of what the peer is or sent, since the start: counts by reason.
    /// Reasons that have not occurred are absent. `docs/identity.md` lists them.
    pub refused: BTreeMap<&'static str, u64>,
}

/// State of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// No connection. A node for which the peer is configured keeps connecting.
    Down,
    /// Connected.
    Up,
    /// Connected, but nothing was heard for a moment, of a peer that should have said something. The node that has the peer configured
    /// tries another connection; the peer hangs, or the network is down.
    Silent,
    /// Connected, and the peer is being sent what it lacks: the link has just come up, or reports were dropped because the peer was
    /// too slow.
    Behind,
}

impl LinkState {
    /// Returns the word for the state, as it is serialized.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Silent => "silent",
            Self::Behind => "behind",
        }
    }
}

/// Status of one peer and its link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// Name of the peer.
    pub peer: String,
    /// State of the link.
    pub state: LinkState,
    /// Time at which the link came up, in seconds since the Unix epoch.
    pub since_s: Option<u64>,
    /// Replication on the link; absent without one.
    #[serde(flatten)]
    pub replication: Option<LinkReplication>,
    /// Round trip of the last ping, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Offset of the peer's clock, in milliseconds; positive if it is ahead. Exact to half a round trip.
    pub clock_ahead_ms: Option<f64>,
    /// Reason why there is no link, or why the last one ended.
    pub last_error: Option<String>,
}
