//! Messages between nodes about the herd's generation, and their encoding.
//!
//! A [`Message`] goes to one neighbour. A [`Broadcast`] is for every node of the herd. Nodes are linked to some others only,
//! so broadcasts are gossiped: a node forwards one the first time it receives it, and it reaches every node to which a path
//! of links exists.
//!
//! Any message may be lost: a full queue drops it, and so does a link that breaks. Nothing is acknowledged; whatever the
//! protocol depends on is repeated, or expires.
//!
//! The encoding is postcard: the order of variants and fields is the wire format, their names are not.
//!
//! Bounds: texts are cut to [`TEXT_BYTES_MAX`], chunks to [`Chunk::BYTES_MAX`]; the link bounds a frame.

use bytes::Bytes;
use herd_model::{Chunk, Digest, SwapOptions};
use serde::{Deserialize, Serialize};

use super::guest_store::FileDigests;
use super::herd_state::HerdState;

/// Message to a neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The sender's herd state. Sent when a link comes up, when the state changes, and every few seconds.
    HerdState(HerdState),
    /// A broadcast with its random identifier. The receiver forwards it if the identifier is new to it.
    Broadcast(u64, Broadcast),
    /// Request for the bytes of a guest from this offset on.
    GetChunk(Digest, u64),
    /// Answer to a request.
    Chunk(Chunk),
    /// Negative answer to a request: the sender does not have that guest, or not yet.
    NotFound(Digest),
}

/// Message to every node of the herd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Broadcast {
    /// Starts an attempt, and then serves as its heartbeat. Each node answers every one with a [`Vote`].
    Enlist(Attempt),
    /// Every enlisted node makes this guest ready.
    Prepare(Attempt, Plan),
    /// Ends an attempt, with the reason.
    Abort(Attempt, String),
    /// Vote of a node on an attempt.
    Vote { attempt: Attempt, node: String, vote: Vote },
    /// A node has adopted the swap of this number and guest, or could not. Two parts of a partitioned herd may count the same
    /// number for different guests. If its disk failed, `not_stored` says why: a restart of the node would lose what it serves.
    AdoptionResult {
        node: String,
        number: u64,
        digest: Digest,
        result: Result<Adopted, String>,
        not_stored: Option<String>,
    },
}

/// Identity of one attempt to commit a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Node that coordinates it.
    pub(crate) coordinator: String,
    /// Random number of the coordinator's run, another one after each restart.
    pub(crate) run: u32,
    /// Count of the coordinator's attempts in this run. A late message of an earlier attempt cannot count for this one.
    pub(crate) number: u32,
    /// Operator who proposed it.
    pub(crate) who: String,
    /// Guest that the herd would serve.
    pub(crate) goal: Goal,
}

/// Guest that an attempt is for. Fixed when the operator proposes, so that later changes cannot alter what is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Goal {
    /// Swap to this guest.
    Swap(Digest),
    /// Rollback to this guest, which served before the last swap. Goes before swaps that have not committed.
    RollBack(Digest),
}

/// Guest of a swap, and the conditions on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Digest of the guest.
    pub digest: Digest,
    /// Options of the operator.
    pub options: SwapOptions,
    /// Digest of the transcripts that came beside the guest. They travel and are stored as the guest is.
    pub transcripts: Option<Digest>,
    /// Digest of its signatures, which travel in the same way. The last field, behind what earlier versions read: see
    /// `Message::decode`.
    pub signatures: Option<Digest>,
}

impl Plan {
    /// Digests of the files.
    pub(crate) fn files(&self) -> FileDigests {
        FileDigests { guest: self.digest, transcripts: self.transcripts, signatures: self.signatures }
    }
}

/// Vote of a node on an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Vote {
    /// The node takes part. Holds the number of the last swap that it knows.
    Enlisted(u64),
    /// The node takes part in another attempt, described here.
    Busy(String),
    /// The candidate is ready to serve.
    Ready,
    /// The candidate cannot serve on this node, with the reason.
    Refused(String),
}

/// Generation that adopted a swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Number of the generation on its node.
    pub generation: u64,
    /// Name in the guest's description of itself.
    pub name: String,
    /// Records of the node that the guest cannot read.
    pub unread: u64,
    /// Records that the node forgot, or why it did not forget all. None if the swap asked for none of this node.
    pub discarded: Option<Result<u64, String>>,
}

