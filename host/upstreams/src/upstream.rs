//! One upstream: its limits and counters around the service that answers.
//!
//! Owns the permits and the time limit. Knows nothing about HTTP, places and secrets. Bounds: [`UpstreamLimits`].

use std::sync::Arc;
use std::time::Instant;

use herd_model::{FetchAnswer, FetchRequest};
use herd_sdk::Failure;
use tokio::sync::Semaphore;
use tokio::time;
use tracing::{debug, warn};

use super::answer::Answer;
use super::counters::{Counters, UpstreamStatus};
use super::http::HttpService;
use super::places_service::PlacesService;
use super::resolve::{Resolved, ServicePlan, UpstreamLimits};

/// A named service with its limits and counters.
#[derive(Debug)]
pub(super) struct Upstream {
    node: Arc<str>,
    name: Arc<str>,
    limits: UpstreamLimits,
    /// One permit per request in flight.
    permits: Semaphore,
    counters: Counters,
    service: Service,
}

/// The service behind a name.
#[derive(Debug)]
enum Service {
    Places(PlacesService),
    Http(Box<HttpService>),
    /// Not usable, for instance because its secret is missing.
    Unavailable {
        url: String,
        problem: String,
    },
}

impl Upstream {
    pub(super) fn new(node: &Arc<str>, name: &str, resolved: Resolved) -> Self {
        let Resolved { limits, service } = resolved;
        let name: Arc<str> = name.into();
        let service = match service {
            ServicePlan::Places => Service::Places(PlacesService::new()),
            ServicePlan::Http(plan) => Service::Http(Box::new(HttpService::new(node, name.clone(), *plan, limits))),
            ServicePlan::Unavailable { url, problem } => {
                warn!(%node, upstream = %name, problem, "upstream unavailable");
                Service::Unavailable { url, problem }
            }
        };
        let permits = Semaphore::new(limits.in_flight_max);
        Self { node: Arc::clone(node), name, limits, permits, counters: Counters::default(), service }
    }

    /// See [`super::Upstreams::fetch`].
    pub(super) async fn fetch(&self, request: FetchRequest, deadline: Instant) -> FetchAnswer {
        self.counters.count_request();
        let ended = self.fetch_within_limits(&request, deadline).await;
        self.counters.count_end(ended.as_ref().err().copied());
        match ended {
            Ok(Answer { status, body }) => {
                debug!(node = %self.node, upstream = %self.name, status, body_bytes = body.len(), "upstream answered");
                FetchAnswer::Response { status, body }
            }
            Err(failure) => {
                debug!(node = %self.node, upstream = %self.name, failure = failure.word(), "upstream failed");
                FetchAnswer::Failed(failure)
            }
        }
    }

    async fn fetch_within_limits(&self, request: &FetchRequest, deadline: Instant) -> Result<Answer, Failure> {
        let now = Instant::now();
        let end = deadline.min(now + self.limits.timeout);
        if end <= now {
            return Err(Failure::Timeout);
        }
        let answer = async {
            // Before the permit: requests that wait for the places of a fresh process are no load, and would use up the
            // permits of an upstream that answers each in a tenth of a millisecond.
            if let Service::Places(places) = &self.service {
                places.loaded().await;
            }
            // Refused and not queued: behind a slow upstream a queue would only delay every client.
            let _permit = self.permits.try_acquire().map_err(|_| Failure::Busy)?;
            match &self.service {
                Service::Places(places) => places.fetch(request).await,
                Service::Http(service) => service.fetch(request).await,
                Service::Unavailable { .. } => Err(Failure::Unknown),
            }
        };
        let answer = time::timeout_at(end.into(), answer).await.map_err(|_| Failure::Timeout)??;
        // The HTTP service stops reading at the limit. This check holds answers made in the process to it as well.
        if answer.body.len() > self.limits.body_bytes_max {
            return Err(Failure::TooLarge);
        }
        Ok(answer)
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let (url, problem) = match &self.service {
            Service::Places(_) => (None, None),
            Service::Http(service) => (Some(service.base().as_str().to_owned()), None),
            Service::Unavailable { url, problem } => (Some(url.clone()), Some(problem.clone())),
        };
        UpstreamStatus {
            name: self.name.to_string(),
            url,
            problem,
            requests_total: self.counters.requests_total(),
            answers_total: self.counters.answers_total(),
            failures_total: self.counters.failures_total(),
            in_flight: self.limits.in_flight_max - self.permits.available_permits(),
            in_flight_max: self.limits.in_flight_max,
        }
    }
}
