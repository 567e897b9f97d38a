//! Start, change and end of a canary on a node.
//!
//! The canary is part of the snapshot, so each of these replaces the snapshot, under the switch lock. Knows nothing of how calls
//! are dispatched. Bounds: one candidate, so no canary beside a shadow or another canary.

use std::sync::{Arc, Weak};

use herd_model::{GuestFiles, Share, SwapOptions};

use crate::engine::background::run_at_low_priority;
use crate::generation::compatibility::DowngradeRequirement;
use crate::sandbox::fault::Fault;
use crate::serving::canary::{Canary, CanaryGuest, CanaryStatus, NoCanary};
use crate::serving::candidate::ReadyGuest;
use crate::serving::error::SwapError;
use crate::serving::probation::SwapLimits;
use crate::serving::registry::GenerationRegistry;
use crate::serving::snapshot::Snapshot;

impl GenerationRegistry {
    /// Starts a canary for a share of the sessions. Compiles and rehearses, like a swap: never call it on a worker thread. A swap
    /// to the same guest promotes it; one to another guest ends it.
    ///
    /// # Errors
    ///
    /// As for a swap; or the node has a canary or a shadow already. Nothing changed.
    pub fn begin_canary(
        &self,
        files: GuestFiles<'_>,
        share: Share,
        options: SwapOptions,
    ) -> Result<CanaryStatus, SwapError> {
        // Released when this returns: a canary is a candidate that holds no permit, so that a swap can promote or end it.
        let _permit = self.acquire_permit(files.guest, options)?;
        self.check_no_candidate()?;
        let ReadyGuest { generation, rehearsed, forms, converting } = run_at_low_priority("herd-swap", || {
            self.build_candidate(files, options, DowngradeRequirement::Concurrent)
                .inspect(|ready| ready.generation.warm())
        })?;
        let canary = Canary::new((Arc::clone(&generation), rehearsed), files, share, self.limits.clone());
        let status = canary.status();
        let switch = self.lock_switch_for(&generation, forms)?;
        // Before its first decision, which may keep a record.
        self.context.forms.keep(generation.converter(), converting);
        self.replace_canary(Some(Arc::new(canary)));
        drop(switch);
        self.settle_forms();
        Ok(status)
    }

    /// Returns the files of the guest that is the canary.
    ///
    /// # Errors
    ///
    /// The node has no canary.
    pub fn canary_guest(&self) -> Result<CanaryGuest, NoCanary> {
        self.snapshot.load().canary.as_ref().map(|canary| canary.guest().clone()).ok_or(NoCanary)
    }

    /// Sets the share of sessions for which the canary decides. A wider share includes the sessions of a narrower one.
    ///
    /// # Errors
    ///
    /// The node has no canary.
    pub fn widen_canary(&self, share: Share) -> Result<CanaryStatus, NoCanary> {
        // Under the lock, so that an operator does not get the share of a canary that just ended.
        let _switch = self.lock_switch();
        let canary = self.snapshot.load().canary.clone().ok_or(NoCanary)?;
        canary.set_share(share);
        self.mark_changed();
        Ok(canary.status())
    }

    /// Ends the canary: the active generation decides for its sessions again. Waits for the calls that hold it: never call it on
    /// a worker thread.
    ///
    /// # Errors
    ///
    /// The node has no canary.
    pub fn end_canary(&self) -> Result<CanaryStatus, NoCanary> {
        self.end_canary_with_reason("ended by an operator").ok_or(NoCanary)
    }

    /// Ends the canary for a reason that is logged. None if the node has none.
    pub(crate) fn end_canary_with_reason(&self, why: &str) -> Option<CanaryStatus> {
        let switch = self.lock_switch();
        let canary = self.snapshot.load().canary.clone()?;
        tracing::debug!(node = %self.settings.node, generation = %canary.generation().id(), why, "canary ended");
        self.replace_canary(None);
        // Under the lock: a swap that promotes this canary takes it out of the list under the same lock. What serves must not
        // drain.
        self.draining.add(Some(Arc::clone(canary.generation())));
        drop(switch);
        let status = canary.status();
        // This reference would keep it alive, and draining waits for the last one.
        drop(canary);
        self.drain_retired();
        Some(status)
    }

    /// Ends a canary that faulted too often. Runs on the worker that counted the last fault. That worker is in a call which holds
    /// the canary, and must not wait for itself: the observer drains it on another thread.
    pub(crate) fn fail_canary(&self, failed: &Canary, fault: &Fault) {
        let switch = self.lock_switch();
        // Several workers may count one fault too many: only the first finds it in the snapshot.
        let Some(canary) = self.snapshot.load().canary.clone().filter(|canary| std::ptr::eq(&**canary, failed)) else {
            return;
        };
        canary.generation().mark_failed();
        let SwapLimits { faults_max, window_s, .. } = self.limits;
        let why = format!("{faults_max} faults within {window_s} s as a canary; the last one: {fault}");
        self.remember_failed(canary.generation().digest(), &why);
        self.replace_canary(None);
        self.draining.add(Some(Arc::clone(canary.generation())));
        // The log and the observer need no lock, and other workers may wait for it.
        drop(switch);
        let status = canary.generation().status();
        tracing::error!(node = %self.settings.node, generation = %status.id, digest = %&status.digest[..8], why, "canary failed and ended");
        if let Some(observer) = self.observer.get().and_then(Weak::upgrade) {
            observer.canary_ended(&status, &why);
        }
    }

    /// Drops the generations that were retired on a worker, once no call holds them. Waits for that: never call it on a worker
    /// thread. False if a call holds one for longer than any call should take; it is dropped later.
    pub fn drain_retired(&self) -> bool {
        let is_empty = self.draining.drain();
        self.settle_forms();
        is_empty
    }

    /// Replaces the canary in the snapshot. The caller holds the switch lock, or a swap in between would be lost.
    fn replace_canary(&self, canary: Option<Arc<Canary>>) {
        let snapshot = self.snapshot.load_full();
        let (active, previous) = (Arc::clone(&snapshot.active), snapshot.previous.clone());
        // With its counts: the end of a canary must not forgive the active generation its faults.
        let probation = snapshot.probation.clone();
        self.replace_snapshot(Snapshot { active, previous, probation, canary });
    }
}
