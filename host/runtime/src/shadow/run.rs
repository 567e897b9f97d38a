//! One run of a shadow: the state that workers, operators and its thread share, and the loop of that thread.
//!
//! The thread polls its queue, because a wake-up is a system call that could cost a worker more than the answer does. It runs
//! at low priority, because no answer waits for it.
//!
//! Knows nothing of the node's other candidates. Bounds: after [`FAULTS_MAX`] faults of the candidate the run ends.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use herd_model::{GenerationId, Share};
use herd_recording::RecordedCall;
use herd_sdk::Decision;
use herd_sys::clock::unix_now;
use parking_lot::{Mutex, MutexGuard};

use crate::engine::background::lower_priority;
use crate::generation::generation::{Generation, GenerationStatus};
use crate::replay::timer_runtime::timer_runtime;
use crate::sandbox::output::OutputOf;
use crate::serving::observer::Observer;
use crate::shadow::comparator::Comparator;
use crate::shadow::report::{ShadowReport, ShadowStatus};
use crate::shadow::tally::Tally;

/// State of a run. Does not keep its generations alive, so a report outlives them.
pub(crate) struct ShadowRun {
    pub(crate) node: String,
    pub(crate) candidate: GenerationStatus,
    /// Generation whose decisions are compared.
    pub(crate) beside: GenerationId,
    pub(crate) share: Share,
    since_s: u64,
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) skipped: AtomicU64,
    is_ending: AtomicBool,
    ended: OnceLock<String>,
    tally: Mutex<Tally>,
}

/// A decided call on its way to the thread.
pub(crate) struct Job {
    pub(crate) recorded: Arc<RecordedCall>,
    pub(crate) decision: Decision,
    pub(crate) bytes: usize,
}

impl ShadowRun {
    /// Starts a run on a node now.
    pub(crate) fn new(node: &str, candidate: GenerationStatus, active: &GenerationStatus, share: Share) -> Self {
        Self {
            node: node.into(),
            tally: Mutex::new(Tally::new(candidate.commands.iter().chain(&active.commands))),
            candidate,
            beside: active.id,
            share,
            since_s: unix_now().as_secs(),
            queued_bytes: AtomicUsize::new(0),
            skipped: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            ended: OnceLock::new(),
        }
    }

    /// Returns whether the run was told to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Tells the run to end. The first reason is the one reported.
    pub(crate) fn end(&self, why: &str) {
        // The reason first: a report of an ended run always has one.
        let _ = self.ended.set(why.into());
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Returns the full report.
    pub(crate) fn report(&self) -> ShadowReport {
        ShadowReport {
            candidate: self.candidate.clone(),
            beside: self.beside,
            share_percent: self.share.percent(),
            since_s: self.since_s,
            ended: self.ended.get().cloned(),
            skipped: self.skipped.load(Ordering::Relaxed),
            findings: self.tally().findings().clone(),
        }
    }

    /// Returns the counts.
    pub(crate) fn status(&self) -> ShadowStatus {
        let tally = self.tally();
        let findings = tally.findings();
        ShadowStatus {
            digest: self.candidate.digest.clone(),
            share_percent: self.share.percent(),
            compared: findings.compared,
            skipped: self.skipped.load(Ordering::Relaxed),
            different: findings.different,
            faults: findings.faults,
        }
    }

    /// Compares queued calls until the run ends. For a thread of its own.
    pub(crate) fn follow(
        &self,
        queue: &Receiver<Job>,
        active: &Generation,
        candidate: &Generation,
        observer: Option<&Weak<dyn Observer>>,
    ) {
        lower_priority();
        OutputOf::Shadow.set();
        // A guest that sleeps needs a timer.
        let _entered = timer_runtime().enter();
        let has_failed = || self.tally().findings().faults >= FAULTS_MAX;
        let may_go_on = || !self.is_ending() && !has_failed();
        let mut comparator = Comparator::new(active, candidate, &self.tally, &may_go_on);
        while may_go_on() {
            match queue.try_recv() {
                Ok(Job { recorded, decision, bytes }) => {
                    comparator.compare(&recorded, &decision);
                    self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                Err(TryRecvError::Empty) => thread::park_timeout(POLL_INTERVAL),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        // An operator who ended it meanwhile has reported the end already.
        if has_failed() && !self.is_ending() {
            self.end_failed(observer);
        }
    }

    fn end_failed(&self, observer: Option<&Weak<dyn Observer>>) {
        let why = format!("the candidate faulted {FAULTS_MAX} times");
        self.end(&why);
        let candidate = &self.candidate;
        tracing::warn!(node = %self.node, generation = %candidate.id, digest = %&candidate.digest[..8], why, "shadow ended by itself");
        if let Some(observer) = observer.and_then(Weak::upgrade) {
            observer.shadow_ended(candidate, &why);
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock()
    }
}

/// 200 polls a second cost nothing that could be measured.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Enough to tell a bad candidate. Each may have cost its deadline.
const FAULTS_MAX: u64 = 256;
