//! Collection of cases: faults that the previous generation made good, each saved as a minimized transcript for `herd test`.
//!
//! A worker offers a rescued call and waits for nothing. A thread of the node makes a [`Case`](crate::cases::case::Case) of a
//! sample, on replicas. The thread keeps no generation alive: it discards a sample whose generations are gone when its turn
//! comes, and stops reducing one whose generations retire meanwhile, so that a swap waits for a few calls at most.
//!
//! Bounds: samples per kind ([`SampleCounts`]); [`QUEUE_SAMPLES_MAX`] in the queue, and the next is dropped; time per sample;
//! the files of [`CaseFiles`].

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use herd_model::Digest;
use parking_lot::Mutex;

use crate::cases::case;
use crate::cases::dedup::{FaultSample, RescuedCall, SampleCounts, signature};
use crate::cases::files::{CaseFiles, FILES_MAX};
use crate::cases::minimize::Budget;
use crate::generation::generation::GenerationStatus;
use crate::replay::timer_runtime::timer_runtime;
use crate::sandbox::fault::Fault;
use crate::sandbox::output::OutputOf;

/// Makes cases of the faults of one node. Dropping it discards queued samples and joins its thread.
pub(crate) struct CaseCollector {
    node: Arc<str>,
    samples: Option<SyncSender<FaultSample>>,
    counts: Mutex<SampleCounts>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    saved: AtomicU64,
    stop: AtomicBool,
}

/// A case that was saved.
#[derive(Clone, Debug)]
pub struct SavedCase {
    /// Guest that faulted.
    pub guest: GenerationStatus,
    /// Its fault.
    pub fault: Fault,
    /// File of the case.
    pub path: PathBuf,
}

impl CaseCollector {
    /// Starts the thread of a node, with the directory for cases. The thread calls `on_saved` for each case.
    ///
    /// # Errors
    ///
    /// No thread could be started. Nothing changed.
    pub(crate) fn start(
        directory: &Path,
        node: &str,
        on_saved: impl Fn(&SavedCase) + Send + 'static,
    ) -> io::Result<Self> {
        // Full: the sample is dropped, because the worker that has it answers clients.
        let (samples, queue) = sync_channel(QUEUE_SAMPLES_MAX);
        let shared = Arc::<Shared>::default();
        let node = Arc::<str>::from(node);
        let files = CaseFiles::new(directory, &node);
        let maker =
            CaseMaker { node: Arc::clone(&node), files, shared: Arc::clone(&shared), saved_kinds: VecDeque::new() };
        let thread = thread::Builder::new().name("herd-cases".into()).spawn(move || maker.run(&queue, on_saved))?;
        Ok(Self { node, samples: Some(samples), counts: Mutex::default(), shared, thread: Some(thread) })
    }

    /// Takes a sample of a rescued call, unless there are enough of its kind. Never waits: for a worker.
    pub(crate) fn offer(&self, rescued: &RescuedCall<'_>) {
        if !rescued.fits_a_sample() {
            return;
        }
        let (guest, signature) = (rescued.faulting.digest(), signature(rescued.fault));
        // Another worker counts a sample now: its sample does as well, and the next fault will come.
        if !self.counts.try_lock().is_some_and(|mut counts| counts.admit(guest, signature)) {
            return;
        }
        if let Some(samples) = &self.samples
            && samples.try_send(rescued.sample()).is_err()
        {
            tracing::debug!(node = %self.node, "fault sample dropped: the queue is full");
        }
    }

    /// Returns the number of cases saved since the node started.
    pub(crate) fn saved(&self) -> u64 {
        self.shared.saved.load(Ordering::Relaxed)
    }
}

impl Drop for CaseCollector {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Closing the queue wakes the thread.
        self.samples = None;
        // `on_saved` may hold the last reference to the node, and the thread cannot join itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!(node = %self.node, "the thread that makes cases panicked");
        }
    }
}

/// State of the thread.
struct CaseMaker {
    node: Arc<str>,
    files: CaseFiles,
    shared: Arc<Shared>,
    /// Guests and signatures of the faults of which a case was saved, the last [`SAVED_KINDS_MAX`] of them.
    saved_kinds: VecDeque<(Digest, String)>,
}

impl CaseMaker {
    fn run(mut self, queue: &Receiver<FaultSample>, on_saved: impl Fn(&SavedCase)) {
        // A guest that sleeps needs a timer.
        let _entered = timer_runtime().enter();
        OutputOf::Repetition.set();
        while let Ok(sample) = queue.recv() {
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Some(saved) = self.make(&sample) {
                on_saved(&saved);
            }
        }
    }

    fn note_saved(&mut self, kind: (Digest, String)) {
        if self.saved_kinds.contains(&kind) {
            return;
        }
        if self.saved_kinds.len() == SAVED_KINDS_MAX {
            self.saved_kinds.pop_front();
        }
        self.saved_kinds.push_back(kind);
    }

