//! Lines of older programs on their way through a node: what may be sent back, where they came from, and what is counted.
//!
//! Nothing is sent on their connections, whatever a guest replies: older programs do not read there, and one that closes with a reply unread
//! would reset the connection, and lose the lines behind it. Knows nothing of sockets and of what a line means. Bounds: those of a decision.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::{DecidedInputs, Kept};
use herd_peers::classic::ClassicPeers;
use herd_replication::LinkPort;
use herd_sdk::{Effect, Effects, Input, InputBatch, Mark};

/// Lines of classic links, as their sessions and the status see them.
pub(crate) struct ClassicLines {
    pub(crate) peers: ClassicPeers,
    pub(crate) lines: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) outranked: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) invalid: AtomicU64,
    pub(crate) replies_dropped: AtomicU64,
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
