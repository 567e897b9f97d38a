//! Start, report and end of a shadow on a node.
//!
//! The shadow itself is in [`shadow`](crate::shadow). Bounds: one candidate, so no shadow beside a canary or another shadow.

use std::sync::Arc;

use herd_model::{GuestFiles, Share, SwapOptions};

use crate::engine::background::run_at_low_priority;
use crate::generation::compatibility::DowngradeRequirement;
use crate::serving::candidate::ReadyGuest;
use crate::serving::error::{NoShadow, SwapError};
use crate::serving::registry::GenerationRegistry;
use crate::shadow::report::ShadowReport;

impl GenerationRegistry {
    /// Starts a shadow for a share of the calls. Compiles and rehearses, like a swap: never call it on a worker thread.
    ///
    /// # Errors
    ///
    /// As for a swap; or the node has a canary or a shadow already. Nothing changed.
    pub fn shadow(&self, files: GuestFiles<'_>, share: Share, options: SwapOptions) -> Result<ShadowReport, SwapError> {
        let _permit = self.acquire_permit(files.guest, options)?;
        self.check_no_candidate()?;
        let ReadyGuest { generation, forms, .. } = run_at_low_priority("herd-swap", || {
            self.build_candidate(files, options, DowngradeRequirement::Concurrent)
        })?;
        // The shadow is compared with the active generation, which must not change between this look and its start.
        let _switch = self.lock_switch_for(&generation, forms)?;
        let active = Arc::clone(&self.snapshot.load().active);
        self.shadows.begin(generation, active, share, self.observer.get().cloned()).map_err(SwapError::Thread)
    }

    /// Returns the report of the running shadow, or of the last one.
    #[must_use]
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.shadows.report()
    }

    /// Ends the shadow and waits for its thread. Its report stays.
    ///
    /// # Errors
    ///
    /// No shadow runs.
    pub fn end_shadow(&self) -> Result<ShadowReport, NoShadow> {
        let report = self.shadows.end("stopped by an operator").ok_or(NoShadow)?;
        self.shadows.reap();
        Ok(report)
    }
}
