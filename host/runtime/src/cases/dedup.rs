//! Deduplication of faults that the previous generation made good: samples of each kind instead of every one.
//!
//! A guest that faults on every line faults thousands of times a second in the same way. Faults are therefore grouped by
//! guest and *signature*, the text of the fault without its numbers, and only the first few of a group are copied.
//!
//! Bounds: [`SAMPLES_PER_KIND_MAX`], [`KINDS_MAX`] and [`GUESTS_MAX`]; [`SAMPLE_BYTES_MAX`] for a sample.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use herd_model::Digest;
use herd_recording::{Call, Read, RecordedCall};
use herd_sdk::Moment;

use crate::generation::generation::Generation;
use crate::sandbox::fault::Fault;

/// A call on which one generation faulted and which another decided, borrowed from the worker.
pub(crate) struct RescuedCall<'a> {
    pub(crate) at: Moment,
    pub(crate) call: &'a Call<'a>,
    pub(crate) fault: &'a Fault,
    pub(crate) faulting: &'a Arc<Generation>,
    pub(crate) rescuing: &'a Arc<Generation>,
    /// Records that each of the two looked up, the faulting one first: its value of a key counts.
    pub(crate) reads: [&'a [Read]; 2],
}

/// A copy of a rescued call. Keeps no generation alive.
pub(crate) struct FaultSample {
    pub(crate) recorded: RecordedCall,
    pub(crate) fault: Fault,
    pub(crate) faulting: Weak<Generation>,
    pub(crate) rescuing: Weak<Generation>,
}

impl RescuedCall<'_> {
    /// Returns whether the call is short enough for a sample.
    pub(crate) fn fits_a_sample(&self) -> bool {
        let reads = self.reads.iter().copied().flatten().map(Read::bytes).sum::<usize>();
        self.call.bytes() + reads <= SAMPLE_BYTES_MAX
    }

    /// Copies the call.
    pub(crate) fn sample(&self) -> FaultSample {
        FaultSample {
            recorded: RecordedCall { at: self.at, call: self.call.copy(), reads: self.reads.concat() },
            fault: self.fault.clone(),
            faulting: Arc::downgrade(self.faulting),
            rescuing: Arc::downgrade(self.rescuing),
        }
    }
}

/// Returns the text of a fault without the digits of numbers and addresses. Two texts that differ in hexadecimal letters only
/// count as one kind, which costs a sample at most.
pub(crate) fn signature(fault: &Fault) -> String {
    fault.to_string().replace(|letter: char| letter.is_ascii_hexdigit(), "")
}

/// Number of samples of each kind so far.
#[derive(Debug, Default)]
pub(crate) struct SampleCounts {
    by_guest: HashMap<Digest, HashMap<String, usize>>,
}

impl SampleCounts {
    /// Counts a sample of a kind. False where enough were counted, of that kind or of kinds.
    pub(crate) fn admit(&mut self, guest: Digest, signature: String) -> bool {
        // Starting over costs a few samples more, of which the files drop those that are there.
        if self.by_guest.len() == GUESTS_MAX && !self.by_guest.contains_key(&guest) {
            self.by_guest.clear();
        }
        let kinds = self.by_guest.entry(guest).or_default();
        if kinds.len() == KINDS_MAX && !kinds.contains_key(&signature) {
            return false;
        }
        let count = kinds.entry(signature).or_default();
        *count += 1;
        *count <= SAMPLES_PER_KIND_MAX
    }
}

/// The first may be reduced to the same case as the second, and the third rarely adds anything.
const SAMPLES_PER_KIND_MAX: usize = 3;
/// Kinds of one guest. Its last line of output is part of the signature, and may hold what a client sent.
const KINDS_MAX: usize = 32;
/// Guests with counts: the live ones, and a few before them.
const GUESTS_MAX: usize = 8;
/// A call with a line of the longest, and some records.
const SAMPLE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn trap(text: &str) -> String {
        signature(&Fault::Trap(text.into()))
    }

    #[test]
    fn fault_signature_has_no_numbers_and_addresses() {
        assert_eq!(trap("at 0x1: 4 of 56789"), trap("at 0xdeadBEEF: 12 of 3"));
        assert_ne!(trap("index out of bounds"), trap("division by zero"));
    }

    #[test]
    fn sample_counts_admit_a_few_of_each_guest_and_kind() {
        let mut counts = SampleCounts::default();
        let mut admitted =
            |guest: &[u8], kind: &str| (0..100).filter(|_| counts.admit(Digest::of(guest), kind.into())).count();
        assert_eq!([admitted(b"a", "x"), admitted(b"a", "y"), admitted(b"b", "x")], [SAMPLES_PER_KIND_MAX; 3]);
        assert_eq!(admitted(b"a", "x"), 0);
    }

    #[test]
    fn sample_counts_are_bounded_by_kinds_and_guests() {
        let mut counts = SampleCounts::default();
        let admitted = (0..1000).filter(|number| counts.admit(Digest::of(b"a"), format!("{number:b}"))).count();
        assert_eq!(admitted, KINDS_MAX);
        for guest in 0..1000_u32 {
            assert!(counts.admit(Digest::of(&guest.to_le_bytes()), "x".into()));
            assert!(counts.by_guest.len() <= GUESTS_MAX);
        }
    }
}