    fn make(&mut self, sample: &FaultSample) -> Option<SavedCase> {
        let FaultSample { recorded, fault, faulting, rescuing } = sample;
        let generations = Weak::upgrade(faulting).zip(Weak::upgrade(rescuing));
        let Some((faulting, rescuing)) = generations else {
            tracing::debug!(node = %self.node, "fault sample dropped: its generations are gone");
            return None;
        };
        let budget = Budget::new(TIME_MAX, vec![&self.shared.stop, faulting.retiring(), rescuing.retiring()]);
        let case = case::make(recorded, fault, &faulting, &rescuing, &budget)?;
        let kind = (faulting.digest(), signature(fault));
        // What a swap cut short is longer than the case of the same kind that is there, and tells nothing more.
        if budget.is_over() && self.saved_kinds.contains(&kind) {
            tracing::debug!(node = %self.node, "fault sample dropped: it could not be reduced in time");
            return None;
        }
        let saved = self.files.save(&case.name, &case.text);
        if saved.is_ok() {
            self.note_saved(kind);
        }
        let guest = faulting.status();
        let (generation, digest, kind) = (guest.id, guest.digest[..8].to_string(), fault.kind());
        match saved {
            Ok(Some(path)) => {
                self.shared.saved.fetch_add(1, Ordering::Relaxed);
                let (node, reproduces) = (&self.node, case.reproduces);
                tracing::info!(%node, %generation, digest, kind, reproduces, path = %path.display(), "case saved");
                Some(SavedCase { guest, fault: fault.clone(), path })
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(node = %self.node, %generation, digest, kind, case = case.name, %error, "case not saved");
                None
            }
        }
    }
}

const SAVED_KINDS_MAX: usize = FILES_MAX;
/// Work of an hour of bad guests. Each sample has 1 MiB at most.
const QUEUE_SAMPLES_MAX: usize = 8;
/// Some 20,000 tries at 100 µs for a fresh instance, which reduces a few hundred bytes that all matter. 200 tries where the
/// guest misses its deadline of 10 ms.
const TIME_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use herd_recording::{Call, OwnedCall, RecordedCall};
    use herd_sdk::native::MemoryRecords;

    use super::*;
    use crate::generation::accepted_guest::AcceptedGuest;
    use crate::generation::generation::{Generation, GenerationContext};
    use crate::test_guest::{NOW, TestGuest, engine, lines};

    fn generation(guest: &TestGuest, id: u64) -> Arc<Generation> {
        let settings = herd_sdk::Settings { node: "Riley".into(), table: vec![] };
        let (records, context) = (Arc::new(MemoryRecords::default()), GenerationContext::default());
        let (bytes, id) = (guest.bytes(), herd_model::GenerationId(id));
        let guest = AcceptedGuest::by_hand(&bytes).unwrap();
        Arc::new(Generation::load(&engine(), id, &guest, settings, records, &context).unwrap())
    }

    /// Goal: a swap that cuts the reduction of a sample short leaves no longer case of a kind of which there is one, and does not lose the
    /// first one of a kind. Method: two samples of one fault; the flag that ends a reduction is set before the second, and for another
    /// node before the first.
    #[test]
    fn case_cut_short_is_saved_only_if_there_is_none_of_its_kind() {
        let directory = tempfile::tempdir().unwrap();
        let maker = |node: &str| CaseMaker {
            node: node.into(),
            files: CaseFiles::new(directory.path(), node),
            shared: Arc::default(),
            saved_kinds: VecDeque::new(),
        };
        let (faulting, rescuing) = (
            generation(&TestGuest::new("traps").on_boom("unreachable"), 2),
            generation(&TestGuest::new("previous"), 1),
        );
        let sample = |inputs: &[&str]| {
            let inputs = lines(inputs);
            let fault = faulting.call(|instance| instance.decide(NOW, &Call::Inputs(&inputs))).unwrap_err();
            FaultSample {
                recorded: RecordedCall { at: NOW, call: OwnedCall::Inputs(inputs), reads: vec![] },
                fault,
                faulting: Arc::downgrade(&faulting),
                rescuing: Arc::downgrade(&rescuing),
            }
        };
        let mut riley = maker("Riley");
        assert!(riley.make(&sample(&["BOOM\n", "x\n"])).is_some());
        riley.shared.stop.store(true, Ordering::Relaxed);
        assert!(riley.make(&sample(&["BOOM\n", "x\n", "x\n"])).is_none());
        assert_eq!(std::fs::read_dir(directory.path().join("Riley")).unwrap().count(), 1);
        let mut jaquez = maker("Jaquez");
        jaquez.shared.stop.store(true, Ordering::Relaxed);
        assert!(jaquez.make(&sample(&["BOOM\n", "x\n", "x\n"])).is_some(), "the first of its kind");
    }
}
