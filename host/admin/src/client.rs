//! Client of the admin API, for the command line.
//!
//! Owns the HTTP client. Knows nothing of what a swap is: answers are JSON as the
//! node sent it. How a node is reached, and with what proof, is that of its [`Endpoint`].
//!
//! Bounds: [`SIGN_MAX`] to connect, and again for the first sign of the node: a process that is stopped still
//! accepts connections, because the system does that for it. A question that changes nothing has to be answered within that
//! time. A request that changes something is sent only after `/livez` was answered within it, and may then take [`ANSWER_MAX`], while the
//! node gives signs.
//! So a node without a sign has received no request, and another may be asked in its place.

use std::time::Duration;

use futures_util::future::BoxFuture;
use herd_model::{GuestFiles, RollbackOptions, Share, SwapOptions};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::client_error::{ANSWER_MAX, AdminClientError, SIGN_MAX};
use super::endpoint::Endpoint;
use super::guest_body::attach;
use super::operator::{self, operator};
use super::promotion::Promotion;
use super::running;
use super::share_options::ShareOptions;
use super::transport::{Answer, ExchangeError, STATUS_PATH, exchange};

/// Client for the nodes of a herd.
///
/// No method is cancel safe: a node may complete a request whose future was dropped. Swaps and rollbacks are withdrawn then, and
/// take effect only if that comes too late.
///
/// ```
/// use herd_admin::{AdminClient, AdminClientError, Endpoint};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let state = tempfile::tempdir()?;
/// # runtime.block_on(async {
/// let client = AdminClient::new()?;
/// // No node runs in this state directory.
/// let answer = client.status(&Endpoint::socket("Riley", &state.path().join("herd"))).await;
/// assert!(matches!(answer, Err(AdminClientError::NoSocket { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AdminClient {
    pub(super) http: reqwest::Client,
    /// [`SIGN_MAX`], but in tests.
    sign_max: Duration,
    /// Number of this client's requests, with which it withdraws them.
    number: u64,
}

impl AdminClient {
    /// Creates a client.
    ///
    /// # Errors
    ///
    /// [`AdminClientError::Client`].
    pub fn new() -> Result<Self, AdminClientError> {
        Self::with_sign_max(SIGN_MAX)
    }

    /// Creates a client that waits this long for a connection and for the first sign of a node.
    pub(super) fn with_sign_max(sign_max: Duration) -> Result<Self, AdminClientError> {
        // The API is plain HTTP on loopback, but reqwest refuses to build a client without a TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .connect_timeout(sign_max)
            // A node ends connections on which nothing is asked, and one that was kept could end while a request is on its way.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(AdminClientError::Client)?;
        Ok(Self { http, sign_max, number: rand::random() })
    }

