//! The frame of an entry in a file: marker, kind, length, checksum, payload.
//!
//! Marker and checksum depend on a salt that is drawn for each process and stands in the head of its files. A client chooses
//! the bytes of its records, and a reader that looks for the next entry behind damaged bytes must not take such bytes for an entry.

/// Encoder and checker of the entries of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    marker: [u8; 3],
    seed: u32,
}

/// What stands at the start of some bytes of a file.
pub(crate) enum Frame<'a> {
    /// A whole entry.
    Entry { code: u8, payload: &'a [u8] },
    /// The head of an entry of so many bytes in all, of which not all are here.
    Partial { bytes: usize },
    /// No entry.
    Damaged,
}

impl Framing {
    pub(crate) fn new(salt: u64) -> Self {
        let bytes = salt.to_le_bytes();
        // Zeros are what a disk shows where nothing was written: they must not be a marker.
        Self { marker: [bytes[0] | 1, bytes[1], bytes[2]], seed: crc32c::crc32c(&bytes) }
    }

    /// Returns the head of an entry. The payload follows it.
    pub(crate) fn head(&self, code: u8, payload: &[u8]) -> [u8; HEAD_BYTES] {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let [a, b, c] = self.marker;
        let [d, e, f, g] = length;
        let start = [a, b, c, code, d, e, f, g];
        let [h, i, j, k] = self.checksum(&start, payload).to_le_bytes();
        [a, b, c, code, d, e, f, g, h, i, j, k]
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
        let [a, b, c, code, d, e, f, g, h, i, j, k] = *head;
        let length = u32::from_le_bytes([d, e, f, g]) as usize;
        if [a, b, c] != self.marker || length > PAYLOAD_BYTES_MAX {
            return Frame::Damaged;
        }
        let Some(payload) = rest.get(..length) else {
            return Frame::Partial { bytes: HEAD_BYTES + length };
        };
        match self.checksum(&head[..8], payload) == u32::from_le_bytes([h, i, j, k]) {
            true => Frame::Entry { code, payload },
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

    fn checksum(&self, start: &[u8], payload: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.seed, start), payload)
    }
}

/// Bytes before the payload of an entry.
pub(crate) const HEAD_BYTES: usize = 12;
/// Longest payload. Reports of peers are far shorter; a damaged length is mostly beyond it, and costs no long read.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Code of an entry of a log file whose payload is an offset in it: everything before is on disk, here and in earlier files.
pub(crate) const SYNCED: u8 = 126;
/// Code of the last entry of a snapshot; its payload is the number of entries before it.
pub(crate) const END: u8 = 127;
/// Codes from here on may be skipped by a reader that does not know them.
pub(crate) const SKIPPABLE: u8 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_reads_what_it_wrote_and_no_flipped_bit_of_it() {
        let framing = Framing::new(7);
        let mut bytes = Vec::new();
        framing.push(&mut bytes, 3, b"payload");
        assert!(matches!(framing.read(&bytes), Frame::Entry { code: 3, payload: b"payload" }));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(framing.read(&bytes), Frame::Entry { .. }), "bit {bit}");
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
    fn framing_takes_no_length_beyond_the_longest_payload() {
        let framing = Framing::new(7);
        let mut bytes = framing.head(3, b"").to_vec();
        bytes[4..8].copy_from_slice(&(PAYLOAD_BYTES_MAX as u32).to_le_bytes());
        assert!(matches!(framing.read(&bytes), Frame::Partial { .. }));
        bytes[4..8].copy_from_slice(&(PAYLOAD_BYTES_MAX as u32 + 1).to_le_bytes());
        assert!(matches!(framing.read(&bytes), Frame::Damaged));
    }

    #[test]
    fn framing_finds_the_next_marker_or_the_rest_that_may_begin_one() {
        let framing = Framing::new(7);
        let mut bytes = vec![0; 5];
        framing.push(&mut bytes, 3, b"x");
        assert_eq!(framing.find(&bytes), 5);
        assert_eq!(framing.find(&[0; 9]), 7);
        assert_eq!(framing.find(&[0; 1]), 0);
    }
}
