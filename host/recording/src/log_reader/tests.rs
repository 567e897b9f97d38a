use std::io::Write as _;

use super::*;
use crate::entry::tests::calls;
use crate::log_writer::{LogWriter, LoggedMemory};

fn context() -> LogContext {
    LogContext {
        node: "Riley".into(),
        herd: "0.1.0".into(),
        contract: "herd:logic@0.1.0".into(),
        started_ns: 5,
        share_percent: 100,
        redacted: false,
        settings: vec![("tolerance_s".into(), "60".into())],
        memory: Some(LoggedMemory { bytes_max: 16 << 20, bytes_ceiling: 128 << 20 }),
    }
}

fn guest() -> LoggedGuest {
    LoggedGuest {
        digest: herd_model::Digest::of(b"component"),
        name: "default".into(),
        version: "0.1.0".into(),
        commands: vec!["IAMAT".into()],
        form: 1,
        component: Some((*b"component").into()),
    }
}

/// A log with one block of calls.
fn written() -> Vec<u8> {
    let mut log = LogWriter::start(vec![], &context()).unwrap();
    log.guest(GenerationId(7), &guest()).unwrap();
    let mut calls = calls();
    let mut number = 11;
    for call in &mut calls {
        call.number = number;
        number += call.decisions() as u64;
    }
    log.calls(&calls).unwrap();
    log.finish().unwrap()
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Reads everything. Returns the number of each call.
fn read(path: &Path) -> Result<(Vec<u64>, usize), LogError> {
    let mut log = LogReader::open(path)?;
    let mut numbers = vec![];
    while let Some(block) = log.next_block()? {
        match block {
            LogBlock::Context(read) => assert_eq!(read, context()),
            LogBlock::Guest(generation, read) => assert_eq!((generation, read), (GenerationId(7), guest())),
            LogBlock::Calls(block) => {
                for call in block.calls() {
                    numbers.push(call?.number);
                }
            }
        }
    }
    Ok((numbers, log.cut().len()))
}

#[test]
fn recording_reader_reads_what_was_written() {
    let file = file(&written());
    assert_eq!(read(file.path()).unwrap(), (vec![11, 14, 15, 16], 0));
    let mut log = LogReader::open(file.path()).unwrap();
    while log.next_block().unwrap().is_some() {}
    let (bytes, done) = log.progress();
    assert_eq!(bytes, done);
}

#[test]
fn recording_reader_reads_a_context_of_an_earlier_version() {
    let mut earlier = serde_json::to_value(context()).unwrap();
    earlier.as_object_mut().unwrap().remove("memory");
    assert_eq!(serde_json::from_value::<LogContext>(earlier).unwrap(), LogContext { memory: None, ..context() });
}

#[test]
fn recording_reader_reads_joined_files() {
    let file = file(&[written(), written()].concat());
    assert_eq!(read(file.path()).unwrap().0.len(), 8);
}

#[test]
fn recording_reader_leaves_out_a_block_that_was_not_written_to_its_end() {
    let written = written();
    let whole = read(file(&written).path()).unwrap().0.len();
    for cut in 8..written.len() {
        let file = file(&written[..cut]);
        let (numbers, cut_files) = read(file.path()).unwrap();
        assert!(numbers.is_empty() && whole > 0 && cut_files <= 1, "cut at {cut}");
    }
}

#[test]
fn recording_reader_names_the_place_of_every_damage() {
    let written = written();
    for at in 0..written.len() {
        let mut damaged = written.clone();
        damaged[at] ^= 0x40;
        let file = file(&damaged);
        let error = read(file.path()).map(|read| format!("{read:?}")).unwrap_err();
        match (at, &error) {
            (0..7, LogError::NotALog(_)) | (7, LogError::OtherVersion { .. }) => {}
            (8.., LogError::Damaged { offset, .. }) => assert!(*offset <= at as u64, "byte {at}: {error}"),
            _ => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn recording_reader_says_what_is_no_log() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(LogReader::open(directory.path()), Err(LogError::NoSegments(_))));
    assert!(matches!(LogReader::open(&directory.path().join("x")), Err(LogError::Io { .. })));
    assert!(matches!(LogReader::open(file(b"# transcript\n").path()), Err(LogError::NotALog(_))));
}

#[test]
fn recording_reader_survives_numbers_and_lengths_that_are_lies_with_good_checksums() {
    let numbered = |number| {
        let mut log = LogWriter::start(vec![], &context()).unwrap();
        let mut calls = calls();
        calls.iter_mut().for_each(|call| call.number = number);
        log.calls(&calls).unwrap();
        file(&log.finish().unwrap())
    };
    let decisions: u64 = calls().iter().map(|call| call.decisions() as u64).sum();
    assert_eq!(read(numbered(u64::MAX - decisions).path()).unwrap().0.len(), calls().len());
    for number in [0, u64::MAX - decisions + 1, u64::MAX] {
        let error = read(numbered(number).path()).unwrap_err().to_string();
        assert!(error.contains("a block cannot be decoded"), "{number}: {error}");
    }

    // The block says that it holds one decision, and its first call has three.
    let mut entries = vec![];
    calls()[0].as_entry().write(&mut entries);
    let mut log = LogWriter::start(vec![], &context()).unwrap();
    log.encoded(CallsHead { number: 1, calls: 1, decisions: 1, ..CallsHead::default() }, &entries).unwrap();
    let error = read(file(&log.finish().unwrap()).path()).unwrap_err().to_string();
    assert!(error.contains("a call cannot be decoded"), "{error}");

    // The file ends long before the length does.
    let mut bytes = written();
    let whole = read(file(&bytes).path()).unwrap();
    let mut head = vec![3, 0, 0, 0];
    head.extend_from_slice(&(256_u32 << 20).to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    let checksum = crc32c::crc32c(&head);
    bytes.extend_from_slice(&[&head[..], &checksum.to_le_bytes(), b"some"].concat());
    let (numbers, cut) = read(file(&bytes).path()).unwrap();
    assert_eq!((numbers, cut), (whole.0, 1));
}