    /// Returns the status of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn status(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.ask(node, self.http.get(node.url(STATUS_PATH))).await
    }

    /// Returns the status of every node of the herd, as a node of this machine collects it: under the name of each node `{"status": ...}`,
    /// or `{"error": "...", "down": ...}`.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_status(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        // The node gives each of the others the time that it has itself here, and may have to wait for its turn.
        self.ask_within(node, self.http.get(node.url("/v1/herd/status")), self.sign_max * 3).await
    }

    /// Swaps every node of the herd to a guest. This node coordinates.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_swap(
        &self,
        node: &Endpoint,
        files: GuestFiles<'_>,
        options: SwapOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(node.url("/v1/herd/swap")).query(&options);
        self.send(node, attach(request, files)).await
    }

    /// Rolls every node of the herd back to the guest before, and may discard what nodes kept since. This node coordinates.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_roll_back(&self, node: &Endpoint, options: RollbackOptions) -> Result<Value, AdminClientError> {
        self.send(node, self.http.post(node.url("/v1/herd/rollback")).query(&options)).await
    }

    /// Withdraws the swaps and rollbacks of this client that a node is carrying out. The answer to each says whether that came
    /// in time.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`]. [`Refused`](AdminClientError::Refused) if the node carries out none.
    pub async fn withdraw(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.send(node, self.http.delete(node.url(&format!("/v1/requests/{}", self.number)))).await
    }

    /// Swaps one node to a guest.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn swap(
        &self,
        node: &Endpoint,
        files: GuestFiles<'_>,
        options: SwapOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(node.url("/v1/swap")).query(&options);
        self.send(node, attach(request, files)).await
    }

    /// Rolls one node back to its previous generation, and may discard what it kept since.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn roll_back(&self, node: &Endpoint, options: RollbackOptions) -> Result<Value, AdminClientError> {
        self.send(node, self.http.post(node.url("/v1/rollback")).query(&options)).await
    }

    /// Starts a guest as the canary of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn canary(
        &self,
        node: &Endpoint,
        files: GuestFiles<'_>,
        options: ShareOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(node.url("/v1/canary")).query(&options);
        self.send(node, attach(request, files)).await
    }

    /// Changes the share of sessions for which the canary of a node decides.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn widen_canary(&self, node: &Endpoint, share: Share) -> Result<Value, AdminClientError> {
        let request = self.http.post(node.url("/v1/canary/share")).query(&[("share", share)]);
        self.send(node, request).await
    }

    /// Ends the canary of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn end_canary(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.send(node, self.http.delete(node.url("/v1/canary"))).await
    }

    /// Swaps a node, or its herd, to the canary of that node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn promote_canary(&self, node: &Endpoint, to: Promotion) -> Result<Value, AdminClientError> {
        let path = match to {
            Promotion::OfTheHerd => "herd/canary",
            Promotion::OfThisNode => "canary",
        };
        self.send(node, self.http.post(node.url(&format!("/v1/{path}/promote")))).await
    }

    /// Starts a guest as the shadow of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn shadow(
        &self,
        node: &Endpoint,
        files: GuestFiles<'_>,
        options: ShareOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(node.url("/v1/shadow")).query(&options);
        self.send(node, attach(request, files)).await
    }

    /// Returns the report of the current shadow of a node, or of the last one.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn shadow_report(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.ask(node, self.http.get(node.url("/v1/shadow"))).await
    }

    /// Ends the shadow of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn end_shadow(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.send(node, self.http.delete(node.url("/v1/shadow"))).await
    }

    /// Sends a question, which changes nothing.
    ///
    /// Boxed, as [`send`](Self::send): the crate that awaits an async function compiles it, and every command would compile the
    /// HTTP client.
    pub(super) fn ask<'a>(
        &'a self,
        node: &'a Endpoint,
        request: RequestBuilder,
    ) -> BoxFuture<'a, Result<Value, AdminClientError>> {
        self.ask_within(node, request, self.sign_max)
    }

    fn ask_within<'a>(
        &'a self,
        node: &'a Endpoint,
        request: RequestBuilder,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Value, AdminClientError>> {
        Box::pin(async move {
            match self.exchange(node, request.timeout(limit)).await {
                Err(AdminClientError::Slow(node)) => Err(AdminClientError::Silent { node, waited: limit }),
                answer => answer,
            }
        })
    }

    /// Sends a request that changes something, once the node has given a sign.
    pub(super) fn send<'a>(
        &'a self,
        node: &'a Endpoint,
        request: RequestBuilder,
    ) -> BoxFuture<'a, Result<Value, AdminClientError>> {
        Box::pin(async move {
            self.await_sign(node).await?;
            tokio::select! {
                biased;
                answer = self.exchange(node, request.timeout(ANSWER_MAX)) => answer,
                () = self.await_silence(node) => Err(AdminClientError::Stalled(node.to_string())),
            }
        })
    }

    /// Waits until a node has given no sign several times in a row: an operator should not wait for minutes for a process that was
    /// stopped during the request. A node that compiles for minutes still gives signs.
    async fn await_silence(&self, node: &Endpoint) {
        let mut missed = 0;
        while missed < SIGNS_MISSED_MAX {
            tokio::time::sleep(self.sign_max).await;
            missed = if self.await_sign(node).await.is_ok() { 0 } else { missed + 1 };
        }
    }

    /// Waits until the process of a node answers. It reads what it has accepted in order, so a request that is sent now does not
    /// wait in a socket until somebody resumes the process.
    async fn await_sign(&self, node: &Endpoint) -> Result<(), AdminClientError> {
        let request = self.http.get(node.url("/livez")).timeout(self.sign_max);
        match exchange(node, request).await {
            // Over the socket and the link port the node looks at who asks before it reads more, and a long body would break the
            // connection.
            Ok(Answer { status: StatusCode::FORBIDDEN, body }) => Err(refused(node, StatusCode::FORBIDDEN, &body)),
            Ok(_) => Ok(()),
            Err(ExchangeError::NotSent(error)) => Err(error),
            Err(ExchangeError::TimedOut) => {
                Err(AdminClientError::Silent { node: node.to_string(), waited: self.sign_max })
            }
            // It broke before anything was asked for.
            Err(ExchangeError::Broken) => Err(AdminClientError::Unreachable(node.to_string())),
        }
    }

    async fn exchange(&self, node: &Endpoint, request: RequestBuilder) -> Result<Value, AdminClientError> {
        let request = request.header(running::HEADER, self.number).header(operator::HEADER, operator());
        // Distinguished, because only a request that was never sent may be sent to another node.
        let Answer { status, body } = exchange(node, node.authorise(request)).await.map_err(|error| match error {
            ExchangeError::NotSent(error) => error,
            ExchangeError::TimedOut => AdminClientError::Slow(node.to_string()),
            ExchangeError::Broken => AdminClientError::Broken(node.to_string()),
        })?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| AdminClientError::NotAdmin(node.to_string()));
        }
        Err(refused(node, status, &body))
    }
}

/// Reads the reason of a refusal.
fn refused(node: &Endpoint, status: StatusCode, body: &[u8]) -> AdminClientError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match value["error"].as_str() {
        Some(_) if status == StatusCode::UNAUTHORIZED => AdminClientError::TokenRefused(node.token_file()),
        Some(why) if status == StatusCode::SERVICE_UNAVAILABLE => AdminClientError::Busy(why.into()),
        Some(why) => AdminClientError::Refused(why.into()),
        None => AdminClientError::NotAdmin(node.to_string()),
    }
}

/// Signs missed in a row until a request is given up: more than one, because a busy machine may delay one.
const SIGNS_MISSED_MAX: u32 = 4;
