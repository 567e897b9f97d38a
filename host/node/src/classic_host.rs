//! Classic links of a node: the sessions of their listener, the peers that are sent lines, and what is counted of both.
//!
//! Lines of peers are inputs of a guest like those of clients, on instances that are told the listener. Nothing is sent on their
//! connections, whatever a guest replies: older programs do not read there, and one that closes with a reply unread would reset the
//! connection, and lose the lines behind it. Owns the counts. Knows nothing of what a line means. Bounds: those of its parts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd_model::{DecidedInputs, Kept};
use herd_peers::classic::{ClassicPeerStatus, ClassicPeers};
use herd_replication::LinkPort;
use herd_sdk::{Effect, Effects, Input, InputBatch, Mark};
use herd_sessions::{Sessions, SessionsStatus};
use serde::Serialize;

use crate::sessions_host::SessionsAdapter;

/// Classic links of a node.
pub(crate) struct ClassicLinks {
    /// Sessions of the listener, with its address. None for a node that only sends.
    pub(crate) listener: Option<(SocketAddr, Sessions<SessionsAdapter>)>,
    pub(crate) lines: Arc<ClassicLines>,
}

/// Lines of classic links, as their sessions and the status see them.
pub(crate) struct ClassicLines {
    pub(crate) peers: ClassicPeers,
    lines: AtomicU64,
    applied: AtomicU64,
    outranked: AtomicU64,
    refused: AtomicU64,
    invalid: AtomicU64,
    replies_dropped: AtomicU64,
}

impl ClassicLines {
    pub(crate) fn new(peers: ClassicPeers) -> Self {
        let [lines, applied, outranked, refused, invalid, replies_dropped] = [(); 6].map(|()| AtomicU64::new(0));
        Self { peers, lines, applied, outranked, refused, invalid, replies_dropped }
    }

    /// Counts the lines of decided inputs, and takes out of the decision what would be sent.
    pub(crate) fn without_replies(&self, inputs: &InputBatch, mut decided: DecidedInputs) -> DecidedInputs {
        let (mut lines, mut keeps, mut dropped) = (0, 0, 0);
        let mut effects = Effects::with_capacity(decided.decision.effects.words().len());
        let mut inputs = inputs.iter();
        for effect in &decided.decision.effects {
            match effect {
                // A fetch is a reply to come; a subscription is one without end.
                Effect::Reply(_) | Effect::Fetch(_) => {
                    dropped += 1;
                    continue;
                }
                Effect::Subscribe(_) | Effect::Unsubscribe(_) => continue,
                Effect::Keep(_) => keeps += 1,
                Effect::Done(progress) => {
                    lines += inputs.next().map_or(0, |input| lines_of(&input, progress.consumed));
                }
                _ => {}
            }
            effects.push(effect);
        }
        decided.decision.effects = effects;
        let add = |count: &AtomicU64, number: u64| count.fetch_add(number, Ordering::Relaxed);
        add(&self.lines, lines);
        // The default logic keeps each line that is valid.
        add(&self.invalid, lines.saturating_sub(keeps));
        add(&self.replies_dropped, dropped);
        decided
    }

    /// Counts the outcome of a keep.
    pub(crate) fn kept(&self, kept: Kept) {
        let count = match kept {
            Kept::Applied(_) => &self.applied,
            Kept::Outranked => &self.outranked,
            Kept::NoRoom | Kept::NotStored => &self.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the port of the peer that a line came from, if that is known.
    pub(crate) fn source(&self, client: Option<SocketAddr>) -> Option<&LinkPort> {
        self.peers.at(client?.ip())
    }
}

impl ClassicLinks {
    pub(crate) fn status(&self) -> ClassicStatus {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let lines = &*self.lines;
        ClassicStatus {
            address: self.listener.as_ref().map(|(address, _)| *address),
            connections: self.listener.as_ref().map(|(_, sessions)| sessions.status()),
            lines: count(&lines.lines),
            applied: count(&lines.applied),
            outranked: count(&lines.outranked),
            refused: count(&lines.refused),
            invalid: count(&lines.invalid),
            replies_dropped: count(&lines.replies_dropped),
            peers: lines.peers.status(),
        }
    }

    /// Stops accepting, and lets lines that were read be decided. Cancel safe.
    pub(crate) async fn drain(&self, grace: Duration) {
        if let Some((_, sessions)) = &self.listener {
            sessions.drain(grace).await;
        }
    }
}

/// Status of classic links, as `herd status` shows it: numbers since the start of the node.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClassicStatus {
    /// Address of the listener.
    pub(crate) address: Option<SocketAddr>,
    /// Connections of peers.
    pub(crate) connections: Option<SessionsStatus>,
    /// Lines of peers that the guest consumed.
    pub(crate) lines: u64,
    /// Records of such lines that won and were flooded.
    pub(crate) applied: u64,
    /// Records that the node had already, or that rank lower than one that it has.
    pub(crate) outranked: u64,
    /// Records for which the node had no room, or which its log could not take.
    pub(crate) refused: u64,
    /// Lines that the guest kept nothing of.
    pub(crate) invalid: u64,
    /// Replies of the guest that were dropped: more than none if it takes the lines for commands.
    pub(crate) replies_dropped: u64,
    /// Peers that are sent lines.
    pub(crate) peers: Vec<ClassicPeerStatus>,
}

/// Returns the number of lines among the first bytes of an input, without empty ones.
fn lines_of(input: &Input<'_>, consumed: usize) -> u64 {
    if input.mark == Mark::Overlong {
        return 1;
    }
    let consumed = input.bytes.get(..consumed).unwrap_or(input.bytes);
    consumed.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_lines_are_counted_without_empty_ones() {
        let lines = |bytes: &[u8], mark, consumed| lines_of(&Input { bytes, mark }, consumed);
        assert_eq!(lines(b"AT a\n\r\nAT b\nAT", Mark::More, 12), 2);
        assert_eq!(lines(b"AT a\nAT b", Mark::End, 9), 2);
        assert_eq!(lines(b"AT", Mark::More, 0), 0);
        assert_eq!(lines(b"AT a", Mark::Overlong, 4), 1);
    }
}
