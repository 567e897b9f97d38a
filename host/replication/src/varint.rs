//! Variable-length integers and byte strings, as reports and link frames encode them.
//!
//! Integers are LEB128: seven bits a byte, the lowest first, the high bit set on all bytes but the last. Byte strings are
//! preceded by their length. Reading checks every length against the bytes that are there before anything is allocated.

/// Malformed bytes. The sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes that end early or hold a number out of range")]
pub struct Malformed;

/// Appends an integer.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a byte string with its length.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes to read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(first)
    }

    /// Reads an integer of at most 64 bits.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// Reads an integer of at most 32 bits.
    #[inline]
    pub(crate) fn number32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// Reads a byte string.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    /// Reads this many bytes.
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_read_back(value: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put(&mut out, value);
            put_bytes(&mut out, &bytes);
            let mut reader = Reader(&out);
            prop_assert_eq!((reader.number(), reader.bytes(), reader.is_empty()), (Ok(value), Ok(&bytes[..]), true));
        }

        #[test]
        fn varints_of_a_stranger_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while reader.bytes().is_ok() && !reader.is_empty() {}
        }
    }

    #[test]
    fn varint_out_of_range_or_cut_is_malformed() {
        for bytes in [&[0x80][..], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &[]] {
            assert_eq!(Reader(bytes).number(), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).number32(), Err(Malformed));
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).number32(), Ok(u32::MAX));
        assert_eq!(Reader(&[5, 1, 2]).bytes(), Err(Malformed));
    }
}
