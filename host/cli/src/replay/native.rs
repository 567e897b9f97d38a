//! The default logic, linked natively, on the calls of a log.
//!
//! Proves that the component decides as the logic that it was built from, and replays without any of the sandbox. Bounds: none; the
//! logic is the one that this program was built with.

use std::sync::Arc;

use anyhow::Context as _;
use herd_logic::Herd;
use herd_recording::{Call, RecordedCall, RecordedReads};
use herd_sdk::batch::read_reports;
use herd_sdk::{Context, Decision, Logic, Settings, decide_inputs};

/// The default logic with the settings of a log.
#[derive(Clone)]
pub(crate) struct NativeGuest(Arc<Herd>);

/// Decides calls on one thread.
pub(crate) struct NativeReplayer {
    logic: Arc<Herd>,
    records: RecordedReads,
}

impl NativeGuest {
    pub(super) fn new(settings: Settings) -> anyhow::Result<Self> {
        let logic = Herd::configure(&settings).context("the default logic refuses the settings of the log")?;
        Ok(Self(Arc::new(logic)))
    }

    /// Returns true for the same loading, which has the same settings.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn replayer(&self) -> NativeReplayer {
        NativeReplayer { logic: Arc::clone(&self.0), records: RecordedReads::default() }
    }
}

impl NativeReplayer {
    pub(super) fn repeat(&self, recorded: &RecordedCall) -> Decision {
        self.records.replace(&recorded.reads);
        let mut context = Context::new(recorded.at, &self.records);
        match recorded.call.as_call() {
            Call::Inputs(inputs) => {
                let bytes = inputs.bytes().len();
                return decide_inputs(recorded.at, &self.records, &*self.logic, inputs.iter(), bytes);
            }
            Call::Reports(reports) => {
                self.logic.reports(&read_reports(reports.bytes(), reports.words()), &mut context);
            }
            Call::Answer { token, otherwise, outcome } => self.logic.answer(token, otherwise, outcome, &mut context),
        }
        context.finish()
    }

    pub(super) fn missing_reads(&self) -> u64 {
        self.records.missing()
    }
}
