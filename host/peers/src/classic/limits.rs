//! Limits and manners of outgoing classic links.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Connections on which a classic peer takes lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassicConnections {
    /// One for each line, which this node ends behind it. Every older program takes that.
    #[default]
    PerLine,
    /// One for all lines, which stays open. For peers that read lines until the end of a connection; faster, and a restart of the peer is
    /// noticed at once.
    Kept,
}

/// Limits and manners of the task of a classic peer.
#[derive(Clone, Copy, Debug)]
pub struct ClassicLimits {
    /// Connections on which a peer takes lines.
    pub connections: ClassicConnections,
    /// Bytes of records that wait for a peer. Over it they are dropped, and the peer is sent everything.
    pub queue_bytes_max: usize,
    /// Time between two times that a peer is sent everything without a reason. `None`: never.
    pub resend: Option<Duration>,
}
