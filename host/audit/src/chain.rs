//! The chain of a node's lines: checks each line against the one before it, the key and the head.
//!
//! Owns the order and the authorship of lines. Knows nothing about files. Bounds: two positions are held.

use herd_model::Digest;

use super::flaw::Flaw;
use super::head::Head;
use super::key::Key;
use super::line::Line;
use super::mac::Mac;

/// Check of lines in the order in which they were written.
pub(super) struct Chain<'a> {
    node: &'a str,
    key: Option<&'a Key>,
    head: Option<&'a Head>,
    /// Number and hash of the last line that follows the chain.
    pub(super) last: Option<(u64, Digest)>,
    /// The first line with a MAC. Without the key, it tells from where on every line must have one.
    pub(super) first_with_mac: Option<u64>,
    /// Lines beyond the head that no MAC verifies: a crash or somebody else left them.
    pub(super) unproved_beyond_head: u64,
    is_broken: bool,
}

impl<'a> Chain<'a> {
    pub(super) fn new(node: &'a str, key: Option<&'a Key>, head: Option<&'a Head>) -> Self {
        Self { node, key, head, last: None, first_with_mac: None, unproved_beyond_head: 0, is_broken: false }
    }

    /// Checks a line and moves on to it if this node wrote it.
    ///
    /// # Errors
    ///
    /// The violation. The chain then continues with the next line that has a MAC of the node, because one violation must
    /// not hide the rest of the log. Lines without a MAC cannot show where to continue and are not checked any more.
    pub(super) fn follow(&mut self, text: &[u8]) -> Result<Line, Flaw> {
        let (line, hash, mac) = Line::decode_verified(text, self.key).inspect_err(|_| self.is_broken = true)?;
        if self.is_broken && mac != Mac::Valid {
            return Ok(line);
        }
        let checked = self.check_author(&line, mac).and_then(|()| self.check_order(&line, hash));
        if checked.is_ok() {
            if mac != Mac::Valid && self.head.is_some_and(|head| line.number > head.count) {
                self.unproved_beyond_head += 1;
            }
            self.last = Some((line.number, hash));
        } else {
            self.is_broken = true;
            if mac == Mac::Valid && self.last.is_none_or(|(last, _)| line.number > last) {
                self.last = Some((line.number, hash));
            }
        }
        checked.map(|()| line)
    }

    fn check_author(&mut self, line: &Line, mac: Mac) -> Result<(), Flaw> {
        if line.node != self.node {
            return Err(Flaw::OtherNode(line.node.clone()));
        }
        if mac != Mac::Absent && self.first_with_mac.is_none() {
            self.first_with_mac = Some(line.number);
        }
        let must_have_mac = match self.key {
            Some(key) => line.number >= key.since,
            None => self.first_with_mac.is_some(),
        };
        match mac {
            _ if !must_have_mac => Ok(()),
            Mac::Absent => Err(Flaw::NoMac(line.number)),
            Mac::Wrong => Err(Flaw::WrongMac(line.number)),
            Mac::Valid | Mac::Unchecked => Ok(()),
        }
    }

    fn check_order(&self, line: &Line, hash: Digest) -> Result<(), Flaw> {
        let number = line.number;
        let kept = self.head.map_or(1, |head| head.first);
        match self.last {
            // An earlier beginning is fine: the node may have crashed between writing the head and removing old files.
            None if number > kept => return Err(Flaw::MissingBeginning { found: number, kept }),
            None if number == 1 && line.previous != Digest::ZERO => return Err(Flaw::BrokenChain(1)),
            None => {}
            Some((last, _)) if number != last + 1 => {
                return Err(Flaw::OutOfOrder { expected: last + 1, found: number });
            }
            Some((_, previous)) if line.previous != previous => return Err(Flaw::BrokenChain(number)),
            Some(_) => {}
        }
        let dropped = self.head.and_then(|head| head.dropped.as_ref());
        if dropped.is_some_and(|dropped| number == dropped.entries + 1 && line.previous != dropped.hash) {
            return Err(Flaw::BrokenBeginning(number));
        }
        // Compared where the numbers meet and not at the end: after a crash the head may be one write behind.
        if self.head.is_some_and(|head| head.count == number && head.hash != hash) {
            return Err(Flaw::HeadMismatch(number));
        }
        Ok(())
    }
}
