//! Reader of the entries of one file: in large runs, without an allocation per entry, past damaged bytes.

use std::ops::Range;

use crate::files::OpenFile;
use crate::framing::{EntryNumbers, Frame, Framing, HEAD_BYTES};

/// Finding of a reader in a file, in order.
pub(crate) enum Found<'a> {
    Entry {
        code: u8,
        payload: &'a [u8],
        offset: u64,
    },
    /// Bytes that are no entry, or none where entries are missing, before a further entry.
    Damage {
        offset: u64,
        bytes: u64,
        why: String,
    },
    /// So many bytes of the file have been read.
    Read {
        bytes: u64,
    },
}

/// End of a file.
pub(crate) struct Ending {
    /// Offset behind the last entry.
    pub(crate) entries_end: u64,
    /// Bytes behind it: a torn tail, or damage.
    pub(crate) tail_bytes: u64,
    /// Reason why the tail is no entry.
    pub(crate) why: String,
}

/// Reads the entries of a part of a file. `numbers` are those from its start on.
pub(crate) fn read_entries<F: OpenFile>(
    file: &F,
    framing: Framing,
    part: Range<u64>,
    numbers: EntryNumbers,
    found: impl FnMut(Found<'_>),
) -> Ending {
    EntryReader {
        file,
        framing,
        run_bytes: RUN_BYTES,
        numbers,
        window: Vec::new(),
        at: 0,
        // A crash may have left half a head.
        window_offset: part.start.min(part.end),
        file_bytes: part.end,
        damage: None,
        read_error: None,
        found,
    }
    .run()
}

struct EntryReader<'f, F, E> {
    file: &'f F,
    framing: Framing,
    run_bytes: usize,
    numbers: EntryNumbers,
    /// Bytes of the file from `window_offset` on, of which those before `at` are done.
    window: Vec<u8>,
    at: usize,
    window_offset: u64,
    file_bytes: u64,
    /// Offset of damaged bytes whose end is not found yet.
    damage: Option<u64>,
    /// Last error of the disk, until it has been told.
    read_error: Option<String>,
    found: E,
}

