//! Target: logs of decisions, which `herd replay` and `herd record redact` read from wherever somebody sent them.
//!
//! A log is read or refused; what is read is written as it was read, and can be redacted. No length is believed before its bytes are there.

use std::cell::RefCell;
use std::io::{Seek, SeekFrom, Write};

use herd_model::{Digest, GenerationId};
use herd_recording::{LogBlock, LogContext, LogReader, LogWriter, LoggedCall, LoggedGuest, OwnedCall, Redactor};
use herd_sdk::native::MemoryRecords;
use herd_sdk::{Context, Input as SessionInput, InputBatch, Mark, Moment, Report, ReportBatch};
use tempfile::NamedTempFile;

use crate::input::{Input, push_step};

/// Bytes that an input may make the reader hold: 1 MiB of it reads ahead.
pub const BYTES_MAX: usize = 8 << 20;

/// Runs an input: 0 and a file without its magic, or blocks whose content is the input's, so that checksums are not what stops it.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let mut file = MAGIC.to_vec();
    match input.byte() {
        0 => file.extend_from_slice(input.rest()),
        _ => {
            while let Some((kind, payload)) = input.step() {
                push_block(&mut file, kind, payload);
            }
        }
    }
    let read = read(&file);
    if let Some(written) = written(&read) {
        let reread = self::read(&written);
        assert_eq!(format!("{reread:?}"), format!("{read:?}"), "a log that was read is written as another one");
    }
    let mut redactor = Redactor::new([7; 16]);
    for call in &read {
        match &call.recorded.call {
            OwnedCall::Inputs(inputs) => drop(redactor.input(inputs.bytes())),
            OwnedCall::Reports(reports) => drop(redactor.text(reports.bytes())),
            OwnedCall::Answer { token, answer, .. } => {
                redactor.token(token);
                let _ = redactor.answer(answer);
            }
        }
    }
}

/// Returns a log with calls of each kind, as a file and as blocks, and lengths and numbers that no writer writes.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let calls = calls();
    let file = written(&calls).expect("the seed has calls");
    let mut blocks = vec![1];
    let of_file = blocks_of(&file);
    of_file.iter().for_each(|(kind, payload)| push_step(&mut blocks, *kind, payload));
    let (_, last) = of_file.last().expect("the seed has a block with a call");
    // Numbers of decisions overflowed.
    let mut last_number = vec![1];
    let mut counts = [0; COUNTS_BYTES];
    counts[4..12].fill(0xff);
    counts[12] = 1;
    push_step(&mut last_number, CALLS, &[&counts[..], &last[COUNTS_BYTES..]].concat());
    // A head announced a payload of 256 MiB, and the reader made room for it.
    let mut long = vec![0];
    long.extend_from_slice(&head(CALLS, 256 << 20, 0));
    vec![
        ("file".into(), [&[0], &file[MAGIC.len()..]].concat()),
        ("blocks".into(), blocks),
        ("last-number".into(), last_number),
        ("long".into(), long),
    ]
}

/// Start of a file: name and version of the format.
const MAGIC: [u8; 8] = *b"HERDREC\x01";
/// Kind of a block of calls.
const CALLS: u8 = 3;
/// Counts in front of the calls of a block.
const COUNTS_BYTES: usize = 28;

/// Reads a file to its end or to where it is refused.
fn read(bytes: &[u8]) -> Vec<LoggedCall> {
    thread_local! {
        // One for all inputs: names in a directory cost more than the reading.
        static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a directory for temporary files"));
    }
    FILE.with_borrow_mut(|file| {
        file.as_file().set_len(0).expect("the file can be emptied");
        file.seek(SeekFrom::Start(0)).expect("the file has a start");
        file.write_all(bytes).expect("the file can be written");
        let mut reader = LogReader::open(file.path()).expect("the file starts as a log");
        let mut calls = Vec::new();
        while let Ok(Some(block)) = reader.next_block() {
            if let LogBlock::Calls(block) = block {
                let numbers = block.number()..block.number() + block.decisions();
                for call in block.calls().map_while(Result::ok) {
                    let end = call.number + call.decisions() as u64;
                    assert!(numbers.start <= call.number && end <= numbers.end, "a call has numbers of another block");
                    calls.push(call);
                }
            }
        }
        let (all, read) = reader.progress();
        assert!(read <= all, "{read} bytes read of {all}");
        calls
    })
}

