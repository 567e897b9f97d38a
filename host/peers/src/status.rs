//! Peers and links, for people and scripts.

use serde::Serialize;

/// Peers, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct PeersStatus {
    /// One per peer that is configured or has dialed.
    pub links: Vec<LinkStatus>,
}

/// What a link is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// There is none; it is being dialed if it is configured.
    Down,
    /// It carries reports.
    Up,
    /// It carries reports, and some were dropped since it came up because the peer was too slow.
    Behind,
}

/// One link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// The other node.
    pub peer: String,
    /// What the link is like.
    pub state: LinkState,
    /// Since when it is up, in seconds since the Unix epoch.
    pub since_s: Option<u64>,
    /// How much waits for the peer.
    pub queued_bytes: usize,
    /// How many reports were dropped since the node started: because the peer was too slow, or because its link ended
    /// before they were sent.
    pub dropped_reports: u64,
    /// How long a ping takes, there and back.
    pub round_trip_ms: Option<f64>,
    /// How far the peer's clock is ahead of this node's, as well as half a round trip tells.
    pub clock_ahead_ms: Option<f64>,
    /// Why there is no link, or why the last one ended.
    pub last_error: Option<String>,
}
