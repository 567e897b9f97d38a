//! Rehearsal: a candidate decides what it will have to, and what comes of it is thrown away.
//!
//! First the transcripts that came with it, which are its author's word for what is right. Then the last decisions of this
//! node, each over the records that it looked up at the time: whether the answers are the same is the author's business,
//! but a candidate must not fault on what its clients send.
//!
//! Bounds: those of the recorder, of the section of transcripts, and of the guest.

use std::sync::{Arc, Mutex, PoisonError};

use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::Transcript;
use herd_sdk::{Found, Input, InputBatch, Moment, Records};

use crate::engine::engine::Engine;
use crate::engine::inspect::{LoadError, Stage};
use crate::generation::compatibility::Compatibility;
use crate::generation::generation::Generation;
use crate::replay::component_decider::{ComponentDecider, Warmth};
use crate::replay::embedded_transcripts;
use crate::sandbox::call::{Call, OwnedCall, Read, RecordedCall};
use crate::sandbox::fault::Fault;
use crate::sandbox::logic_instance::LogicInstance;

/// What came of a rehearsal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rehearsed {
    /// Transcripts that held.
    pub(crate) transcripts: usize,
    /// Decisions of this node that were made again.
    pub(crate) decisions: usize,
}

/// Rehearses a candidate.
///
/// # Errors
///
/// A transcript does not hold, or the candidate faults on an input of this node or breaks the rules about forms, in words.
/// Nothing changed.
pub(crate) fn rehearse(
    engine: &Arc<Engine>,
    candidate: &Generation,
    bytes: &[u8],
    calls: &[Arc<RecordedCall>],
    forms: &Compatibility<'_>,
) -> Result<Rehearsed, LoadError> {
    let failed = |reason: String| LoadError { stage: Stage::Rehearsed, reason };
    let texts = embedded_transcripts::of(bytes).map_err(failed)?;
    for (name, text) in &texts {
        play(engine, bytes, name, text).map_err(failed)?;
    }
    let mut rehearsed = Rehearsed { transcripts: texts.len(), decisions: 0 };
    let mut replica = Replica::new(candidate);
    for recorded in calls {
        forms.check_reads(recorded)?;
        match replica.decide(recorded) {
            Ok(decision) => forms.check_keeps(&decision)?,
            Err(fault) => return Err(failed(replica.explain(recorded, &fault))),
        }
        rehearsed.decisions += recorded.call.as_call().decisions();
    }
    Ok(rehearsed)
}

fn play(engine: &Arc<Engine>, bytes: &[u8], name: &str, text: &str) -> Result<(), String> {
    let transcript = Transcript::parse(name, text).map_err(|error| error.to_string())?;
    let records = Arc::new(MemoryRecords::default());
    let settings = transcript.settings().clone();
    let mut decider = ComponentDecider::load(engine, bytes, settings, Arc::clone(&records), Warmth::Fresh)
        .map_err(|error| format!("its transcript {name} does not begin: {error}"))?;
    let run = transcript.run(&mut decider, &records);
    if run.passed() {
        return Ok(());
    }
    let differences = run.to_string();
    let (differences, to_do) = (differences.trim_end(), "change the guest, or the transcript if this is meant");
    Err(format!("its transcript {name} does not hold:\n{differences}\n{to_do}"))
}

/// A generation that decides apart from its node: over what recorded calls looked up.
pub(crate) struct Replica<'a> {
    generation: &'a Generation,
    records: Arc<RecordedReads>,
    instance: Option<LogicInstance>,
}

impl<'a> Replica<'a> {
    pub(crate) fn new(generation: &'a Generation) -> Self {
        Self { generation, records: Arc::default(), instance: None }
    }

    /// Makes a recorded call again.
    ///
    /// # Errors
    ///
    /// The generation faults on it. The next call finds a fresh instance.
    pub(crate) fn decide(&mut self, recorded: &RecordedCall) -> Result<herd_sdk::Decision, Fault> {
        self.call(recorded.at, &recorded.call.as_call(), &recorded.reads)
    }

    /// Makes a call over what another one looked up.
    ///
    /// # Errors
    ///
    /// The generation faults on it. The next call finds a fresh instance.
    pub(crate) fn call(&mut self, at: Moment, call: &Call<'_>, reads: &[Read]) -> Result<herd_sdk::Decision, Fault> {
        self.records.replace(reads);
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.generation.instance_over(Arc::clone(&self.records) as Arc<dyn Records + Send + Sync>)?,
        };
        let decision = instance.decide(at, call)?;
        self.instance = Some(instance);
        Ok(decision)
    }

    /// Says on what a call faults, as narrowly as trying each input by itself can tell.
    fn explain(&mut self, recorded: &RecordedCall, fault: &Fault) -> String {
        let OwnedCall::Inputs(inputs) = &recorded.call else {
            return format!("it faults on what this node decided lately: {fault}; {TO_DO}");
        };
        for input in inputs.iter() {
            for line in input.bytes.split_inclusive(|&byte| byte == b'\n') {
                let alone = InputBatch::from_iter([Input { bytes: line, mark: input.mark }]);
                if let Err(fault) = self.call(recorded.at, &Call::Inputs(&alone), &recorded.reads) {
                    let line = &line[..line.len().min(LINE_SHOWN_MAX)];
                    return format!(
                        "it faults on what a client of this node sent, \"{}\": {fault}; {TO_DO}",
                        line.escape_ascii()
                    );
                }
            }
        }
        format!("it faults on inputs of this node that it stands one by one: {fault}; {TO_DO}")
    }
}

/// The records as one recorded call saw them. A key that it did not look up is unknown here.
#[derive(Default)]
struct RecordedReads(Mutex<Vec<Read>>);

impl RecordedReads {
    fn replace(&self, reads: &[Read]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
        kept.extend_from_slice(reads);
    }
}

impl Records for RecordedReads {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |key: &&[u8]| reads.iter().find(|read| read.key == *key).and_then(|read| read.found.clone());
        keys.iter().map(found).collect()
    }
}

/// What to do about a fault on what the node decided.
const TO_DO: &str = "mend that, or leave out the decisions of this node with --unrehearsed";
const LINE_SHOWN_MAX: usize = 120;
