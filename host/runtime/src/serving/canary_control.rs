//! Begin, change and end of a canary.

use std::sync::{Arc, Weak};

use herd_model::{Share, SwapOptions};

use crate::engine::background::run_at_low_priority;
use crate::generation::compatibility::DowngradeRequirement;
use crate::sandbox::fault::Fault;
use crate::serving::canary::{Canary, CanaryStatus, NoCanary};
use crate::serving::error::SwapError;
use crate::serving::probation::SwapLimits;
use crate::serving::registry::GenerationRegistry;
use crate::serving::snapshot::Snapshot;

impl GenerationRegistry {
    /// Has a candidate decide for a share of the sessions from now on. Compiles and rehearses, like a swap. A swap to the
    /// same guest promotes it; one to another guest ends it.
    ///
    /// # Errors
    ///
    /// As for a swap; or there is a canary or a shadow already. Nothing changed.
    pub fn begin_canary(&self, bytes: &[u8], share: Share, options: SwapOptions) -> Result<CanaryStatus, SwapError> {
        let _permit = self.acquire_permit(bytes, options)?;
        self.refuse_second_candidate()?;
        let made = run_at_low_priority("herd-swap", || {
            self.candidate(bytes, options, DowngradeRequirement::Concurrent).inspect(|(candidate, _)| candidate.warm())
        })?;
        let canary = Arc::new(Canary::new(made, bytes, share, self.limits.clone()));
        let status = canary.status();
        let _switch = self.lock_switch();
        self.replace_canary(Some(canary));
        Ok(status)
    }

    /// The bytes of the guest that is a canary.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn canary_guest(&self) -> Result<Arc<[u8]>, NoCanary> {
        self.snapshot.load().canary.as_ref().map(|canary| Arc::clone(canary.guest())).ok_or(NoCanary)
    }

    /// Has the canary decide for another share of the sessions. Those it has stay with it if the share is wider.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn widen_canary(&self, share: Share) -> Result<CanaryStatus, NoCanary> {
        let _switch = self.lock_switch();
        let canary = self.snapshot.load().canary.clone().ok_or(NoCanary)?;
        canary.set_share(share);
        Ok(canary.status())
    }

    /// Ends the canary: the active generation decides for its sessions again. Not for a worker thread.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn end_canary(&self) -> Result<CanaryStatus, NoCanary> {
        self.end_canary_with_reason("it was told to").ok_or(NoCanary)
    }

    pub(crate) fn end_canary_with_reason(&self, why: &str) -> Option<CanaryStatus> {
        let switch = self.lock_switch();
        let canary = self.snapshot.load().canary.clone()?;
        tracing::debug!(generation = %canary.generation().id(), why, "a canary ended");
        self.replace_canary(None);
        // While nobody can activate it: what serves must not be on its way out.
        self.draining.add(Some(Arc::clone(canary.generation())));
        drop(switch);
        let status = canary.status();
        drop(canary);
        self.draining.drain();
        Some(status)
    }

    /// The canary has faulted too often. On a worker thread, so what it leaves is seen off by whoever is told.
    pub(crate) fn fail_canary(&self, failed: &Canary, fault: &Fault) {
        let switch = self.lock_switch();
        // Several workers may find one fault too many.
        let Some(canary) = self.snapshot.load().canary.clone().filter(|canary| std::ptr::eq(&**canary, failed)) else {
            return;
        };
        canary.generation().mark_failed();
        let SwapLimits { faults_max, window_s, .. } = self.limits;
        let why = format!("{faults_max} faults within {window_s} s as a canary; the last one: {fault}");
        self.remember_failed(canary.generation().digest(), &why);
        self.replace_canary(None);
        self.draining.add(Some(Arc::clone(canary.generation())));
        drop(switch);
        let status = canary.generation().status();
        tracing::error!(generation = %status.id, digest = %&status.digest[..8], why, "a canary failed and ended");
        if let Some(observer) = self.observer.get().and_then(Weak::upgrade) {
            observer.canary_ended(&status, &why);
        }
    }

    /// Drops what ended on a worker, once no call holds it any more. May wait.
    pub fn drain_retired(&self) {
        self.draining.drain();
    }

    /// The caller holds what keeps others from switching.
    fn replace_canary(&self, canary: Option<Arc<Canary>>) {
        let snapshot = self.snapshot.load_full();
        let (active, previous) = (Arc::clone(&snapshot.active), snapshot.previous.clone());
        let probation = snapshot.probation.clone();
        self.snapshot.store(Arc::new(Snapshot { active, previous, probation, canary }));
    }
}