impl Message {
    /// Encodes the message for a frame.
    ///
    /// # Panics
    ///
    /// Never: writing to a vector cannot fail, and no field has an encoding that does.
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("writing to a vector cannot fail").into()
    }

    /// Decodes the message of a peer.
    ///
    /// What names signatures stands at the end of messages: an earlier version, which knows none, ignores it, and leaves it out in its own.
    /// Then it reads as zeros, for none.
    ///
    /// # Errors
    ///
    /// The bytes are not a message. The peer is at fault, and the caller closes the link.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes).or_else(|error| match error {
            postcard::Error::DeserializeUnexpectedEnd => postcard::from_bytes(&[bytes, &UNSIGNED].concat()),
            error => Err(error),
        })
    }
}

impl Broadcast {
    /// Truncates every text, so that a peer cannot make this node store or forward long ones.
    pub(crate) fn truncate(&mut self) {
        match self {
            Self::Enlist(attempt) | Self::Prepare(attempt, _) => truncate(&mut attempt.who),
            Self::Abort(attempt, why) => [&mut attempt.who, why].into_iter().for_each(truncate),
            Self::Vote { attempt, vote, .. } => {
                truncate(&mut attempt.who);
                if let Vote::Busy(text) | Vote::Refused(text) = vote {
                    truncate(text);
                }
            }
            Self::AdoptionResult { result, not_stored, .. } => {
                let texts = match result {
                    Ok(Adopted { name, discarded, .. }) => {
                        [Some(name), discarded.as_mut().and_then(|discarded| discarded.as_mut().err())]
                    }
                    Err(why) => [Some(why), None],
                };
                texts.into_iter().chain([not_stored.as_mut()]).flatten().for_each(truncate);
            }
        }
    }
}

impl Vote {
    /// Description of the other attempt, for a busy node.
    pub(crate) fn busy_with(&self) -> Option<&str> {
        if let Self::Busy(other) = self { Some(other) } else { None }
    }

    /// Reason against the candidate.
    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Self::Refused(why) => Some(why.clone()),
            Self::Busy(other) => Some(format!("takes part in another swap: {other}")),
            Self::Enlisted(_) | Self::Ready => None,
        }
    }

    /// True while the node makes the candidate ready.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self, Self::Enlisted(_))
    }
}

impl Attempt {
    /// Identifier of the attempt in the swap that it commits. Never 0, because attempts are counted from 1.
    pub(crate) fn id(&self) -> u64 {
        u64::from(self.run) << 32 | u64::from(self.number)
    }

    /// True if the coordinator of both began this attempt after the other one. It coordinates one at a time, so the other one
    /// is over then.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        self.coordinator == other.coordinator && (self.run != other.run || self.number > other.number)
    }

    /// True if this attempt goes before another one that has not committed: a rollback must not wait for a swap.
    pub(crate) fn preempts(&self, other: &Self) -> bool {
        matches!((self.goal, other.goal), (Goal::RollBack(_), Goal::Swap(_)))
    }

    /// Describes for an operator what the attempt is for and who asked for it.
    pub(crate) fn describe(&self) -> String {
        match self.goal {
            Goal::Swap(digest) => format!("to {}, by {self}", digest.short()),
            Goal::RollBack(digest) => format!("back to {}, by {self}", digest.short()),
        }
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, asked at {}", self.who, self.coordinator)
    }
}

/// Truncates a text of another node at a character boundary.
pub(crate) fn truncate(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
}

