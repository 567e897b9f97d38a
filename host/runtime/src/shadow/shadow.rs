//! A shadow: a candidate that decides a share of the node's calls too, after they were answered and off the workers.
//! Its effects are compared with those of the active generation and thrown away.
//!
//! ```text
//! worker: decided, recorded -- never waits --> queue --> herd-shadow: decide, compare, count
//! ```
//!
//! A worker that has decided a call hands over what the recorder has copied already, and a copy of the decision. It
//! wakes nobody: a wake-up is a system call, which may cost more than the answer; the thread looks often enough. The
//! thread has a low claim on a processor, because nobody waits for it.
//!
//! Answers to fetches are not shadowed: they belong to the generation that asked, and the candidate was asked for
//! nothing. A key that the active generation did not look up is unknown to the candidate, so a candidate that
//! looks up more may differ for that.
//!
//! Bounds: the queue, by calls and by bytes; what finds it full is skipped and counted. The faults of the candidate:
//! after [`FAULTS_MAX`] the shadow ends by itself. Counts and examples: see [`tally`](super::tally).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use herd_sdk::Decision;
use serde::Serialize;

use crate::engine::background::lower_priority;
use crate::generation::generation::{Generation, GenerationStatus};
use crate::sandbox::call::{OwnedCall, RecordedCall};
use crate::serving::observer::Observer;
use crate::shadow::comparator::SideBySide;
use crate::shadow::tally::{Differences, Found};
use herd_model::GenerationId;
use herd_model::Share;

/// The shadow of a node, if there is one, and what the last one has found.
#[derive(Default)]
pub(crate) struct Shadows {
    running: ArcSwapOption<Shadow>,
    /// That of the shadow which is on, or was the last.
    last: Mutex<Option<Arc<Outcome>>>,
    /// The one that runs, and those that were told to end and are not waited for yet.
    threads: Mutex<Vec<(Arc<Outcome>, JoinHandle<()>)>>,
}

/// What the workers need of a shadow.
struct Shadow {
    /// The generation whose decisions are compared.
    beside: GenerationId,
    share: Share,
    jobs: SyncSender<Job>,
    outcome: Arc<Outcome>,
}

/// A call that was decided, on its way to the shadow.
struct Job {
    recorded: Arc<RecordedCall>,
    decision: Decision,
    bytes: usize,
}

/// What comes of a shadow. Does not keep its generation alive.
struct Outcome {
    candidate: GenerationStatus,
    beside: GenerationId,
    share: Share,
    since_s: u64,
    queued_bytes: AtomicUsize,
    skipped: AtomicU64,
    ending: AtomicBool,
    ended: OnceLock<String>,
    differences: Mutex<Differences>,
}

/// A report on a shadow, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowReport {
    /// The generation that decides too.
    pub candidate: GenerationStatus,
    /// The generation whose decisions are compared with its.
    pub beside: GenerationId,
    /// In percent of the calls.
    pub share_percent: u8,
    /// When it began, in seconds since the Unix epoch.
    pub since_s: u64,
    /// Why it is over, if it is.
    pub ended: Option<String>,
    /// Inputs and reports in its share that found the queue full.
    pub skipped: u64,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
}

/// The shadow that is on, in short.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowStatus {
    /// The SHA-256 of the candidate.
    pub digest: String,
    /// In percent of the calls.
    pub share_percent: u8,
    /// Inputs and reports that both have decided.
    pub compared: u64,
    /// Inputs and reports in its share that found the queue full.
    pub skipped: u64,
    /// Those that the candidate decides in another way.
    pub different: u64,
    /// Faults of the candidate.
    pub faults: u64,
}

impl Shadows {
    /// The digest of the candidate of the shadow that is on.
    pub(crate) fn digest(&self) -> Option<String> {
        let running = self.running.load();
        running
            .as_ref()
            .filter(|shadow| !shadow.outcome.is_ending())
            .map(|shadow| shadow.outcome.candidate.digest.clone())
    }

    /// Begins one, in the place of any other.
    ///
    /// # Errors
    ///
    /// There is no thread for it. Then there is no shadow.
    pub(crate) fn begin(
        &self,
        candidate: Arc<Generation>,
        active: Arc<Generation>,
        share: Share,
        observer: Option<Weak<dyn Observer>>,
    ) -> std::io::Result<ShadowReport> {
        self.end("another shadow began");
        self.reap();
        let (status, beside) = (candidate.status(), active.status());
        let commands = status.commands.iter().chain(&beside.commands);
        let outcome = Arc::new(Outcome {
            differences: Mutex::new(Differences::new(commands)),
            candidate: status,
            beside: beside.id,
            share,
            since_s: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            queued_bytes: AtomicUsize::new(0),
            skipped: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            ended: OnceLock::new(),
        });
        // Full: the call is skipped and counted, because the worker that has it answers clients.
        let (jobs, waiting) = sync_channel(QUEUE_CALLS_MAX);
        let follower = Follower { waiting, outcome: Arc::clone(&outcome), observer };
        let thread =
            thread::Builder::new().name("herd-shadow".into()).spawn(move || follower.run(&active, &candidate))?;
        lock(&self.threads).push((Arc::clone(&outcome), thread));
        *lock(&self.last) = Some(Arc::clone(&outcome));
        let report = outcome.report();
        self.running.store(Some(Arc::new(Shadow { beside: beside.id, share, jobs, outcome })));
        Ok(report)
    }

