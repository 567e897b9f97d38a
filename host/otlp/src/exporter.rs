//! Task that takes spans from the queue of a tracer and posts them to a collector.
//!
//! A collector that is away costs one attempt now and then: after a failure, spans are dropped and counted until the next attempt, and the
//! pauses grow. Nothing is sent twice, and nothing waits for the collector but this task.
//!
//! Bounds: [`SPANS_MAX`] a request, [`GATHER`] until they are sent, [`REQUEST_MAX`] for an answer of which [`ANSWER_BYTES_MAX`] are read,
//! [`PAUSE_MAX`] between attempts.

use std::error::Error;
use std::time::Duration;

use herd_sys::{Span, SpanQueue};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::encoding::{self, Response};
use crate::otlp_url::OtlpUrl;
use crate::resource::Resource;

/// Client of a collector, for the spans of one node.
pub struct Exporter {
    client: Client,
    url: Url,
    resource: Resource,
    outage: Option<Outage>,
}

/// The HTTP client cannot be built. The host is at fault.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the collector of traces; are root certificates installed?")]
pub struct ExporterError(#[source] reqwest::Error);

/// Time in which the collector takes no spans.
struct Outage {
    pause: Duration,
    next_attempt: Instant,
    dropped: u64,
}

impl Exporter {
    /// Creates a client that connects when the first spans come.
    ///
    /// # Errors
    ///
    /// See [`ExporterError`].
    pub fn new(url: &OtlpUrl, resource: Resource) -> Result<Self, ExporterError> {
        // Fails if another part of the process has installed a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("herd/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .pool_max_idle_per_host(1);
        if url.is_loopback() {
            builder = builder.no_proxy();
        }
        builder = match url.is_https() {
            true => builder.https_only(true),
            // Without an explicit list the client fails on a host without root certificates, even for plain HTTP.
            false => builder.tls_certs_only([]),
        };
        let client = builder.build().map_err(ExporterError)?;
        Ok(Self { client, url: url.url(), resource, outage: None })
    }

    /// Exports spans until `stopping`, and then those that wait in the queue. The caller bounds the time of that. Cancel safe: the spans of a
    /// request under way may be lost.
    pub async fn run(mut self, mut queue: SpanQueue, stopping: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                first = queue.spans.recv() => first,
            };
            let Some(mut spans) = first else { return };
            let gather = async {
                while spans.len() < SPANS_MAX
                    && let Some(more) = queue.spans.recv().await
                {
                    spans.extend(more);
                }
            };
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                _ = timeout(GATHER, gather) => {}
            }
            self.export(&queue, spans).await;
        }
        // One more attempt, also in an outage: there will be no other.
        self.outage.iter_mut().for_each(|outage| outage.next_attempt = Instant::now());
        let mut rest = Vec::new();
        while let Ok(spans) = queue.spans.try_recv() {
            rest.extend(spans);
            if rest.len() >= SPANS_MAX {
                self.export(&queue, std::mem::take(&mut rest)).await;
            }
        }
        if !rest.is_empty() {
            self.export(&queue, rest).await;
        }
    }

    /// Sends spans, or drops and counts them.
    async fn export(&mut self, queue: &SpanQueue, spans: Vec<Span>) {
        let count = spans.len() as u64;
        if let Some(outage) = self.outage.as_mut().filter(|outage| Instant::now() < outage.next_attempt) {
            outage.dropped += count;
            return queue.not_exported(count);
        }
        let body = encoding::request(&self.resource, &spans);
        drop(spans);
        match self.post(body).await {
            Ok(rejected) => {
                queue.exported(count, rejected);
                if let Some(Outage { dropped, .. }) = self.outage.take() {
                    tracing::info!(node = %self.resource.node, dropped, "the collector takes spans again");
                }
            }
            Err(error) => {
                queue.not_exported(count);
                // Once for each outage.
                if self.outage.is_none() {
                    tracing::warn!(node = %self.resource.node, %error, "the collector does not take spans, they are dropped");
                }
                let before = self.outage.take();
                let pause = before.as_ref().map_or(PAUSE_MIN, |outage| (outage.pause * 2).min(PAUSE_MAX));
                let dropped = before.map_or(0, |outage| outage.dropped) + count;
                self.outage = Some(Outage { pause, next_attempt: Instant::now() + pause, dropped });
            }
        }
    }

    /// Posts a request, and returns how many of its spans the collector refused.
    ///
    /// # Errors
    ///
    /// The reason why it took none of them, or gave no answer that says so.
    async fn post(&self, body: Vec<u8>) -> Result<u64, String> {
        let json = HeaderValue::from_static("application/json");
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, json).body(body);
        let mut response = request.send().await.map_err(causes)?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("HTTP status {}", status.as_u16()));
        }
        let mut answer = Vec::new();
        while answer.len() < ANSWER_BYTES_MAX
            && let Some(chunk) = response.chunk().await.map_err(causes)?
        {
            answer.extend_from_slice(&chunk);
        }
        Ok(Response::rejected(&answer))
    }
}

/// Returns the innermost cause: those above it repeat the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".into() } else { cause.to_string() }
}

/// Spans at which a request is sent: some half a megabyte.
const SPANS_MAX: usize = 2048;
/// Time for which spans are gathered for a request.
const GATHER: Duration = Duration::from_secs(1);
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read: a number and a message.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Pause after the first failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);
