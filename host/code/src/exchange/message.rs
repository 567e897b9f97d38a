//! Messages of the exchange, and their encoding.
//!
//! The encoding is postcard: the order of variants and fields is the wire format. Any message may be lost; whoever waits asks again.
//!
//! Bounds: the length of each text and of a chunk, checked when a message is read.

use herd_model::{Chunk, Digest};
use serde::{Deserialize, Serialize};

use crate::compiled_code::{CODE_FILE_BYTES_MAX, WORD_BYTES_MAX, Wanted};

/// Message to a neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Question for code. Repeated until it is answered by something else than [`Working`](Self::Working).
    Want {
        wanted: Wanted,
        /// The neighbour is asked to compile, and not only for what it has.
        compile: bool,
        /// Nodes that the question may still pass.
        hops: u8,
    },
    /// The neighbour looks for it, or compiles it: `compile` is that of the question, in all answers. `found` says that it is on its way there.
    Working { wanted: Wanted, compile: bool, found: bool },
    /// The neighbour has it: a file with this digest and this many bytes. `compiled` says that it made the code itself.
    Offer { wanted: Wanted, compile: bool, digest: Digest, bytes: u64, compiled: bool },
    /// The neighbour has none, with the reason.
    Nothing { wanted: Wanted, compile: bool, why: String },
    /// Request for a file from this offset on: of code, or of the component that is to be compiled.
    Get { digest: Digest, offset: u64 },
    /// Answer to a request.
    Part(Chunk),
    /// Negative answer to a request.
    NotFound(Digest),
}

impl Message {
    pub(crate) fn nothing(wanted: &Wanted, compile: bool, why: &str) -> Self {
        Self::Nothing { wanted: wanted.clone(), compile, why: cut(why) }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a vector has room, and these types can always be encoded")
    }

    /// Decodes a message.
    ///
    /// # Errors
    ///
    /// It is malformed, or longer than any that a node sends.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut message: Self =
            postcard::from_bytes(bytes).map_err(|_| Malformed("a message about code that does not decode"))?;
        if let Self::Nothing { why, .. } = &mut message {
            *why = cut(why);
        }
        match &message {
            Self::Want { wanted, .. }
            | Self::Working { wanted, .. }
            | Self::Offer { wanted, .. }
            | Self::Nothing { wanted, .. }
                if wanted.target.len() > WORD_BYTES_MAX || wanted.compiler.len() > WORD_BYTES_MAX =>
            {
                Err(Malformed("a target of more than 400 bytes"))
            }
            Self::Offer { bytes, .. } if *bytes > CODE_FILE_BYTES_MAX as u64 => {
                Err(Malformed("an offer of too much code"))
            }
            Self::Part(chunk) if chunk.bytes.len() > Chunk::BYTES_MAX => Err(Malformed("a chunk that is too long")),
            _ => Ok(message),
        }
    }
}

/// A message that has been read.
#[derive(Debug)]
pub struct Incoming(pub(crate) Message);

impl Incoming {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// It is malformed, and its sender at fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Message::decode(bytes).map(Self)
    }
}

/// A message of a peer is malformed. The peer is at fault. The text follows "the peer sent".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Cuts a text to what a message may hold.
fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Characters of a reason.
const TEXT_CHARS_MAX: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_reads_back_and_is_bounded() {
        let wanted = Wanted { guest: Digest::of(b"g"), target: "t".into(), compiler: "c".into() };
        let digest = Digest::of(b"f");
        for message in [
            Message::Want { wanted: wanted.clone(), compile: true, hops: 3 },
            Message::Working { wanted: wanted.clone(), compile: true, found: true },
            Message::Offer { wanted: wanted.clone(), compile: true, digest, bytes: 7, compiled: true },
            Message::nothing(&wanted, true, "no"),
            Message::Get { digest, offset: 9 },
            Message::Part(Chunk { digest, offset: 1, total: 2, bytes: vec![3] }),
            Message::NotFound(digest),
        ] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
        let long = Wanted { target: "x".repeat(401), ..wanted.clone() };
        assert!(Message::decode(&Message::Working { wanted: long, compile: false, found: false }.encode()).is_err());
        let endless =
            Message::Offer { wanted: wanted.clone(), compile: true, digest, bytes: u64::MAX, compiled: false };
        assert!(Message::decode(&endless.encode()).is_err());
        let Message::Nothing { why, .. } = Message::nothing(&wanted, true, &"é".repeat(9000)) else { unreachable!() };
        assert_eq!(why.chars().count(), TEXT_CHARS_MAX);
        assert!(Message::decode(b"\xff").is_err());
    }
}
