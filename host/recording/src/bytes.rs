//! Little-endian numbers and lengths: writing them to a buffer, and reading them from bytes that may be anything.
//!
//! Knows nothing of what they mean. Reading checks every length against what is left, so no length is believed.

/// Appends a number of 32 bits.
pub(crate) fn put_u32(to: &mut Vec<u8>, number: u32) {
    to.extend_from_slice(&number.to_le_bytes());
}

/// Appends a number of 64 bits.
pub(crate) fn put_u64(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}

/// Appends bytes behind their number.
pub(crate) fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(to, length(bytes.len()));
    to.extend_from_slice(bytes);
}

/// Appends words behind their number. In one piece, because a decision has twenty of them for each line.
pub(crate) fn put_words(to: &mut Vec<u8>, words: &[u32]) {
    put_u32(to, length(words.len()));
    let start = to.len();
    to.resize(start + 4 * words.len(), 0);
    for (to, word) in to[start..].chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

/// A length of 32 bits. Calls are limited to far less.
pub(crate) fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Reader of bytes that may be anything. None where they end too early.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(crate) fn words(&mut self) -> Option<Vec<u32>> {
        let bytes = (self.u32()? as usize).checked_mul(4)?;
        let words = self.take(bytes)?.as_chunks::<4>().0;
        Some(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }
}
