//! What goes into a call, as it travels: bytes one behind the other, and a list of 32-bit words that says what is what.

use crate::event::{Input, Mark, Report};

/// Inputs of several sessions.
#[derive(Debug, Default)]
pub struct InputBatch {
    bytes: Vec<u8>,
    words: Vec<u32>,
}

impl Clone for InputBatch {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), words: self.words.clone() }
    }

    /// Copies into the room that is there.
    fn clone_from(&mut self, other: &Self) {
        self.bytes.clone_from(&other.bytes);
        self.words.clone_from(&other.words);
    }
}

impl InputBatch {
    /// Adds one, behind the others.
    ///
    /// # Panics
    ///
    /// When it is over 4 GiB, which no window is.
    pub fn push(&mut self, input: Input<'_>) {
        let mark = match input.mark {
            Mark::More => mark::MORE,
            Mark::End => mark::END,
            Mark::Overlong => mark::OVERLONG,
        };
        self.bytes.extend_from_slice(input.bytes);
        self.words.extend([u32::try_from(input.bytes.len()).expect("a window is under 4 GiB"), mark]);
    }

    /// Forgets them, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.words.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len() / WORDS_PER_INPUT
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// One after the other.
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

/// Reads inputs one by one. Ends early at words that do not fit the bytes.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    bytes: &'a [u8],
    words: &'a [u32],
}

impl<'a> Inputs<'a> {
    /// Reads these.
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

/// Reports of a peer.
#[derive(Clone, Debug, Default)]
pub struct ReportBatch {
    bytes: Vec<u8>,
    words: Vec<u32>,
}

impl ReportBatch {
    /// Adds one, behind the others.
    pub fn push(&mut self, report: &Report<'_>) {
        for bytes in [report.key, report.rank, report.bytes, report.origin] {
            self.bytes.extend_from_slice(bytes);
            self.words.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        self.words.push(report.form);
    }

    /// The form of each.
    pub fn forms(&self) -> impl Iterator<Item = u32> {
        self.words.chunks_exact(WORDS_PER_REPORT).map(|words| words[WORDS_PER_REPORT - 1])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len() / WORDS_PER_REPORT
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their words.
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

/// Reads reports. Ends early at words that do not fit the bytes.
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
    fn inputs_read_back_each_for_itself() {
        let inputs = [(&b"a\n"[..], Mark::More), (b"", Mark::End), (b"long", Mark::Overlong)];
        let batch: InputBatch = inputs.iter().map(|&(bytes, mark)| Input { bytes, mark }).collect();
        assert_eq!((batch.len(), batch.bytes()), (3, &b"a\nlong"[..]));
        assert_eq!(batch.iter().map(|input| (input.bytes, input.mark)).collect::<Vec<_>>(), inputs);
        assert_eq!(Inputs::new(b"abc", &[2, 0, 2, 0]).count(), 1, "the second is longer than what is there");
    }

    #[test]
    fn reports_read_back() {
        let report = |key, form| Report { key, rank: b"\xff", form, bytes: b"AT", origin: b"Riley" };
        let reports = [report(b"a", 7), report(b"bc", 8)];
        let batch: ReportBatch = reports.iter().collect();
        assert_eq!(batch.forms().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(read_reports(batch.bytes(), batch.words()), reports);
        assert_eq!(read_reports(&batch.bytes()[1..], batch.words()).len(), 1, "a part is missing");
    }
}
