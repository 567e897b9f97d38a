//! What nodes say to one another about the herd's generation.
//!
//! A [`Message`] goes to a neighbour. A [`Broadcast`] is for every node: whoever hears one for the first time passes it on, so it
//! comes to every node that some way leads to.

use bytes::Bytes;
use herd_model::{Digest, SwapOptions};
use serde::{Deserialize, Serialize};

use super::herd_state::HerdState;

/// From a node to its neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// What the sender knows of the herd's generation. Said when a link comes up, when it changes, and every few seconds.
    HerdState(HerdState),
    /// To be passed on by whoever hears this number for the first time.
    Broadcast(u64, Broadcast),
    /// The sender lacks a guest, and has its first bytes up to here.
    GetChunk(Digest, u64),
    /// A part of a guest.
    Chunk(Chunk),
    /// The sender does not have that guest either, or not yet.
    NotFound(Digest),
}

/// A text of another node, as much as is worth passing on.
pub(crate) fn truncate(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
}

/// From one node to all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Broadcast {
    /// A swap begins, or goes on: who hears it answers with a [`Vote`], and takes part in no other swap for a while.
    Enlist(Attempt),
    /// Every node is to get this guest ready.
    Prepare(Attempt, Plan),
    /// The swap is given up.
    Abort(Attempt, String),
    /// A node answers a call.
    Vote { attempt: Attempt, node: String, vote: Vote },
    /// A node has taken up the swap of this number, or has not and why.
    AdoptionResult { node: String, number: u64, result: Result<Adopted, String> },
}

/// One attempt at a swap. Random, so that two of them are never taken for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The node that was asked.
    pub(crate) coordinator: String,
    pub(crate) nonce: u64,
    /// Who asked it.
    pub(crate) who: String,
}

/// What is to be got ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The guest.
    pub digest: Digest,
    /// What the operator wants of the swap.
    pub options: SwapOptions,
}

/// How a node stands to a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Vote {
    /// It takes part, and knows of a swap of this number.
    Enlisted(u64),
    /// It takes part in another one, of that operator.
    Busy(String),
    /// The candidate is ready to serve.
    Ready,
    /// The candidate cannot serve here, and why.
    Refused(String),
}

/// A generation that was taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Its number on its node.
    pub generation: u64,
    /// What the guest calls itself.
    pub name: String,
}

/// Some bytes of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) digest: Digest,
    pub(crate) offset: u64,
    /// How many bytes the guest has.
    pub(crate) total: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Vec<u8>,
}

impl Broadcast {
    /// Cuts what another node says to what is worth passing on.
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
            Self::AdoptionResult { result: Ok(taken), .. } => truncate(&mut taken.name),
            Self::AdoptionResult { result: Err(why), .. } => truncate(why),
        }
    }
}

impl Vote {
    pub(crate) fn busy_with(&self) -> Option<&str> {
        if let Self::Busy(other) = self { Some(other) } else { None }
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Self::Refused(why) => Some(why.clone()),
            Self::Busy(other) => Some(format!("takes part in another swap: {other}")),
            Self::Enlisted(_) | Self::Ready => None,
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self, Self::Enlisted(_))
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, asked at {}", self.who, self.coordinator)
    }
}

impl Message {
    /// Encodes it for a frame.
    ///
    /// # Panics
    ///
    /// Never: a vector takes all, and a message has no failing encoding.
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("a vector takes all").into()
    }

    /// Decodes what a peer has sent.
    ///
    /// # Errors
    ///
    /// It is no message; the link is to be closed.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

/// As the audit log cuts its reasons.
const TEXT_BYTES_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_reads_back() {
        let attempt = Attempt { coordinator: "Riley".into(), nonce: u64::MAX, who: "mira".into() };
        let chunk = Chunk { digest: Digest::of(b"x"), offset: 1, total: 9, bytes: vec![0, 255] };
        for message in [
            Message::HerdState(HerdState::default()),
            Message::Broadcast(7, Broadcast::Vote { attempt, node: "Juzang".into(), vote: Vote::Refused("no".into()) }),
            Message::Chunk(chunk),
        ] {
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_stranger_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::decode(&bytes);
        }
    }
}