    /// Ends the one that is on, and says what it has found. Does not wait for its thread.
    pub(crate) fn end(&self, why: &str) -> Option<ShadowReport> {
        let shadow = self.running.swap(None)?;
        if shadow.outcome.is_ending() {
            return None;
        }
        shadow.outcome.end(why);
        lock(&self.threads).iter().for_each(|(_, thread)| thread.thread().unpark());
        Some(shadow.outcome.report())
    }

    /// Waits for threads that were told to end: at most one decision each. Not for a worker.
    pub(crate) fn reap(&self) {
        let ending = |(outcome, _): &mut (Arc<Outcome>, _)| outcome.is_ending();
        let ended: Vec<_> = lock(&self.threads).extract_if(.., ending).collect();
        for (_, thread) in ended {
            // The last one to let go of a node may be the thread of its shadow, which cannot wait for itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a shadow panicked");
            }
        }
    }

    /// Offers a call that a generation has decided. Never waits.
    #[inline]
    pub(crate) fn offer(&self, decided_by: GenerationId, recorded: &Arc<RecordedCall>, decision: &Decision) {
        let running = self.running.load();
        let Some(shadow) = &*running else { return };
        if shadow.beside == decided_by {
            shadow.offer(recorded, decision);
        }
    }

    /// What the shadow that is on has found, or the last one.
    pub(crate) fn report(&self) -> Option<ShadowReport> {
        lock(&self.last).as_ref().map(|outcome| outcome.report())
    }

    /// The one that is on, in short.
    pub(crate) fn status(&self) -> Option<ShadowStatus> {
        let running = self.running.load();
        running.as_ref().filter(|shadow| !shadow.outcome.is_ending()).map(|shadow| shadow.outcome.status())
    }
}

impl Drop for Shadows {
    fn drop(&mut self) {
        self.end("the node stopped");
        self.reap();
    }
}

impl Shadow {
    fn offer(&self, recorded: &Arc<RecordedCall>, decision: &Decision) {
        let outcome = &*self.outcome;
        if !self.share.takes(recorded.at.random.0)
            || matches!(recorded.call, OwnedCall::Answer { .. })
            || outcome.is_ending()
        {
            return;
        }
        let call = recorded.call.as_call();
        let bytes = call.bytes() + decision.output.len() + size_of_val(decision.effects.words());
        let skipped = || outcome.skipped.fetch_add(call.decisions() as u64, Ordering::Relaxed);
        // Several workers may find the last room at once; each brings one call too many at most.
        if outcome.queued_bytes.load(Ordering::Relaxed) > QUEUE_BYTES_MAX {
            skipped();
            return;
        }
        outcome.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let job = Job { recorded: Arc::clone(recorded), decision: decision.clone(), bytes };
        if self.jobs.try_send(job).is_err() {
            outcome.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            skipped();
        }
    }
}

/// What the thread of a shadow has.
struct Follower {
    waiting: Receiver<Job>,
    outcome: Arc<Outcome>,
    observer: Option<Weak<dyn Observer>>,
}

impl Follower {
    fn run(self, active: &Generation, candidate: &Generation) {
        lower_priority();
        // A guest that sleeps needs a clock to be there.
        let _entered = crate::replay::component_decider::clock().enter();
        let outcome = &*self.outcome;
        let goes_on = || !outcome.is_ending();
        let mut both = SideBySide::new(active, candidate, &outcome.differences, &goes_on, FAULTS_MAX);
        while goes_on() {
            match self.waiting.try_recv() {
                Ok(Job { recorded, decision, bytes }) => {
                    both.decide(&recorded, &decision);
                    outcome.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                    if both.is_over() {
                        self.end_by_itself();
                    }
                }
                Err(TryRecvError::Empty) => thread::park_timeout(LOOK_EVERY),
                Err(TryRecvError::Disconnected) => break,
            }
        }
    }

    fn end_by_itself(&self) {
        let why = format!("the candidate faulted {FAULTS_MAX} times");
        self.outcome.end(&why);
        let candidate = &self.outcome.candidate;
        tracing::warn!(generation = %candidate.id, digest = %&candidate.digest[..8], why, "a shadow ended by itself");
        if let Some(observer) = self.observer.as_ref().and_then(Weak::upgrade) {
            observer.shadow_ended(candidate, &why);
        }
    }
}

impl Outcome {
    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// The first reason counts.
    fn end(&self, why: &str) {
        let _ = self.ended.set(why.into());
        self.ending.store(true, Ordering::Relaxed);
    }

    fn report(&self) -> ShadowReport {
        ShadowReport {
            candidate: self.candidate.clone(),
            beside: self.beside,
            share_percent: self.share.percent(),
            since_s: self.since_s,
            ended: self.ended.get().cloned(),
            skipped: self.skipped.load(Ordering::Relaxed),
            found: lock(&self.differences).found(),
        }
    }

    fn status(&self) -> ShadowStatus {
        let (compared, different, faults) = lock(&self.differences).counts();
        ShadowStatus {
            digest: self.candidate.digest.clone(),
            share_percent: self.share.percent(),
            compared,
            skipped: self.skipped.load(Ordering::Relaxed),
            different,
            faults,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a hundred thousand calls a second bring between two looks of the thread.
const QUEUE_CALLS_MAX: usize = 512;
/// Some hundred calls of the usual kilobytes; a single one may make 8 MiB. More would wait in memory that no cache holds,
/// and be of no use: who is behind by that much skips anyway.
const QUEUE_BYTES_MAX: usize = 2 << 20;
/// Two hundred looks a second cost nothing that could be measured.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// By then it is plain that the candidate is no good; each may have cost its deadline.
const FAULTS_MAX: u64 = 256;
