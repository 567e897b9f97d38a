//! Codec of batches of inputs and reports: their concatenated bytes, and a list of 32-bit words that describes them.
//!
//! Owns the encoding that `wit/logic.wit` defines. It must not know sessions or peers. The host bounds a batch before it
//! encodes one; decoding stops at words that do not match the bytes.

use crate::event::{Input, Mark, Report};

/// Encoded inputs of several sessions.
///
/// ```
/// use herd_sdk::{Input, InputBatch, Mark};
///
/// let mut batch = InputBatch::default();
/// batch.push(Input { bytes: b"a\n", mark: Mark::More });
/// batch.push(Input { bytes: b"b", mark: Mark::End });
/// assert_eq!((batch.bytes(), batch.words()), (&b"a\nb"[..], &[2, 0, 1, 1][..]));
/// assert_eq!(batch.iter().last().unwrap().bytes, b"b");
/// ```
#[derive(Debug, Default)]
pub struct InputBatch {
    bytes: Vec<u8>,
    words: Vec<u32>,
}

impl Clone for InputBatch {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), words: self.words.clone() }
    }

    /// Reuses the allocations of `self`.
    fn clone_from(&mut self, other: &Self) {
        self.bytes.clone_from(&other.bytes);
        self.words.clone_from(&other.words);
    }
}

impl InputBatch {
    /// Appends an input.
    ///
    /// # Panics
    ///
    /// If the input exceeds 4 GiB, which no window of a session does.
    pub fn push(&mut self, input: Input<'_>) {
        let mark = match input.mark {
            Mark::More => mark::MORE,
            Mark::End => mark::END,
            Mark::Overlong => mark::OVERLONG,
        };
        self.bytes.extend_from_slice(input.bytes);
        self.words.extend([u32::try_from(input.bytes.len()).expect("a window is under 4 GiB"), mark]);
    }

    /// Removes all inputs and keeps the allocations.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.words.clear();
    }

    /// Returns the number of inputs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len() / WORDS_PER_INPUT
    }

    /// Returns whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns the concatenated bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the words that describe the bytes.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Decodes the inputs in order.
    #[must_use]
    pub fn iter(&self) -> Inputs<'_> {
        Inputs::new(&self.bytes, &self.words)
    }
}

impl<'a> FromIterator<Input<'a>> for InputBatch {
    fn from_iter<T: IntoIterator<Item = Input<'a>>>(inputs: T) -> Self {
        let mut batch = Self::default();
        inputs.into_iter().for_each(|input| batch.push(input));
        batch
    }
}

/// Iterator that decodes inputs. Stops at words that do not match the bytes.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    bytes: &'a [u8],
    words: &'a [u32],
}

impl<'a> Inputs<'a> {
    /// Decodes a batch from its bytes and words.
    #[must_use]
    pub fn new(bytes: &'a [u8], words: &'a [u32]) -> Self {
        Self { bytes, words }
    }
}

impl<'a> Iterator for Inputs<'a> {
    type Item = Input<'a>;

    fn next(&mut self) -> Option<Input<'a>> {
        let [length, mark, ref words @ ..] = *self.words else { return None };
        let mark = match mark {
            mark::MORE => Mark::More,
            mark::END => Mark::End,
            mark::OVERLONG => Mark::Overlong,
            _ => return None,
        };
        let (bytes, rest) = self.bytes.split_at_checked(length as usize)?;
        (self.bytes, self.words) = (rest, words);
        Some(Input { bytes, mark })
    }
}

/// Encoded reports of a peer.
#[derive(Clone, Debug, Default)]
pub struct ReportBatch {
    bytes: Vec<u8>,
    words: Vec<u32>,
}

impl ReportBatch {
    /// Appends a report.
    pub fn push(&mut self, report: &Report<'_>) {
        for bytes in [report.key, report.rank, report.bytes, report.origin] {
            self.bytes.extend_from_slice(bytes);
            self.words.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        self.words.push(report.form);
    }

    /// Iterates over the forms of the reports.
    pub fn forms(&self) -> impl Iterator<Item = u32> {
        self.words.chunks_exact(WORDS_PER_REPORT).map(|words| words[WORDS_PER_REPORT - 1])
    }

    /// Returns the number of reports.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len() / WORDS_PER_REPORT
    }

    /// Returns whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns the concatenated bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the words that describe the bytes.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

impl<'a> FromIterator<&'a Report<'a>> for ReportBatch {
    fn from_iter<T: IntoIterator<Item = &'a Report<'a>>>(reports: T) -> Self {
        let mut batch = Self::default();
        reports.into_iter().for_each(|report| batch.push(report));
        batch
    }
}

/// Decodes reports. Stops at words that do not match the bytes.
#[must_use]
pub fn read_reports<'a>(mut bytes: &'a [u8], words: &[u32]) -> Vec<Report<'a>> {
    let mut part = |length: u32| {
        let (part, rest) = bytes.split_at_checked(length as usize)?;
        bytes = rest;
        Some(part)
    };
    let report = |words: &[u32]| match *words {
        [key, rank, record, origin, form] => {
            Some(Report { key: part(key)?, rank: part(rank)?, bytes: part(record)?, origin: part(origin)?, form })
        }
        _ => None,
    };
    words.chunks_exact(WORDS_PER_REPORT).map_while(report).collect()
}

mod mark {
    pub(super) const MORE: u32 = 0;
    pub(super) const END: u32 = 1;
    pub(super) const OVERLONG: u32 = 2;
}

const WORDS_PER_INPUT: usize = 2;
const WORDS_PER_REPORT: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_returns_each_input() {
        let inputs = [(&b"a\n"[..], Mark::More), (b"", Mark::End), (b"long", Mark::Overlong)];
        let batch: InputBatch = inputs.iter().map(|&(bytes, mark)| Input { bytes, mark }).collect();
        assert_eq!((batch.len(), batch.bytes()), (3, &b"a\nlong"[..]));
        assert_eq!(batch.iter().map(|input| (input.bytes, input.mark)).collect::<Vec<_>>(), inputs);
        assert_eq!(Inputs::new(b"abc", &[2, 0, 2, 0]).count(), 1, "the second input exceeds the bytes");
    }

    #[test]
    fn decoding_returns_each_report() {
        let report = |key, form| Report { key, rank: b"\xff", form, bytes: b"AT", origin: b"Riley" };
        let reports = [report(b"a", 7), report(b"bc", 8)];
        let batch: ReportBatch = reports.iter().collect();
        assert_eq!(batch.forms().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(read_reports(batch.bytes(), batch.words()), reports);
        assert_eq!(read_reports(&batch.bytes()[1..], batch.words()).len(), 1, "the last field is truncated");
    }
}
