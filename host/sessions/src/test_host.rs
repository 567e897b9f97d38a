//! A node for tests of sessions: a test states what it uses of it, and the rest is never asked.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_model::{
    Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Reroute, Side, Sides, Ticket,
};
use herd_sdk::{Decision, InputBatch, Moment, Outcome};
use herd_sys::TrafficLog;
use tokio::sync::watch;

use crate::host::{KeepRequest, SessionsHost, Undecided};

/// A [`SessionsHost`] whose methods have defaults.
pub(crate) trait TestHost: Send + Sync + 'static {
    fn split(&self) -> Sides {
        Sides::new(GenerationId(1))
    }

    fn split_changes(&self) -> watch::Receiver<()> {
        unreachable!("no worker follows the changes")
    }

    fn on_inputs(&self, _inputs: &InputBatch, _side: Side, _: Option<Reroute>) -> Result<DecidedInputs, Undecided> {
        unreachable!("no input is decided")
    }

    fn on_answer(&self) -> Result<Decision, Undecided> {
        unreachable!("no answer is decided")
    }

    fn on_keep(&self, _keep: KeepRequest<'_>) -> Keeping {
        unreachable!("nothing is kept")
    }

    fn on_flush(&self) -> bool {
        unreachable!("nothing is kept")
    }

    fn waits(&self) -> bool {
        false
    }

    fn on_confirmation(&self, _ticket: Ticket) -> Confirmation {
        unreachable!("nothing waits")
    }

    fn timeout(&self) -> Duration {
        CONFIRMATION_TIMEOUT
    }

    fn on_confirmations(&self) -> watch::Receiver<()> {
        unreachable!("no worker follows the confirmations")
    }

    fn on_fetch(&self) -> BoxFuture<'static, FetchAnswer> {
        unreachable!("nothing is fetched")
    }
}

impl<T: TestHost> SessionsHost for T {
    fn node(&self) -> &str {
        "Riley"
    }

    fn sides(&self) -> Sides {
        self.split()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.split_changes()
    }

    fn decide_inputs(
        &self,
        _: Moment,
        inputs: &InputBatch,
        _: &[u64],
        side: Side,
        reroute: Option<Reroute>,
    ) -> Result<DecidedInputs, Undecided> {
        self.on_inputs(inputs, side, reroute)
    }

    fn decide_answer(
        &self,
        _: GenerationId,
        _: Moment,
        _: u64,
        _: &[u8],
        _: &[u8],
        _: Outcome<'_>,
    ) -> Result<Decision, Undecided> {
        self.on_answer()
    }

    fn prefetch<'a>(&self, _: impl Iterator<Item = &'a [u8]>) {}

    fn keep(&self, keep: KeepRequest<'_>) -> Keeping {
        self.on_keep(keep)
    }

    fn flush(&self) -> bool {
        self.on_flush()
    }

    fn waits_for_confirmation(&self) -> bool {
        self.waits()
    }

    fn confirmation(&self, ticket: Ticket) -> Confirmation {
        self.on_confirmation(ticket)
    }

    fn confirmations(&self) -> watch::Receiver<()> {
        self.on_confirmations()
    }

    fn confirmation_timeout(&self) -> Duration {
        self.timeout()
    }

    fn fetch(&self, _: FetchRequest, _: Instant) -> BoxFuture<'static, FetchAnswer> {
        self.on_fetch()
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        None
    }
}

/// Time that a reply waits in tests.
pub(crate) const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(5);
