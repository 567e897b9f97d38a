//! Requests that are being carried out and can be withdrawn.
//!
//! A request is withdrawn when its connection is gone or its sender asks for that by the number that it gave the request. A
//! node that stood still reads requests from its socket whose senders gave up long ago; those are not carried out either.
//!
//! Bounds: [`REQUESTS_MAX`] numbered requests; one beyond that is carried out and can be withdrawn by leaving only.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Tokens of the numbered requests. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashMap<u64, CancellationToken>>>);

impl Running {
    /// Adds a request until the entry is dropped, which withdraws it: the server drops its handlers with the connection.
    pub(super) fn add(&self, number: RequestNumber) -> RunningRequest {
        let withdrawn = CancellationToken::new();
        let mut running = self.0.lock();
        let number = number.0.filter(|number| running.len() < REQUESTS_MAX && !running.contains_key(number));
        if let Some(number) = number {
            running.insert(number, withdrawn.clone());
        }
        RunningRequest { _on_drop: withdrawn.clone().drop_guard(), withdrawn, number, running: self.clone() }
    }

    /// Withdraws a request. False if none of this number is being carried out.
    pub(super) fn withdraw(&self, number: u64) -> bool {
        self.0.lock().get(&number).map(CancellationToken::cancel).is_some()
    }
}

/// A request that is being carried out.
pub(super) struct RunningRequest {
    _on_drop: DropGuard,
    withdrawn: CancellationToken,
    number: Option<u64>,
    running: Running,
}

impl RunningRequest {
    /// Token that is cancelled when the request is withdrawn.
    pub(super) fn withdrawn(&self) -> &CancellationToken {
        &self.withdrawn
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.running.0.lock().remove(&number);
        }
    }
}

/// Number that the sender gave its request, if any.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestNumber(Option<u64>);

impl<S: Sync> FromRequestParts<S> for RequestNumber {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let number = parts.headers.get(HEADER).and_then(|value| value.to_str().ok());
        Ok(Self(number.and_then(|number| number.parse().ok())))
    }
}

/// Header with the number of a request, a decimal that its sender draws at random.
pub(super) const HEADER: &str = "herd-request";
/// More than operators run at the same time.
const REQUESTS_MAX: usize = 64;
