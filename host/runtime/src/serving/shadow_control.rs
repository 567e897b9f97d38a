//! Begin, report and end of a shadow.

use std::sync::Arc;

use herd_model::{Share, SwapOptions};

use crate::engine::background::run_at_low_priority;
use crate::generation::compatibility::DowngradeRequirement;
use crate::serving::error::{NoShadow, SwapError};
use crate::serving::registry::GenerationRegistry;
use crate::shadow::shadow::ShadowReport;

impl GenerationRegistry {
    /// Has a candidate decide a share of the calls too, from now on. Compiles and rehearses, like a swap.
    ///
    /// # Errors
    ///
    /// As for a swap; or another candidate shadows already. Nothing changed.
    pub fn shadow(&self, bytes: &[u8], share: Share, options: SwapOptions) -> Result<ShadowReport, SwapError> {
        let _permit = self.acquire_permit(bytes, options)?;
        self.refuse_second_candidate()?;
        let (candidate, _) =
            run_at_low_priority("herd-swap", || self.candidate(bytes, options, DowngradeRequirement::Concurrent))?;
        // Not between a look at what is active and a change of it.
        let _switch = self.lock_switch();
        let active = Arc::clone(&self.snapshot.load().active);
        self.shadows.begin(candidate, active, share, self.observer.get().cloned()).map_err(SwapError::Thread)
    }

    /// What the shadow that is on has found, or the last one.
    #[must_use]
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.shadows.report()
    }

    /// Ends the shadow. Its report stays.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn end_shadow(&self) -> Result<ShadowReport, NoShadow> {
        let report = self.shadows.end("it was told to").ok_or(NoShadow)?;
        self.shadows.reap();
        Ok(report)
    }
}
