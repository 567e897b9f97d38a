//! One call in a log: its encoding by a worker and its decoding by a reader.
//!
//! An entry is, in little-endian numbers: length of the rest (32 bits), kind, outcome, two zero bytes, generation, time, randomness
//! (4 times 64 bits), sessions, arguments, look-ups, and the decision or fault. Variable parts stand behind their number.
//!
//! Knows nothing of blocks and files. Bounds: [`CALL_BYTES_MAX`], which the recording checks before it encodes.

use herd_model::{FetchAnswer, GenerationId};
use herd_sdk::batch::{Inputs, read_reports};
use herd_sdk::{Decision, Effects, Failure, Found, Moment, Outcome};

use crate::bytes::{Bytes, length, put_bytes, put_u32, put_u64, put_words};
use crate::call::{Call, OwnedCall, Read, RecordedCall};

/// A call to be logged. Borrows from the worker that made it.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// Generation that decided or faulted.
    pub generation: GenerationId,
    /// Sessions of the inputs, in their order; the session of an answer; none for reports.
    pub sessions: &'a [u64],
    /// Time and randomness.
    pub at: Moment,
    /// The arguments.
    pub call: Call<'a>,
    /// The look-ups, in their order; up to the fault if it faulted.
    pub reads: &'a [Read],
    /// The decision, or kind and text of the fault.
    pub outcome: Result<&'a Decision, (&'a str, &'a str)>,
}

/// A call as a log holds it.
#[derive(Clone, Debug)]
pub struct LoggedCall {
    /// Number of its first decision in the log, from 1.
    pub number: u64,
    /// Worker thread that made it.
    pub worker: u32,
    /// Generation that decided or faulted.
    pub generation: GenerationId,
    /// Sessions of the inputs, in their order; the session of an answer; none for reports.
    pub sessions: Vec<u64>,
    /// Moment, arguments and look-ups.
    pub recorded: RecordedCall,
    /// The decision or the fault.
    pub outcome: Result<Decision, LoggedFault>,
}

/// A fault of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedFault {
    /// Kind, such as `trap`.
    pub kind: String,
    /// Text for people.
    pub text: String,
}

impl NewEntry<'_> {
    /// Returns the number of bytes of the entry, or a few more.
    pub(crate) fn bytes_max(&self) -> usize {
        let reads: usize = self.reads.iter().map(|read| read.bytes() + READ_HEAD).sum();
        let words = match self.call {
            Call::Inputs(inputs) => inputs.words().len(),
            Call::Reports(reports) => reports.words().len(),
            Call::Answer { .. } => 0,
        };
        let decided = match self.outcome {
            Ok(decision) => decision.output.len() + 4 * decision.effects.words().len(),
            Err((kind, text)) => kind.len() + text.len(),
        };
        HEAD + 8 * self.sessions.len() + self.call.bytes() + 4 * words + reads + decided
    }

    /// Appends the entry.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        let start = to.len();
        put_u32(to, 0);
        let kind = match self.call {
            Call::Inputs(_) => kind::INPUTS,
            Call::Reports(_) => kind::REPORTS,
            Call::Answer { .. } => kind::ANSWER,
        };
        to.extend_from_slice(&[kind, u8::from(self.outcome.is_err()), 0, 0]);
        for number in [self.generation.0, self.at.now_ns, self.at.random.0, self.at.random.1] {
            put_u64(to, number);
        }
        put_u32(to, length(self.sessions.len()));
        self.sessions.iter().for_each(|&session| put_u64(to, session));
        match self.call {
            Call::Inputs(inputs) => {
                put_words(to, inputs.words());
                put_bytes(to, inputs.bytes());
            }
            Call::Reports(reports) => {
                put_words(to, reports.words());
                put_bytes(to, reports.bytes());
            }
            Call::Answer { token, otherwise, outcome } => {
                put_bytes(to, token);
                put_bytes(to, otherwise);
                match outcome {
                    Outcome::Answered { status, body } => {
                        put_u32(to, status.into());
                        put_bytes(to, body);
                    }
                    Outcome::Failed(failure) => {
                        let index = Failure::ALL.iter().position(|&other| other == failure);
                        put_u32(to, FAILED | length(index.unwrap_or_default()));
                    }
                }
            }
        }
        put_u32(to, length(self.reads.len()));
        for Read { key, found } in self.reads {
            put_bytes(to, key);
            to.push(u8::from(found.is_some()));
            if let Some(found) = found {
                put_u32(to, found.form);
                put_bytes(to, &found.rank);
                put_bytes(to, &found.bytes);
            }
        }
        match self.outcome {
            Ok(decision) => {
                put_words(to, decision.effects.words());
                put_bytes(to, &decision.output);
            }
            Err((kind, text)) => {
                put_bytes(to, kind.as_bytes());
                put_bytes(to, text.as_bytes());
            }
        }
        let bytes = length(to.len() - start - 4);
        to[start..start + 4].copy_from_slice(&bytes.to_le_bytes());
    }
}