/// End of a message of a version that knows no signatures: two digests that are none.
const UNSIGNED: [u8; 2] = [0, 0];
/// Longest text in bytes; the audit log has the same limit for its reasons.
const TEXT_BYTES_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn message_decodes_to_what_was_encoded() {
        let goal = Goal::RollBack(Digest::of(b"x"));
        let attempt = Attempt { coordinator: "Riley".into(), run: u32::MAX, number: 1, who: "mira".into(), goal };
        let chunk = Chunk { digest: Digest::of(b"x"), offset: 1, total: 9, bytes: vec![0, 255] };
        for message in [
            Message::HerdState(HerdState::default()),
            Message::Broadcast(7, Broadcast::Vote { attempt, node: "Juzang".into(), vote: Vote::Refused("no".into()) }),
            Message::Chunk(chunk),
        ] {
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
    }

    /// Nodes of two versions share a herd during an upgrade, so the order of variants and fields is frozen.
    #[test]
    fn message_encoding_is_stable() {
        let digest = Digest::of(b"x");
        let attempt =
            Attempt { coordinator: "R".into(), run: 3, number: 4, who: "m".into(), goal: Goal::RollBack(digest) };
        let mut attempt_bytes = vec![1, b'R', 3, 4, 1, b'm', 1];
        attempt_bytes.extend(postcard::to_stdvec(&digest).unwrap());
        let encoded = |broadcast: Broadcast| Message::Broadcast(7, broadcast).encode().to_vec();
        let bytes = |variant: u8, rest: &[u8]| [&[1, 7, variant], &attempt_bytes[..], rest].concat();
        assert_eq!(Message::HerdState(HerdState::default()).encode(), [0, 0, 0, 0, 0][..]);
        assert_eq!(encoded(Broadcast::Enlist(attempt.clone())), bytes(0, &[]));
        assert_eq!(encoded(Broadcast::Abort(attempt.clone(), "w".into())), bytes(2, &[1, b'w']));
        for (vote, rest) in [
            (Vote::Enlisted(5), vec![1, b'J', 0, 5]),
            (Vote::Busy("o".into()), vec![1, b'J', 1, 1, b'o']),
            (Vote::Ready, vec![1, b'J', 2]),
            (Vote::Refused("n".into()), vec![1, b'J', 3, 1, b'n']),
        ] {
            assert_eq!(encoded(Broadcast::Vote { attempt: attempt.clone(), node: "J".into(), vote }), bytes(3, &rest));
        }
        let adopted = Ok(Adopted { generation: 2, name: "g".into(), unread: 1, discarded: Some(Ok(3)) });
        let (node, not_stored) = ("J".into(), None);
        let result = Broadcast::AdoptionResult { node, number: 1, digest, result: adopted, not_stored };
        let digest_bytes = postcard::to_stdvec(&digest).unwrap();
        assert_eq!(
            encoded(result),
            [&[1, 7, 4, 1, b'J', 1][..], &digest_bytes, &[0, 2, 1, b'g', 1, 1, 0, 3, 0]].concat()
        );
        let variants = [
            Message::GetChunk(digest, 0),
            Message::Chunk(Chunk { digest, offset: 0, total: 0, bytes: vec![] }),
            Message::NotFound(digest),
        ];
        assert_eq!(variants.map(|message| message.encode()[0]), [2, 3, 4]);
    }

    /// Goal: nodes of a version that knows no signatures and of this one understand each other. Method: the messages that name signatures,
    /// without their ends, and with them to a decoder that stops before them.
    #[test]
    fn message_of_a_version_without_signatures_is_understood_both_ways() {
        #[derive(Serialize, Deserialize, Debug, PartialEq)]
        struct EarlierState {
            swap: Option<super::super::herd_state::HerdSwap>,
            rolled_back: std::collections::BTreeMap<String, String>,
        }

        let (digest, other) = (Digest::of(b"x"), Digest::of(b"y"));
        let attempt = Attempt { coordinator: "R".into(), run: 3, number: 4, who: "m".into(), goal: Goal::Swap(digest) };
        let options = SwapOptions::default();
        let plan = |signatures| Plan { digest, options, transcripts: Some(other), signatures };
        let prepare = |signatures| Message::Broadcast(7, Broadcast::Prepare(attempt.clone(), plan(signatures)));
        let unsigned = prepare(None).encode();
        assert_eq!(Message::decode(&unsigned[..unsigned.len() - 1]).unwrap(), prepare(None), "of an earlier version");
        let signed = prepare(Some(other)).encode();
        assert_eq!(signed[..unsigned.len() - 1], unsigned[..unsigned.len() - 1], "an earlier version reads its part");

        let mut state = HerdState::default();
        state.rolled_back.insert("J".into(), "trapped".into());
        let earlier = Message::HerdState(state.clone()).encode();
        assert_eq!(Message::decode(&earlier[..earlier.len() - 2]).unwrap(), Message::HerdState(state.clone()));
        state.signatures.swap = Some(digest);
        state.signatures.previous = Some(other);
        let encoded = Message::HerdState(state.clone()).encode();
        let read: EarlierState = postcard::from_bytes(&encoded[1..]).unwrap();
        assert_eq!((read.swap, read.rolled_back), (state.swap.clone(), state.rolled_back.clone()));
        assert_eq!(Message::decode(&encoded).unwrap(), Message::HerdState(state));
    }

    proptest! {
        #[test]
        fn message_decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::decode(&bytes);
        }
    }
}
