//! The shadow of a node: a candidate that decides a share of the calls too, after the answers and off the workers. Its
//! effects are compared with those of the active generation and discarded.
//!
//! ```text
//! worker: decided, recorded -- never waits --> queue --> herd-shadow: decide, compare, count
//! ```
//!
//! A worker hands over the recorder's copy of a call and a copy of the decision, and wakes no thread.
//!
//! Answers to fetches are not shadowed: they belong to the generation that fetched, and the candidate did not. A key that
//! the active generation did not look up is unknown to the candidate, so a candidate that looks up more may differ for that
//! reason alone.
//!
//! Bounds: the queue, by calls and by bytes; a call that finds it full is skipped and counted.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwapOption;
use herd_model::{GenerationId, Share};
use herd_recording::{OwnedCall, RecordedCall};
use herd_sdk::Decision;
use parking_lot::Mutex;

use crate::generation::generation::Generation;
use crate::serving::observer::Observer;
use crate::shadow::report::{ShadowReport, ShadowStatus};
use crate::shadow::run::{Job, ShadowRun};

/// The running shadow of a node, if any, and the last run.
#[derive(Default)]
pub(crate) struct Shadows {
    running: ArcSwapOption<Shadow>,
    /// The current run, or the one before where none is current. Read for reports.
    last: Mutex<Option<Arc<ShadowRun>>>,
    /// Threads to join: of the current run, and of runs that were told to end.
    threads: Mutex<Vec<(Arc<ShadowRun>, JoinHandle<()>)>>,
}

/// The workers' end of a run.
struct Shadow {
    jobs: SyncSender<Job>,
    run: Arc<ShadowRun>,
}

impl Shadows {
    /// Returns the digest of the candidate that shadows now.
    pub(crate) fn digest(&self) -> Option<String> {
        self.running(|run| run.candidate.digest.clone())
    }

    /// Starts a run in place of any other.
    ///
    /// # Errors
    ///
    /// No thread could be started. Then the node has no shadow.
    pub(crate) fn begin(
        &self,
        candidate: Arc<Generation>,
        active: Arc<Generation>,
        share: Share,
        observer: Option<Weak<dyn Observer>>,
    ) -> std::io::Result<ShadowReport> {
        self.end("another shadow began");
        self.reap();
        let run = Arc::new(ShadowRun::new(&candidate.settings().node, candidate.status(), &active.status(), share));
        // Full: the call is skipped and counted, because the worker that has it answers clients.
        let (jobs, queue) = sync_channel(QUEUE_CALLS_MAX);
        let follower = Arc::clone(&run);
        let follow = move || follower.follow(&queue, &active, &candidate, observer.as_ref());
        let thread = thread::Builder::new().name("herd-shadow".into()).spawn(follow)?;
        self.threads.lock().push((Arc::clone(&run), thread));
        *self.last.lock() = Some(Arc::clone(&run));
        let report = run.report();
        self.running.store(Some(Arc::new(Shadow { jobs, run })));
        Ok(report)
    }

    /// Tells the current run to end, and returns its report. Does not wait for its thread.
    pub(crate) fn end(&self, why: &str) -> Option<ShadowReport> {
        let shadow = self.running.swap(None)?;
        if shadow.run.is_ending() {
            return None;
        }
        shadow.run.end(why);
        // It may be parked between two polls.
        self.threads.lock().iter().for_each(|(_, thread)| thread.thread().unpark());
        Some(shadow.run.report())
    }

    /// Joins threads of runs that were told to end, for at most one decision each. Not for a worker.
    pub(crate) fn reap(&self) {
        let is_ending = |(run, _): &mut (Arc<ShadowRun>, _)| run.is_ending();
        // Joined without the lock, so that a report never waits for a thread.
        let ended: Vec<_> = self.threads.lock().extract_if(.., is_ending).collect();
        for (run, thread) in ended {
            // The shadow's own thread may drop the last reference to the node, and cannot join itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!(node = %run.node, "the thread of a shadow panicked");
            }
        }
    }

    /// Offers a decided call to the shadow. Never waits.
    #[inline]
    pub(crate) fn offer(&self, decided_by: GenerationId, recorded: &Arc<RecordedCall>, decision: &Decision) {
        let running = self.running.load();
        let Some(shadow) = &*running else { return };
        // Around a swap, decisions of another generation than the compared one still come in.
        if shadow.run.beside == decided_by {
            shadow.offer(recorded, decision);
        }
    }

    /// Returns the report of the current run, or of the last one.
    pub(crate) fn report(&self) -> Option<ShadowReport> {
        self.last.lock().as_ref().map(|run| run.report())
    }

    /// Returns the counts of the current run.
    pub(crate) fn status(&self) -> Option<ShadowStatus> {
        self.running(ShadowRun::status)
    }

    fn running<T>(&self, of: impl FnOnce(&ShadowRun) -> T) -> Option<T> {
        let running = self.running.load();
        running.as_ref().map(|shadow| &*shadow.run).filter(|run| !run.is_ending()).map(of)
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
        let run = &*self.run;
        let is_in_share = run.share.includes(recorded.at.random.0);
        if !is_in_share || matches!(recorded.call, OwnedCall::Answer { .. }) || run.is_ending() {
            return;
        }
        let call = recorded.call.as_call();
        let bytes = call.bytes() + decision.output.len() + size_of_val(decision.effects.words());
        let skipped = || run.skipped.fetch_add(call.decisions() as u64, Ordering::Relaxed);
        // Checked and added apart, so several workers may pass the limit at once, by one call each.
        if run.queued_bytes.load(Ordering::Relaxed) > QUEUE_BYTES_MAX {
            skipped();
            return;
        }
        run.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let job = Job { recorded: Arc::clone(recorded), decision: decision.clone(), bytes };
        if self.jobs.try_send(job).is_err() {
            run.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            skipped();
        }
    }
}

/// Calls that come in between two polls of the thread, at 100,000 a second.
const QUEUE_CALLS_MAX: usize = 512;
/// Some hundred calls of the usual kilobytes; one call may have 8 MiB. More would wait in memory outside the caches and be
/// of no use, because a shadow so far behind skips anyway.
const QUEUE_BYTES_MAX: usize = 2 << 20;
