//! Client of the admin API, for the command line.
//!
//! Owns the HTTP client and the errors as an operator reads them. Knows nothing of what a swap is: answers are JSON as the
//! node sent it.
//!
//! Bounds: [`SIGN_MAX`] to connect, and again for the first sign of the node: a process that is stopped still
//! accepts connections, because the system does that for it. A question that changes nothing has to be answered within that
//! time. A request that changes something is sent only after `/livez` was answered within it, and may then take [`ANSWER_MAX`], while the
//! node gives signs.
//! So a node without a sign has received no request, and another may be asked in its place.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use herd_model::{GuestFiles, RollbackOptions, Share, SwapOptions};
use reqwest::{RequestBuilder, StatusCode, header};
use serde_json::Value;

use super::guest_body::attach;
use super::operator::{self, operator};
use super::promotion::Promotion;
use super::running;
use super::share_options::ShareOptions;
use super::token::Token;

/// Client for the nodes of one herd on this machine.
///
/// No method is cancel safe: a node may complete a request whose future was dropped. Swaps and rollbacks are withdrawn then, and
/// take effect only if that comes too late.
///
/// ```
/// use herd_admin::{AdminClient, AdminClientError, Token};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let state = tempfile::tempdir()?;
/// # runtime.block_on(async {
/// let client = AdminClient::new(Token::read_or_create(state.path())?)?;
/// // No node listens on this port.
/// let answer = client.status("127.0.0.1:1".parse()?).await;
/// assert!(matches!(answer, Err(AdminClientError::Unreachable(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AdminClient {
    pub(super) http: reqwest::Client,
    token: Token,
    /// [`SIGN_MAX`], but in tests.
    sign_max: Duration,
    /// Number of this client's requests, with which it withdraws them.
    number: u64,
}

/// A request failed. Unless a variant says otherwise, the node changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The HTTP client cannot be created.
    #[error("cannot create an HTTP client: {0}")]
    Client(reqwest::Error),
    /// No connection. The request was not sent, so another node may be asked in its place.
    #[error("no answer from {0}; is the node running?")]
    Unreachable(SocketAddr),
    /// A connection, but no sign of the node in time: its process is stopped, or has no processor time. Nothing was sent that
    /// changes the node, so another node may be asked in its place.
    #[error("no answer from {0} within {SIGN_MAX:?}; is its process stopped or overloaded?")]
    Silent(SocketAddr),
    /// The node has another token. Holds the file from which that of this client was read.
    #[error("token refused; read from {}", .0.display())]
    TokenRefused(PathBuf),
    /// The node accepted the request and did not answer in time. It may still complete it.
    #[error("{0} did not answer within {ANSWER_MAX:?} and may still complete the request; see herd status")]
    Slow(SocketAddr),
    /// The node accepted the request, and has given no sign since then. It may still complete it.
    #[error("{0} accepted the request and gives no sign any more; it may still complete it; see herd status")]
    Stalled(SocketAddr),
    /// The connection broke before the answer was complete. The node may have completed the request.
    #[error("{0} closed the connection before it answered and may have completed the request; see herd status")]
    Broken(SocketAddr),
    /// The node refused the request, with its reason. A retry does not help.
    #[error("{0}")]
    Refused(String),
    /// The node is busy with another operation, with its reason. A retry may succeed.
    #[error("{0}")]
    Busy(String),
    /// The answer is not that of an admin API: another program has the port.
    #[error("{0} does not speak the admin API")]
    NotAdmin(SocketAddr),
}

impl AdminClient {
    /// Creates a client that authorises its requests with a token.
    ///
    /// # Errors
    ///
    /// [`AdminClientError::Client`].
    pub fn new(token: Token) -> Result<Self, AdminClientError> {
        Self::with_sign_max(token, SIGN_MAX)
    }

    /// Creates a client that waits this long for a connection and for the first sign of a node.
    pub(super) fn with_sign_max(token: Token, sign_max: Duration) -> Result<Self, AdminClientError> {
        // The API is plain HTTP on loopback, but reqwest refuses to build a client without a TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .connect_timeout(sign_max)
            .build()
            .map_err(AdminClientError::Client)?;
        Ok(Self { http, token, sign_max, number: rand::random() })
    }

