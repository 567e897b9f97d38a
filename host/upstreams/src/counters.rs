//! Counters of an upstream's requests, and the status types that show them.
//!
//! Knows nothing about requests. Bounds: a fixed number of counters per upstream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_sdk::Failure;
use serde::Serialize;

/// Counters of one upstream, by the outcome of requests. They only grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    answers: AtomicU64,
    /// In the order of [`Failure::ALL`].
    failures: [AtomicU64; Failure::ALL.len()],
}

/// Status of all upstreams of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamsStatus {
    /// The upstreams, ordered by name.
    pub upstreams: Vec<UpstreamStatus>,
    /// Number of requests to names that are not configured.
    pub unknown_total: u64,
}

/// Status of one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamStatus {
    /// Name of the upstream.
    pub name: String,
    /// Base URL, which contains no secret; `None` for `embedded`.
    pub url: Option<String>,
    /// Reason why it is unavailable, such as a missing secret.
    pub problem: Option<String>,
    /// Number of requests, including those in flight. Requests that are neither in flight nor counted below were
    /// cancelled by the caller.
    pub requests_total: u64,
    /// Number of requests with an answer of any status.
    pub answers_total: u64,
    /// Number of requests without an answer, by the word of the failure.
    pub failures_total: BTreeMap<&'static str, u64>,
    /// Number of requests in flight.
    pub in_flight: usize,
    /// Limit of requests in flight.
    pub in_flight_max: usize,
}

impl Counters {
    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_end(&self, failure: Option<Failure>) {
        let count = match failure.and_then(|failure| Failure::ALL.iter().position(|&other| other == failure)) {
            Some(index) => &self.failures[index],
            None => &self.answers,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn requests_total(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn answers_total(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn failures_total(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.failures.iter().map(|count| count.load(Ordering::Relaxed));
        Failure::ALL.iter().map(|failure| failure.word()).zip(counts).collect()
    }
}