impl<F: OpenFile, E: FnMut(Found<'_>)> EntryReader<'_, F, E> {
    fn run(mut self) -> Ending {
        let mut entries_end = self.window_offset;
        loop {
            match self.framing.read(&self.window[self.at..]) {
                Frame::Entry { number, code, payload } => {
                    let offset = self.window_offset + self.at as u64;
                    let continues = self.numbers.continue_with(number);
                    if let Some(start) = self.damage.take() {
                        let why = self.read_error.take().unwrap_or_else(|| CHECKSUM.into());
                        (self.found)(Found::Damage { offset: start, bytes: offset - start, why });
                    } else if !continues {
                        let why = MISSING.into();
                        (self.found)(Found::Damage { offset, bytes: 0, why });
                    }
                    (self.found)(Found::Entry { code, payload, offset });
                    self.at += HEAD_BYTES + payload.len();
                    entries_end = self.window_offset + self.at as u64;
                }
                Frame::Partial { bytes } if self.offset().saturating_add(bytes as u64) <= self.file_bytes => {
                    self.fill(bytes);
                }
                Frame::Partial { .. } if self.offset() == self.file_bytes => break,
                // The run ends within a head, and the file soon after.
                Frame::Partial { .. }
                    if self.window.len() - self.at < HEAD_BYTES && self.window_end() < self.file_bytes =>
                {
                    self.fill(HEAD_BYTES);
                }
                Frame::Partial { .. } | Frame::Damaged => self.skip(),
            }
        }
        let why = self.read_error.take().unwrap_or_else(|| CHECKSUM.into());
        Ending { entries_end, tail_bytes: self.file_bytes - entries_end, why }
    }

    fn offset(&self) -> u64 {
        self.window_offset + self.at as u64
    }

    fn window_end(&self) -> u64 {
        self.window_offset + self.window.len() as u64
    }

    /// Skips to where the next entry may start, or the bytes that were read end. A payload cannot imitate one: its writer does not know the
    /// salt.
    fn skip(&mut self) {
        let offset = self.offset();
        self.damage.get_or_insert(offset);
        self.at += 1;
        self.at += self.framing.find(&self.window[self.at..]);
    }

    /// Reads on until `bytes` are there from `at` on, or the file ends.
    fn fill(&mut self, bytes: usize) {
        self.window.drain(..self.at);
        self.window_offset += self.at as u64;
        self.at = 0;
        let length = self.window.len();
        let left = self.file_bytes - self.window_offset - length as u64;
        let run = bytes.saturating_sub(length).max(self.run_bytes).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.window.resize(length + run, 0);
        let mut at = length;
        while at < self.window.len() {
            let offset = self.window_offset + at as u64;
            match self.file.read_at(offset, &mut self.window[at..]) {
                // The file is shorter than it was.
                Ok(0) => {
                    self.window.truncate(at);
                    self.file_bytes = offset;
                }
                Ok(read) => at += read,
                Err(error) => at = self.read_block(at, &error),
            }
        }
        (self.found)(Found::Read { bytes: run as u64 });
    }

    /// Reads one block of a run that failed as a whole. A block that fails by itself counts as zeros, which are no entry.
    fn read_block(&mut self, at: usize, error: &std::io::Error) -> usize {
        let end = (at + BLOCK_BYTES).min(self.window.len());
        match self.file.read_at(self.window_offset + at as u64, &mut self.window[at..end]) {
            Ok(read) if read > 0 => at + read,
            _ => {
                self.read_error = Some(format!("cannot be read: {error}"));
                end
            }
        }
    }
}

/// Bytes read at once. A longer entry is read in one run.
const RUN_BYTES: usize = 1 << 20;
/// Bytes of which one unreadable sector costs at most the entries.
const BLOCK_BYTES: usize = 4096;
const MISSING: &str = "entries before this one are missing";
const CHECKSUM: &str = "the checksum differs";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::sim_files::{DiskOperation, SimFiles};

    const LENGTHS: [usize; 7] = [0, 1, 30, 200, 13, 0, 77];

    /// A file of ten bytes and then an entry of each length, and the offsets of the entries.
    fn file() -> (SimFiles, Vec<u64>) {
        let files = SimFiles::new();
        let (mut bytes, mut offsets) = (vec![0xaa; 10], Vec::new());
        for (number, length) in LENGTHS.into_iter().enumerate() {
            offsets.push(bytes.len() as u64);
            Framing::new(9).push(&mut bytes, number as u8, &vec![number as u8; length]);
        }
        EntryNumbers::from_start().set(&mut bytes[10..]);
        offsets.push(bytes.len() as u64);
        files.create("file").unwrap().append(&bytes).unwrap();
        (files, offsets)
    }

    struct Read {
        entries: Vec<(u8, u64)>,
        damage: Vec<(u64, u64, String)>,
        bytes: u64,
        ending: Ending,
    }

    fn read(files: &SimFiles, run_bytes: usize, file_bytes: u64) -> Read {
        let file = files.open("file").unwrap();
        let (mut entries, mut damage, mut read) = (Vec::new(), Vec::new(), 0);
        let reader = EntryReader {
            file: &file,
            framing: Framing::new(9),
            run_bytes,
            numbers: EntryNumbers::from_start(),
            window: Vec::new(),
            at: 0,
            window_offset: 10,
            file_bytes,
            damage: None,
            read_error: None,
            found: |found: Found<'_>| match found {
                Found::Entry { code, payload, offset } => {
                    assert!(payload.iter().all(|byte| *byte == code) && payload.len() == LENGTHS[code as usize]);
                    entries.push((code, offset));
                }
                Found::Damage { offset, bytes, why } => damage.push((offset, bytes, why)),
                Found::Read { bytes } => read += bytes,
            },
        };
        let ending = reader.run();
        Read { entries, damage, bytes: read, ending }
    }

    #[test]
    fn reader_finds_every_entry_in_runs_of_any_size() {
        let (files, offsets) = file();
        let end = offsets[LENGTHS.len()];
        for run_bytes in 1..=end as usize + 1 {
            let read = read(&files, run_bytes, end);
            let found: Vec<_> = read.entries.iter().map(|(_, offset)| *offset).collect();
            assert_eq!(found, offsets[..LENGTHS.len()], "runs of {run_bytes}");
            assert!(read.damage.is_empty());
            assert_eq!((read.ending.entries_end, read.ending.tail_bytes, read.bytes), (end, 0, end - 10));
        }
    }

    #[test]
    fn reader_loses_only_the_entry_of_a_flipped_byte_and_names_its_place() {
        let (files, offsets) = file();
        let end = offsets[LENGTHS.len()];
        for at in 10..end {
            files.flip("file", at as usize, 0x40);
            let hit = offsets.iter().rposition(|offset| *offset <= at).unwrap();
            // The number of an entry is not part of it: the entry is read, and said to be out of order.
            let of_number = (2..4).contains(&(at - offsets[hit]));
            let left: Vec<_> =
                (0..LENGTHS.len()).filter(|number| of_number || *number != hit).map(|number| offsets[number]).collect();
            for run_bytes in [1, 7, 64, 1 << 20] {
                let read = read(&files, run_bytes, end);
                let found: Vec<_> = read.entries.iter().map(|(_, offset)| *offset).collect();
                assert_eq!(found, left, "byte {at} in runs of {run_bytes}");
                let lost = (offsets[hit], offsets[hit + 1] - offsets[hit]);
                if of_number {
                    assert_eq!(read.damage[0], (lost.0, 0, MISSING.to_string()));
                    continue;
                }
                match hit + 1 == LENGTHS.len() {
                    true => assert_eq!((read.ending.entries_end, read.ending.tail_bytes), lost),
                    false => assert_eq!(read.damage, [(lost.0, lost.1, CHECKSUM.to_string())]),
                }
            }
            files.flip("file", at as usize, 0x40);
        }
    }

    #[test]
    fn reader_ends_before_a_torn_entry_wherever_it_is_torn() {
        let (files, offsets) = file();
        for file_bytes in 10..offsets[LENGTHS.len()] {
            let whole = offsets.iter().rposition(|offset| *offset <= file_bytes).unwrap();
            for run_bytes in [1, 7, 1 << 20] {
                let read = read(&files, run_bytes, file_bytes);
                assert_eq!(read.entries.len(), whole, "torn at {file_bytes}");
                assert!(read.damage.is_empty());
                assert_eq!(read.ending.entries_end, offsets[whole]);
                assert_eq!(read.ending.tail_bytes, file_bytes - offsets[whole]);
            }
        }
    }

    #[test]
    fn reader_finds_that_whole_entries_are_missing() {
        for missing in 0..LENGTHS.len() - 1 {
            let (files, offsets) = file();
            let length = offsets[missing + 1] - offsets[missing];
            files.take_out("file", offsets[missing] as usize, length as usize);
            let read = read(&files, 64, offsets[LENGTHS.len()] - length);
            assert_eq!(read.entries.len(), LENGTHS.len() - 1);
            assert_eq!(read.damage, [(offsets[missing], 0, MISSING.to_string())]);
        }
    }

    #[test]
    fn reader_stops_where_a_file_is_shorter_than_it_was() {
        let (files, offsets) = file();
        let read = read(&files, 64, offsets[LENGTHS.len()] + 500);
        assert_eq!((read.entries.len(), read.ending.tail_bytes), (LENGTHS.len(), 0));
    }

    #[test]
    fn reader_passes_an_unreadable_block_and_tells_the_error() {
        let files = SimFiles::new();
        let mut bytes = vec![0xaa; 10];
        for _ in 0..100 {
            Framing::new(9).push(&mut bytes, 3, &[3; LENGTHS[3]]);
        }
        EntryNumbers::from_start().set(&mut bytes[10..]);
        files.create("file").unwrap().append(&bytes).unwrap();
        // The run fails, and then its second block.
        let open = 1;
        files.fail(DiskOperation::Read, open, 2);
        let read = read(&files, 1 << 20, bytes.len() as u64);
        // The first block fails with the run, and is passed over.
        let passed = BLOCK_BYTES.div_ceil(HEAD_BYTES + LENGTHS[3]);
        assert_eq!(read.entries.len(), 100 - passed);
        let [(10, lost, why)] = &read.damage[..] else { panic!("{:?}", read.damage) };
        assert_eq!(*lost as usize, passed * (HEAD_BYTES + LENGTHS[3]));
        assert!(why.starts_with("cannot be read: "), "{why}");
    }

    #[test]
    fn reader_loses_nothing_if_a_run_fails_and_its_blocks_do_not() {
        let (files, offsets) = file();
        let end = offsets[LENGTHS.len()];
        let open = 1;
        for run in 0..3 {
            files.fail(DiskOperation::Read, open + run, 1);
            let read = read(&files, 150, end);
            assert_eq!((read.entries.len(), read.ending.entries_end), (LENGTHS.len(), end), "run {run}");
            assert!(read.damage.is_empty());
        }
        let (long, mut bytes) = (SimFiles::new(), vec![0xaa; 10]);
        (0..100).for_each(|_| Framing::new(9).push(&mut bytes, 3, &[3; LENGTHS[3]]));
        EntryNumbers::from_start().set(&mut bytes[10..]);
        long.create("file").unwrap().append(&bytes).unwrap();
        long.fail(DiskOperation::Read, open + 1, 1);
        let read_long = read(&long, 9000, bytes.len() as u64);
        assert_eq!((read_long.entries.len(), read_long.damage.len()), (100, 0), "a run of several blocks");
        // The error is not the reason of what is damaged elsewhere.
        files.flip("file", offsets[1] as usize + 8, 1);
        files.fail(DiskOperation::Read, open, 1);
        assert_eq!(read(&files, 1 << 20, end).damage[0].2, CHECKSUM);
    }

    #[test]
    fn reader_ends_if_runs_fail_and_the_file_is_shorter_than_it_was() {
        struct Empty;
        impl OpenFile for Empty {
            fn append(&self, _: &[u8]) -> std::io::Result<()> {
                Ok(())
            }

            fn read_at(&self, _: u64, into: &mut [u8]) -> std::io::Result<usize> {
                if into.len() > BLOCK_BYTES { Err(std::io::Error::other("too much at once")) } else { Ok(0) }
            }

            fn sync(&self) -> std::io::Result<()> {
                Ok(())
            }

            fn truncate(&self, _: u64) -> std::io::Result<()> {
                Ok(())
            }

            fn length(&self) -> std::io::Result<u64> {
                Ok(0)
            }
        }
        let part = 10..5 * BLOCK_BYTES as u64;
        let ending = read_entries(&Empty, Framing::new(9), part, EntryNumbers::from_start(), |_| ());
        assert_eq!(ending.entries_end, 10);
    }

    #[test]
    fn reader_takes_no_payload_for_an_entry() {
        // A record whose bytes are an entry of another salt, behind a damaged head.
        let files = SimFiles::new();
        let (mut inner, mut bytes) = (Vec::new(), vec![0xaa; 10]);
        Framing::new(8).push(&mut inner, 3, &[3; LENGTHS[3]]);
        Framing::new(9).push(&mut bytes, 6, &inner);
        let end = bytes.len() as u64;
        Framing::new(9).push(&mut bytes, 2, &[2; LENGTHS[2]]);
        files.create("file").unwrap().append(&bytes).unwrap();
        files.flip("file", 10, 1);
        let read = read(&files, 1 << 20, bytes.len() as u64);
        assert_eq!(read.entries, [(2, end)]);
    }
}
