//! A fault of the active generation that the previous one made good: what there is to know of it, and whether anybody
//! still wants to know.
//!
//! A guest that faults on every line commits thousands of offences a second, all alike. So they have a *kind*, the guest
//! and its words without the numbers in them, and of each kind only the first few are copied.
//!
//! Bounds: [`OFFENCES_PER_KIND_MAX`], [`KINDS_MAX`] and [`GUESTS_MAX`]; an offence of at most [`OFFENCE_BYTES_MAX`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use herd_sdk::Moment;

use crate::generation::generation::Generation;
use crate::sandbox::call::{Call, Read, RecordedCall};
use crate::sandbox::fault::Fault;
use herd_model::Digest;

/// A call on which one generation faulted and which another one decided, while both are at hand.
pub(crate) struct Rescue<'a> {
    pub(crate) at: Moment,
    pub(crate) call: &'a Call<'a>,
    pub(crate) fault: &'a Fault,
    pub(crate) faulting: &'a Arc<Generation>,
    pub(crate) rescuing: &'a Arc<Generation>,
    /// What each of the two looked up. Of a key that both did, what the faulting one saw counts.
    pub(crate) reads: [&'a [Read]; 2],
}

/// The same, for later. Keeps no generation alive.
pub(crate) struct Offence {
    pub(crate) recorded: RecordedCall,
    pub(crate) fault: Fault,
    pub(crate) faulting: Weak<Generation>,
    pub(crate) rescuing: Weak<Generation>,
}

impl Rescue<'_> {
    /// Whether it says something about the guest, and in few enough words to be kept.
    pub(crate) fn is_evidence(&self) -> bool {
        let reads = self.reads.iter().copied().flatten().map(Read::bytes).sum::<usize>();
        // The host is at fault, and no input would show it again.
        !matches!(self.fault, Fault::NoInstance(_)) && self.call.bytes() + reads <= OFFENCE_BYTES_MAX
    }

    /// Copies it.
    pub(crate) fn keep(&self) -> Offence {
        Offence {
            recorded: RecordedCall { at: self.at, call: self.call.copy(), reads: self.reads.concat() },
            fault: self.fault.clone(),
            faulting: Arc::downgrade(self.faulting),
            rescuing: Arc::downgrade(self.rescuing),
        }
    }
}

/// What sort of fault it is, in words that are the same for all of them.
pub(crate) fn sort(fault: &Fault) -> String {
    let words = fault.to_string();
    let mut sort = String::with_capacity(words.len());
    let mut rest = &*words;
    while let Some(letter) = rest.chars().next() {
        let digits = rest.strip_prefix("0x").unwrap_or(rest);
        let is_digit = |letter: char| letter.is_ascii_hexdigit() && (rest.starts_with("0x") || letter.is_ascii_digit());
        let behind = digits.trim_start_matches(is_digit);
        if behind.len() < digits.len() {
            sort.push('#');
            rest = behind;
        } else {
            sort.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    sort
}

/// How many offences of each kind there were.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    guests: VecDeque<(Digest, HashMap<String, usize>)>,
}

impl Seen {
    /// Counts one of a kind. False when there were enough, of that kind or of kinds.
    pub(crate) fn admits(&mut self, guest: Digest, sort: String) -> bool {
        let known = self.guests.iter().position(|(digest, _)| *digest == guest);
        let at = known.unwrap_or_else(|| {
            if self.guests.len() == GUESTS_MAX {
                self.guests.pop_front();
            }
            self.guests.push_back((guest, HashMap::new()));
            self.guests.len() - 1
        });
        let kinds = &mut self.guests[at].1;
        if kinds.len() == KINDS_MAX && !kinds.contains_key(&sort) {
            return false;
        }
        let count = kinds.entry(sort).or_default();
        let admits = *count < OFFENCES_PER_KIND_MAX;
        *count += usize::from(admits);
        admits
    }
}

/// The first may be shrunk to the same as the second, and the third rarely says more.
const OFFENCES_PER_KIND_MAX: usize = 3;
/// Kinds of one guest: its last line of output is part of the words, and may hold what a client sent.
const KINDS_MAX: usize = 32;
/// Guests that are remembered: those that are live, and some before them.
const GUESTS_MAX: usize = 8;
/// A call of the longest line, and some records.
const OFFENCE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn trap(words: &str) -> String {
        sort(&Fault::Trap(words.into()))
    }

    #[test]
    fn numbers_and_addresses_make_no_kind_of_their_own() {
        assert_eq!(trap("at 0xdeadBEEF: 12 of 3"), "trapped: at #: # of #");
        assert_eq!(trap("at 0x1: 4 of 56789"), trap("at 0xdeadBEEF: 12 of 3"));
        assert_ne!(trap("dead é 0x"), trap("beef é 0x"));
    }

    #[test]
    fn of_each_kind_and_guest_some_are_enough() {
        let mut seen = Seen::default();
        let mut admitted =
            |guest: &[u8], sort: &str| (0..100).filter(|_| seen.admits(Digest::of(guest), sort.into())).count();
        assert_eq!([admitted(b"a", "x"), admitted(b"a", "y"), admitted(b"b", "x")], [OFFENCES_PER_KIND_MAX; 3]);
        assert_eq!(admitted(b"a", "x"), 0);
    }

    #[test]
    fn a_guest_that_says_something_else_each_time_is_bounded_too() {
        let mut seen = Seen::default();
        let admitted = (0..1000).filter(|number| seen.admits(Digest::of(b"a"), format!("{number:b}"))).count();
        assert_eq!(admitted, KINDS_MAX);
        for guest in 0..1000_u32 {
            assert!(seen.admits(Digest::of(&guest.to_le_bytes()), "x".into()));
        }
        assert_eq!(seen.guests.len(), GUESTS_MAX);
    }
}