    /// Returns the status of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn status(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.ask(admin, self.http.get(format!("http://{admin}/v1/status"))).await
    }

    /// Swaps every node of the herd to a guest. The node at `admin` coordinates.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_swap(
        &self,
        admin: SocketAddr,
        files: GuestFiles<'_>,
        options: SwapOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/herd/swap")).query(&options);
        self.send(admin, attach(request, files)).await
    }

    /// Rolls every node of the herd back to the guest before, and may discard what nodes kept since. The node at `admin` coordinates.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_roll_back(&self, admin: SocketAddr, options: RollbackOptions) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.post(format!("http://{admin}/v1/herd/rollback")).query(&options)).await
    }

    /// Withdraws the swaps and rollbacks of this client that a node is carrying out. The answer to each says whether that came
    /// in time.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`]. [`Refused`](AdminClientError::Refused) if the node carries out none.
    pub async fn withdraw(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.delete(format!("http://{admin}/v1/requests/{}", self.number))).await
    }

    /// Swaps one node to a guest.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn swap(
        &self,
        admin: SocketAddr,
        files: GuestFiles<'_>,
        options: SwapOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/swap")).query(&options);
        self.send(admin, attach(request, files)).await
    }

    /// Rolls one node back to its previous generation, and may discard what it kept since.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn roll_back(&self, admin: SocketAddr, options: RollbackOptions) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.post(format!("http://{admin}/v1/rollback")).query(&options)).await
    }

    /// Starts a guest as the canary of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn canary(
        &self,
        admin: SocketAddr,
        files: GuestFiles<'_>,
        options: ShareOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/canary")).query(&options);
        self.send(admin, attach(request, files)).await
    }

    /// Changes the share of sessions for which the canary of a node decides.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn widen_canary(&self, admin: SocketAddr, share: Share) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/canary/share")).query(&[("share", share)]);
        self.send(admin, request).await
    }

    /// Ends the canary of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn end_canary(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.delete(format!("http://{admin}/v1/canary"))).await
    }

    /// Swaps a node, or its herd, to the canary of that node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn promote_canary(&self, admin: SocketAddr, to: Promotion) -> Result<Value, AdminClientError> {
        let path = match to {
            Promotion::OfTheHerd => "herd/canary",
            Promotion::OfThisNode => "canary",
        };
        self.send(admin, self.http.post(format!("http://{admin}/v1/{path}/promote"))).await
    }

    /// Starts a guest as the shadow of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn shadow(
        &self,
        admin: SocketAddr,
        files: GuestFiles<'_>,
        options: ShareOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/shadow")).query(&options);
        self.send(admin, attach(request, files)).await
    }

    /// Returns the report of the current shadow of a node, or of the last one.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn shadow_report(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.ask(admin, self.http.get(format!("http://{admin}/v1/shadow"))).await
    }

    /// Ends the shadow of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn end_shadow(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.delete(format!("http://{admin}/v1/shadow"))).await
    }

    /// Sends a question, which changes nothing.
    ///
    /// Boxed, as [`send`](Self::send): the crate that awaits an async function compiles it, and every command would compile the
    /// HTTP client.
    fn ask(&self, admin: SocketAddr, request: RequestBuilder) -> BoxFuture<'_, Result<Value, AdminClientError>> {
        Box::pin(async move {
            match self.exchange(admin, request.timeout(self.sign_max)).await {
                Err(AdminClientError::Slow(_)) => Err(AdminClientError::Silent(admin)),
                answer => answer,
            }
        })
    }

    /// Sends a request that changes something, once the node has given a sign.
    pub(super) fn send(
        &self,
        admin: SocketAddr,
        request: RequestBuilder,
    ) -> BoxFuture<'_, Result<Value, AdminClientError>> {
        Box::pin(async move {
            self.await_sign(admin).await?;
            tokio::select! {
                biased;
                answer = self.exchange(admin, request.timeout(ANSWER_MAX)) => answer,
                () = self.await_silence(admin) => Err(AdminClientError::Stalled(admin)),
            }
        })
    }

    /// Waits until a node has given no sign several times in a row: an operator should not wait for minutes for a process that was
    /// stopped during the request. A node that compiles for minutes still gives signs.
    async fn await_silence(&self, admin: SocketAddr) {
        let mut missed = 0;
        while missed < SIGNS_MISSED_MAX {
            tokio::time::sleep(self.sign_max).await;
            missed = if self.await_sign(admin).await.is_ok() { 0 } else { missed + 1 };
        }
    }

    /// Waits until the process of a node answers. It reads what it has accepted in order, so a request that is sent now does not
    /// wait in a socket until somebody resumes the process.
    async fn await_sign(&self, admin: SocketAddr) -> Result<(), AdminClientError> {
        let sign = self.http.get(format!("http://{admin}/livez")).timeout(self.sign_max).send().await;
        match sign {
            Ok(_) => Ok(()),
            Err(error) if error.is_timeout() => Err(AdminClientError::Silent(admin)),
            // No connection, or one that broke before anything was asked for.
            Err(_) => Err(AdminClientError::Unreachable(admin)),
        }
    }

    async fn exchange(&self, admin: SocketAddr, request: RequestBuilder) -> Result<Value, AdminClientError> {
        let request = request.header(header::AUTHORIZATION, self.token.header()).header(running::HEADER, self.number);
        // Distinguished, because only a request that was never sent may be sent to another node.
        let failed = |error: reqwest::Error| {
            if error.is_connect() {
                AdminClientError::Unreachable(admin)
            } else if error.is_timeout() {
                AdminClientError::Slow(admin)
            } else {
                AdminClientError::Broken(admin)
            }
        };
        let answer = request.header(operator::HEADER, operator()).send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        let value: Value = serde_json::from_slice(&body).map_err(|_| AdminClientError::NotAdmin(admin))?;
        if status.is_success() {
            return Ok(value);
        }
        Err(match value["error"].as_str() {
            Some(_) if status == StatusCode::UNAUTHORIZED => AdminClientError::TokenRefused(self.token.path().into()),
            Some(why) if status == StatusCode::SERVICE_UNAVAILABLE => AdminClientError::Busy(why.into()),
            Some(why) => AdminClientError::Refused(why.into()),
            None => AdminClientError::NotAdmin(admin),
        })
    }
}

/// Longest wait for a connection, and for the first sign of a node: a node that runs answers within milliseconds, and an
/// operator should not wait long for one that does not.
const SIGN_MAX: Duration = Duration::from_secs(2);
/// Signs missed in a row until a request is given up: more than one, because a busy machine may delay one.
const SIGNS_MISSED_MAX: u32 = 4;
/// Longest wait for an answer: a guest that contains an interpreter compiles for minutes on a small machine.
const ANSWER_MAX: Duration = Duration::from_secs(300);