/// Writes calls as a log, each run of one worker as a block. None if there is nothing to write.
fn written(calls: &[LoggedCall]) -> Option<Vec<u8>> {
    calls.first()?;
    let context = LogContext {
        node: "Riley".into(),
        herd: "0".into(),
        contract: "herd:logic@0.1.0".into(),
        started_ns: 1,
        share_percent: 100,
        redacted: false,
        settings: vec![],
        memory: None,
    };
    let (digest, name, version) = (Digest::of(b"guest"), "default".into(), "1".into());
    let guest = LoggedGuest { digest, name, version, commands: vec![], form: 1, component: Some((*b"guest").into()) };
    let mut log = LogWriter::start(Vec::new(), &context).expect("memory takes bytes");
    log.guest(GenerationId(7), &guest).expect("memory takes bytes");
    // A block numbers its calls from its first one on.
    calls.iter().for_each(|call| log.calls(std::slice::from_ref(call)).expect("memory takes bytes"));
    log.finish().ok()
}

/// Calls of each kind, as a node that runs this very code logs them.
fn calls() -> Vec<LoggedCall> {
    let records = MemoryRecords::default();
    let mut context = Context::new(Moment::default(), &records);
    context.keep(b"kiwi", b"\x01", 1, |out| out.extend(b"AT"));
    context.reply(b"AT kiwi\n");
    let inputs: InputBatch = [SessionInput { bytes: b"IAMAT kiwi +1-1 1\n", mark: Mark::More }].into_iter().collect();
    let report = Report { key: b"kiwi", rank: b"\x01", form: 1, bytes: b"AT", origin: b"Bernard" };
    let reports: ReportBatch = [report].iter().collect();
    let answer = herd_model::FetchAnswer::Response { status: 200, body: b"{\"a\":[1.5,\"x\"]}".to_vec() };
    let answer = OwnedCall::Answer { token: b"t".to_vec(), otherwise: b"o".to_vec(), answer };
    let decision = context.finish();
    let call = |call| LoggedCall {
        number: 1,
        worker: 0,
        generation: GenerationId(7),
        sessions: vec![5],
        recorded: herd_recording::RecordedCall { at: Moment::default(), call, reads: vec![] },
        outcome: Ok(decision.clone()),
    };
    vec![call(OwnedCall::Inputs(inputs)), call(OwnedCall::Reports(reports)), call(answer)]
}

/// Returns the blocks of a file that was written here, by kind.
fn blocks_of(file: &[u8]) -> Vec<(u8, &[u8])> {
    let (mut blocks, mut rest) = (vec![], &file[MAGIC.len()..]);
    while let Some((head, after)) = rest.split_first_chunk::<16>() {
        let [kind, _, _, _, a, b, c, d, ..] = *head;
        let (payload, next) = after.split_at(u32::from_le_bytes([a, b, c, d]) as usize);
        blocks.push((kind, payload));
        rest = next;
    }
    blocks
}

fn push_block(file: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    file.extend_from_slice(&head(kind, payload.len() as u32, crc32c::crc32c(payload)));
    file.extend_from_slice(payload);
}

/// Returns the head of a block with a checksum that holds.
fn head(kind: u8, length: u32, checksum: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[0] = kind;
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..12].copy_from_slice(&checksum.to_le_bytes());
    let of_head = crc32c::crc32c(&head[..12]);
    head[12..].copy_from_slice(&of_head.to_le_bytes());
    head
}
