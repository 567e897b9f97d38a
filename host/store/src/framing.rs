//! The frame of an entry in a file: marker, number, kind, length, checksum, payload.
//!
//! Marker and checksum depend on a salt that is drawn for each process and stands in the head of its files. A client chooses
//! the bytes of its records, and a reader that looks for the next entry behind damaged bytes must not take such bytes for an
//! entry. The number counts the entries of a file, so that missing ones are found; it is set when the file is known, long after
//! the checksum was computed, which does not cover it.

/// Encoder and checker of the entries of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    marker: [u8; 2],
    seed: u32,
}

/// Entry at the start of some bytes of a file, or the reason why there is none.
pub(crate) enum Frame<'a> {
    /// A whole entry.
    Entry { number: u16, code: u8, payload: &'a [u8] },
    /// The head of an entry of so many bytes in all, of which not all are here.
    Partial { bytes: usize },
    /// No entry.
    Damaged,
}

impl Framing {
    pub(crate) fn new(salt: u64) -> Self {
        let bytes = salt.to_le_bytes();
        // Zeros are what a disk shows where nothing was written: they must not be a marker.
        Self { marker: [bytes[0] | 1, bytes[1]], seed: crc32c::crc32c(&bytes) }
    }

    /// Returns the head of an entry without its number. The payload follows it.
    pub(crate) fn head(&self, code: u8, payload: &[u8]) -> [u8; HEAD_BYTES] {
        let [a, b] = self.marker;
        let [c, d, e, _] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let [f, g, h, i] = self.checksum([a, b, code, c, d, e], payload).to_le_bytes();
        [a, b, 0, 0, code, c, d, e, f, g, h, i]
    }

    pub(crate) fn push(&self, out: &mut Vec<u8>, code: u8, payload: &[u8]) {
        out.extend_from_slice(&self.head(code, payload));
        out.extend_from_slice(payload);
    }

    /// Reads what stands at the start of the bytes.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Frame<'a> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Frame::Partial { bytes: HEAD_BYTES };
        };
        let [a, b, number @ .., code, c, d, e, f, g, h, i] = *head;
        if [a, b] != self.marker {
            return Frame::Damaged;
        }
        let length = u32::from_le_bytes([c, d, e, 0]) as usize;
        let Some(payload) = rest.get(..length) else {
            return Frame::Partial { bytes: HEAD_BYTES + length };
        };
        match self.checksum([a, b, code, c, d, e], payload) == u32::from_le_bytes([f, g, h, i]) {
            true => Frame::Entry { number: u16::from_le_bytes(number), code, payload },
            false => Frame::Damaged,
        }
    }

    /// Returns where the next entry may start, or else from where on there are too few bytes to tell.
    pub(crate) fn find(&self, bytes: &[u8]) -> usize {
        bytes
            .windows(self.marker.len())
            .position(|window| window == self.marker)
            .unwrap_or(bytes.len().saturating_sub(self.marker.len() - 1))
    }

    fn checksum(&self, start: [u8; 6], payload: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.seed, &start), payload)
    }
}

/// Numbers of the entries of one file. They begin again after 65,536.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryNumbers {
    /// Number of the next entry, if it is known.
    next: Option<u16>,
}

impl EntryNumbers {
    /// Returns the numbers from the first entry of a file on.
    pub(crate) fn from_start() -> Self {
        Self { next: Some(0) }
    }

    /// Returns the numbers from some entry of a file on.
    pub(crate) fn from_anywhere() -> Self {
        Self { next: None }
    }

    /// Numbers whole entries on their way to the file.
    pub(crate) fn set(&mut self, mut entries: &mut [u8]) {
        let mut next = self.next.unwrap_or(0);
        while let Some((head, rest)) = entries.split_first_chunk_mut::<HEAD_BYTES>() {
            let [_, _, number @ .., _, c, d, e, _, _, _, _] = head;
            *number = next.to_le_bytes();
            next = next.wrapping_add(1);
            let length = u32::from_le_bytes([*c, *d, *e, 0]) as usize;
            entries = rest.get_mut(length..).unwrap_or_default();
        }
        self.next = Some(next);
    }

