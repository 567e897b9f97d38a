//! Last contact of a node with its peers, for a return after a long absence.
//!
//! Owns what the log and the links say of it. Knows no clock. Bounds: a few numbers.

use crate::varint::{Malformed, Reader, put};

/// Last contact of a node with its peers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Contact {
    /// Time of the contact, in seconds since the Unix epoch; 0 for none.
    at_s: u64,
    /// The node had no link since then for longer than tombstones are kept, and no lasting one since.
    is_absent: bool,
    /// A link was up at the last look. One that has lasted from one look to the next ends an absence.
    was_linked: bool,
}

impl Contact {
    /// Takes the time of a contact from the log.
    pub(crate) fn recover(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        // Earlier versions wrote more behind the time.
        self.at_s = Reader(payload).number()?;
        Ok(())
    }

    /// Notes that a link is up. In an absence, peers have the time from this look to the next to say that they had contact later.
    pub(crate) fn linked(&mut self, now_s: u64) {
        if !self.is_absent || self.was_linked {
            (self.at_s, self.is_absent) = (now_s, false);
        }
        self.was_linked = true;
    }

    /// Notes that no link is up. A contact longer ago than `keep_s` makes an absence.
    pub(crate) fn alone(&mut self, now_s: u64, keep_s: u64) {
        self.is_absent |= self.at_s != 0 && now_s.saturating_sub(self.at_s) > keep_s;
        self.was_linked = false;
    }

    /// Returns the time of the contact, in seconds since the Unix epoch; `None` for none.
    pub(crate) fn at_s(&self) -> Option<u64> {
        (self.at_s != 0).then_some(self.at_s)
    }

    /// Returns the time since which the node was absent, if it was.
    pub(crate) fn absent_since_s(&self) -> Option<u64> {
        self.is_absent.then_some(self.at_s)
    }

    /// Ends an absence if a peer had contact later, so that it may have removed tombstones which this node has not heard of. Returns whether
    /// there was one.
    pub(crate) fn end_absence(&mut self, peer_contact_s: u64) -> bool {
        let ends = self.is_absent && peer_contact_s > self.at_s + NOTED_WITHIN_S;
        self.is_absent &= !ends;
        ends
    }

    /// Encodes the contact for the log.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        put(&mut payload, self.at_s);
        payload
    }
}

/// Difference of two contacts that says nothing: each is noted once a minute.
const NOTED_WITHIN_S: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_begins_without_a_link_and_ends_with_one_or_a_peer_that_had_contact_later() {
        let mut contact = Contact::default();
        contact.alone(u64::MAX, 9);
        assert_eq!((contact.at_s(), contact.absent_since_s()), (None, None), "a node that never had a link");
        contact.linked(1000);
        contact.alone(1009, 9);
        assert_eq!(contact.absent_since_s(), None);
        contact.alone(1010, 9);
        assert_eq!(contact.absent_since_s(), Some(1000));
        assert!(!contact.end_absence(1000 + NOTED_WITHIN_S) && contact.absent_since_s().is_some());
        assert!(contact.end_absence(1001 + NOTED_WITHIN_S) && contact.absent_since_s().is_none());
        assert!(!contact.end_absence(u64::MAX), "once");
        contact.alone(1010, 9);
        contact.linked(2000);
        assert_eq!((contact.at_s(), contact.absent_since_s()), (Some(1000), Some(1000)), "a peer may still say more");
        contact.linked(2060);
        assert_eq!((contact.at_s(), contact.absent_since_s()), (Some(2060), None));
    }
}