impl LoggedCall {
    /// Borrows the call for another log.
    #[must_use]
    pub fn as_entry(&self) -> NewEntry<'_> {
        let Self { generation, sessions, recorded, outcome, .. } = self;
        NewEntry {
            generation: *generation,
            sessions,
            at: recorded.at,
            call: recorded.call.as_call(),
            reads: &recorded.reads,
            outcome: outcome.as_ref().map_err(|fault| (&*fault.kind, &*fault.text)),
        }
    }

    /// Number of decisions: inputs, reports or one answer.
    #[must_use]
    pub fn decisions(&self) -> usize {
        self.recorded.call.as_call().decisions()
    }

    /// Reads an entry from the front of bytes. None if it is malformed.
    pub(crate) fn read(from: &mut Bytes<'_>) -> Option<Self> {
        let mut entry = Bytes(from.bytes()?);
        let &[kind, is_fault, _, _] = entry.take(4)? else { return None };
        let generation = GenerationId(entry.u64()?);
        let at = Moment { now_ns: entry.u64()?, random: (entry.u64()?, entry.u64()?) };
        let sessions = entry.u32()? as usize;
        let sessions = entry.take(sessions.checked_mul(8)?)?.as_chunks::<8>().0;
        let sessions = sessions.iter().map(|session| u64::from_le_bytes(*session)).collect();
        let call = Self::read_call(kind, &mut entry)?;
        let reads = entry.u32()?;
        let reads = (0..reads).map(|_| Self::read_read(&mut entry)).collect::<Option<Vec<_>>>()?;
        let outcome = if is_fault == 0 {
            let effects = Effects::from_words(entry.words()?);
            Ok(Decision { output: entry.bytes()?.into(), effects })
        } else {
            let [kind, text] = [entry.bytes()?, entry.bytes()?].map(|text| String::from_utf8_lossy(text).into_owned());
            Err(LoggedFault { kind, text })
        };
        let recorded = RecordedCall { at, call, reads };
        entry.0.is_empty().then_some(Self { number: 0, worker: 0, generation, sessions, recorded, outcome })
    }

    fn read_call(kind: u8, entry: &mut Bytes<'_>) -> Option<OwnedCall> {
        Some(match kind {
            kind::INPUTS => {
                let (words, bytes) = (entry.words()?, entry.bytes()?);
                OwnedCall::Inputs(Inputs::new(bytes, &words).collect())
            }
            kind::REPORTS => {
                let (words, bytes) = (entry.words()?, entry.bytes()?);
                OwnedCall::Reports(read_reports(bytes, &words).iter().collect())
            }
            kind::ANSWER => {
                let (token, otherwise) = (entry.bytes()?.into(), entry.bytes()?.into());
                let status = entry.u32()?;
                let answer = if status & FAILED == 0 {
                    FetchAnswer::Response { status: u16::try_from(status).ok()?, body: entry.bytes()?.into() }
                } else {
                    FetchAnswer::Failed(*Failure::ALL.get((status & !FAILED) as usize)?)
                };
                OwnedCall::Answer { token, otherwise, answer }
            }
            _ => return None,
        })
    }

    fn read_read(entry: &mut Bytes<'_>) -> Option<Read> {
        let key = entry.bytes()?.into();
        let found = match entry.u8()? {
            0 => None,
            _ => Some(Found { form: entry.u32()?, rank: entry.bytes()?.into(), bytes: entry.bytes()?.into() }),
        };
        Some(Read { key, found })
    }
}