    /// Returns whether a number is the next one, and goes on behind it in any case.
    pub(crate) fn continue_with(&mut self, number: u16) -> bool {
        let expected = self.next.replace(number.wrapping_add(1));
        expected.is_none_or(|expected| number == expected)
    }
}

/// Returns whether an entry is the mark [`REPEATED`].
pub(crate) fn is_repeated(code: u8, payload: &[u8]) -> bool {
    code == REPEATED || code == REPEATED_BEFORE && payload.is_empty()
}

/// Bytes before the payload of an entry.
pub(crate) const HEAD_BYTES: usize = 12;
/// Longest payload, as three bytes hold its length. Reports of peers are far shorter.
pub(crate) const PAYLOAD_BYTES_MAX: usize = (1 << 24) - 1;
/// Code of an entry of a log file whose payload is an offset in it: everything before is on disk, here and in earlier files.
pub(crate) const SYNCED: u8 = 126;
/// Code of the last entry of a snapshot; its payload is the number of entries before it.
pub(crate) const END: u8 = 127;
/// Code of an entry of a log file that repeats everything that could be read of earlier log files.
pub(crate) const REPEATED: u8 = 129;
/// Code that this mark had before. It is that of a contact too, whose payload is never empty, as that of the mark is.
const REPEATED_BEFORE: u8 = 128;
/// Codes from here on may be skipped by a reader that does not know them.
pub(crate) const SKIPPABLE: u8 = 128;
/// Code of the entries of a made-up later version.
pub(crate) const LATER: u8 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_reads_what_it_wrote_and_no_flipped_bit_of_it() {
        let framing = Framing::new(7);
        let mut bytes = Vec::new();
        framing.push(&mut bytes, 3, b"payload");
        assert!(matches!(framing.read(&bytes), Frame::Entry { number: 0, code: 3, payload: b"payload" }));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(framing.read(&bytes), Frame::Entry { number: 0, .. }), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn framing_of_another_salt_is_no_entry() {
        let mut bytes = Vec::new();
        Framing::new(7).push(&mut bytes, 3, b"payload");
        assert!(matches!(Framing::new(8).read(&bytes), Frame::Damaged));
        // The same marker, but another seed.
        assert!(matches!(Framing::new(7 | 1 << 60).read(&bytes), Frame::Damaged));
    }

    #[test]
    fn framing_of_zeros_is_no_entry() {
        assert!(matches!(Framing::new(0).read(&[0; 64]), Frame::Damaged));
    }

    #[test]
    fn framing_tells_how_long_an_entry_is_before_it_is_whole() {
        let framing = Framing::new(7);
        let mut bytes = Vec::new();
        framing.push(&mut bytes, 3, b"payload");
        assert!(matches!(framing.read(&bytes[..11]), Frame::Partial { bytes: 12 }));
        assert!(matches!(framing.read(&bytes[..18]), Frame::Partial { bytes: 19 }));
    }

    #[test]
    fn framing_numbers_entries_and_finds_missing_ones() {
        let framing = Framing::new(7);
        let (mut bytes, mut numbers) = (Vec::new(), EntryNumbers { next: Some(u16::MAX) });
        for length in [0, 300, 70_000] {
            framing.push(&mut bytes, 3, &vec![0; length]);
        }
        numbers.set(&mut bytes);
        let (mut at, mut found) = (0, Vec::new());
        while let Frame::Entry { number, payload, .. } = framing.read(&bytes[at..]) {
            found.push(number);
            at += HEAD_BYTES + payload.len();
        }
        assert_eq!(found, [u16::MAX, 0, 1]);
        assert!(numbers.continue_with(2));
        assert!(!numbers.continue_with(4));
        assert!(numbers.continue_with(5));
        assert!(EntryNumbers::from_anywhere().continue_with(9));
        assert!(!EntryNumbers::from_start().continue_with(9));
    }

    #[test]
    fn framing_finds_the_next_marker_or_the_rest_that_may_begin_one() {
        let framing = Framing::new(7);
        let mut bytes = vec![0; 5];
        framing.push(&mut bytes, 3, b"x");
        assert_eq!(framing.find(&bytes), 5);
        assert_eq!(framing.find(&[0; 9]), 8);
        assert_eq!(framing.find(&[0; 1]), 0);
    }
}
