//! Last contact of a node with its peers, for a return after a long absence.
//!
//! Owns what the log keeps of it. Bounds: the lanes of one node.

use crate::link_frame::encode_seqs;
use crate::varint::put;
use crate::vector::Vector;

/// Last contact of a node with its peers, and what it learned by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contact {
    /// Time of the contact, in seconds since the Unix epoch; 0 for none.
    pub(crate) at_s: u64,
    /// Lanes of this node as far as any peer has acknowledged them.
    pub(crate) acknowledged: Vector,
}

impl Contact {
    /// Encodes the contact for the log.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        put(&mut payload, self.at_s);
        encode_seqs(&mut payload, self.acknowledged.iter());
        payload
    }
}
