//! Counts of an upstream's requests, and what a status shows of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_sdk::Failure;
use serde::Serialize;

/// How requests to one upstream ended. Counts only grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    answers: AtomicU64,
    /// In the order of [`Failure::ALL`].
    failures: [AtomicU64; Failure::ALL.len()],
}

/// Every upstream of a node and how it fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamsStatus {
    /// By name.
    pub upstreams: Vec<UpstreamStatus>,
    /// Requests to names that are not configured.
    pub unknown_total: u64,
}

/// One upstream and how it fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// The base URL, which has no secret; `None` for the one inside the process.
    pub url: Option<String>,
    /// Why it cannot be asked, such as a secret that is missing.
    pub problem: Option<String>,
    /// Requests, those in flight included. Those that are not in flight and neither answered nor failed were given up
    /// by who asked.
    pub requests_total: u64,
    /// Requests that brought an answer, whatever its status.
    pub answers_total: u64,
    /// Requests that brought none, by the word for why.
    pub failures_total: BTreeMap<&'static str, u64>,
    /// Requests under way.
    pub in_flight: usize,
    /// The most that may be.
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
