//! What a node keeps of the inputs that its guests could not stand: each shrunk to the least that still shows the fault, as
//! a transcript for `herd test`.
//!
//! A worker thread hands over what it has at hand when the previous generation has made a fault good, and waits for
//! nothing. A thread of the node makes a [`Case`](crate::cases::case::Case) of it, on replicas, so nothing that serves takes part.
//! It holds on to no generation: one that is gone when its turn comes is given up, and one that is to go meanwhile is held for
//! the few calls that it takes to save what is found by then.
//!
//! Bounds: as many offences of a kind as [`Seen`] admits; [`WAITING_MAX`] that wait, and one more is dropped; tries and time
//! per offence; the files of [`CaseFiles`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cases::case;
use crate::cases::dedup::{Offence, Rescue, Seen, sort};
use crate::cases::files::CaseFiles;
use crate::cases::minimize::Budget;
use crate::generation::generation::GenerationStatus;
use crate::replay::component_decider::clock;
use crate::sandbox::fault::Fault;
use crate::sandbox::output::mute_guest_output;

/// Makes cases of the faults of one node. Dropped, it gives up what waits, and its thread has ended.
pub(crate) struct Evidence {
    offences: Option<SyncSender<Offence>>,
    seen: Mutex<Seen>,
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
    /// Whose fault it is.
    pub guest: GenerationStatus,
    /// What it did.
    pub fault: Fault,
    /// Where the case is.
    pub path: PathBuf,
}

impl Evidence {
    /// Begins, for a node with this directory for cases. `tell` is called for each, on the thread that makes them.
    ///
    /// # Errors
    ///
    /// There is no thread to be had. Nothing changed.
    pub(crate) fn start(directory: &Path, node: &str, tell: impl Fn(&SavedCase) + Send + 'static) -> io::Result<Self> {
        let (offences, waiting) = sync_channel(WAITING_MAX);
        let shared = Arc::<Shared>::default();
        let work = Work { node: node.into(), files: CaseFiles::new(directory, node), shared: Arc::clone(&shared) };
        let thread = thread::Builder::new().name("herd-evidence".into()).spawn(move || work.run(&waiting, tell))?;
        Ok(Self { offences: Some(offences), seen: Mutex::default(), shared, thread: Some(thread) })
    }

    /// Takes note of a fault that was made good. For a worker thread: waits for nothing, and copies nothing of a kind
    /// of which there was enough.
    pub(crate) fn offer(&self, rescue: &Rescue<'_>) {
        if !rescue.is_evidence() {
            return;
        }
        let (guest, sort) = (rescue.faulting.digest(), sort(rescue.fault));
        // Several workers at once: one of them will do, and there is more where that came from.
        if !self.seen.try_lock().is_ok_and(|mut seen| seen.admits(guest, sort)) {
            return;
        }
        if let Some(offences) = &self.offences
            && offences.try_send(rescue.keep()).is_err()
        {
            tracing::debug!("an offence is dropped: too many wait to be made cases of");
        }
    }

    /// How many cases were saved since the node started.
    pub(crate) fn saved(&self) -> u64 {
        self.shared.saved.load(Ordering::Relaxed)
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.offences = None;
        // What `tell` holds for a moment may be the last of the node, and a thread cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the thread that makes cases panicked");
        }
    }
}

/// What the thread has.
struct Work {
    node: String,
    files: CaseFiles,
    shared: Arc<Shared>,
}

impl Work {
    fn run(&self, offences: &Receiver<Offence>, tell: impl Fn(&SavedCase)) {
        let _entered = clock().enter();
        mute_guest_output();
        while let Ok(offence) = offences.recv() {
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Some(saved) = self.take(&offence) {
                tell(&saved);
            }
        }
    }

    fn take(&self, offence: &Offence) -> Option<SavedCase> {
        let Offence { recorded, fault, faulting, rescuing } = offence;
        let both = Weak::upgrade(faulting).zip(Weak::upgrade(rescuing));
        let Some((faulting, rescuing)) = both else {
            tracing::debug!(node = self.node, "an offence is given up: its generations are gone");
            return None;
        };
        let budget = Budget::new(TRIES_MAX, TIME_MAX, &self.shared.stop);
        let mut budget = budget.until(faulting.retiring()).until(rescuing.retiring());
        let case = case::make(recorded, fault, &faulting, &rescuing, &mut budget)?;
        let guest = faulting.status();
        let (generation, digest, kind) = (guest.id, guest.digest[..8].to_string(), fault.kind());
        match self.files.save(&case.name, &case.text) {
            Ok(Some(path)) => {
                self.shared.saved.fetch_add(1, Ordering::Relaxed);
                let (node, reproduces) = (&self.node, case.reproduces);
                tracing::info!(node, %generation, digest, kind, reproduces, path = %path.display(), "a case was saved");
                Some(SavedCase { guest, fault: fault.clone(), path })
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(node = self.node, %generation, digest, kind, case = case.name, %error, "a case was not saved");
                None
            }
        }
    }
}

/// What an hour of bad guests leaves to do; each is 1 MiB at most.
const WAITING_MAX: usize = 8;
/// Enough for a few hundred bytes of which each is needed. A try costs a fresh instance: some 100 µs.
const TRIES_MAX: usize = 10_000;
/// A guest that misses its deadline takes all of that for each try: 10 ms, so 200 tries.
const TIME_MAX: Duration = Duration::from_secs(2);