/// Kinds of entries.
mod kind {
    pub(super) const INPUTS: u8 = 0;
    pub(super) const REPORTS: u8 = 1;
    pub(super) const ANSWER: u8 = 2;
}

/// Bit that tells a failure of a fetch from a status.
const FAILED: u32 = 1 << 31;
/// Bytes of an entry without its variable parts, and some more.
const HEAD: usize = 96;
/// Bytes of a look-up without its key, rank and record: three lengths, the form, and the byte that tells if there is a record.
const READ_HEAD: usize = 17;
/// Longest entry. Longer calls are left out and counted: a node that decides megabytes at once has no time to copy them.
pub(crate) const CALL_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
pub(crate) mod tests {
    use herd_sdk::{Context, Input, InputBatch, Mark, Report, ReportBatch};

    use super::*;

    /// A call of every kind.
    pub(crate) fn calls() -> Vec<LoggedCall> {
        let found = Found { rank: vec![0, 255], form: 3, bytes: b"AT Riley".to_vec() };
        let read = |key: &[u8], found: &Option<Found>| Read { key: key.into(), found: found.clone() };
        let records = herd_sdk::native::MemoryRecords::default();
        let mut context = Context::new(Moment::default(), &records);
        context.keep(b"kiwi", b"\x01", 1, |out| out.extend(b"AT"));
        context.reply(b"AT kiwi\n");
        let decision = context.finish();
        let call = |call, reads, outcome| LoggedCall {
            number: 0,
            worker: 0,
            generation: GenerationId(7),
            sessions: vec![5, u64::MAX],
            recorded: RecordedCall { at: Moment { now_ns: 1, random: (2, 3) }, call, reads },
            outcome,
        };
        let inputs = [(&b"IAMAT\n"[..], Mark::More), (b"", Mark::End), (b"x", Mark::Overlong)];
        let inputs: InputBatch = inputs.into_iter().map(|(bytes, mark)| Input { bytes, mark }).collect();
        let report = Report { key: b"kiwi", rank: b"", form: 2, bytes: b"AT", origin: b"Bernard" };
        let reports: ReportBatch = [report].iter().collect();
        let answer = |answer| OwnedCall::Answer { token: b"t".to_vec(), otherwise: b"o".to_vec(), answer };
        let response = FetchAnswer::Response { status: 200, body: b"{}".to_vec() };
        let fault = LoggedFault { kind: "trap".into(), text: "trapped: boom".into() };
        vec![
            call(OwnedCall::Inputs(inputs), vec![read(b"kiwi", &Some(found)), read(b"", &None)], Ok(decision.clone())),
            call(OwnedCall::Reports(reports), vec![], Err(fault)),
            call(answer(response), vec![], Ok(decision)),
            call(answer(FetchAnswer::Failed(Failure::Busy)), vec![], Ok(Decision::default())),
        ]
    }

    #[test]
    fn recording_entry_reads_what_was_written() {
        for call in calls() {
            let mut written = vec![];
            call.as_entry().write(&mut written);
            assert!(written.len() <= call.as_entry().bytes_max(), "{} bytes", written.len());
            let mut from = Bytes(&written);
            let read = LoggedCall::read(&mut from).unwrap();
            assert_eq!(format!("{read:?}"), format!("{call:?}"));
            assert!(from.0.is_empty());
            for cut in 0..written.len() {
                assert!(LoggedCall::read(&mut Bytes(&written[..cut])).is_none(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn recording_entry_refuses_lengths_that_nobody_writes() {
        for call in calls() {
            let mut written = vec![];
            call.as_entry().write(&mut written);
            for at in 0..written.len() {
                let mut damaged = written.clone();
                damaged[at] = 0xff;
                // Neither a panic nor memory for lengths that are not there.
                let _ = LoggedCall::read(&mut Bytes(&damaged));
            }
        }
    }
}
