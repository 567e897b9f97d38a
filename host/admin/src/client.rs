//! Client of the admin API, for the command line.
//!
//! Owns the HTTP client and the errors as an operator reads them. Knows nothing of what a swap is: answers are JSON as the
//! node sent it. Bounds: two seconds to connect, [`ANSWER_MAX`] for an answer.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use herd_model::{Share, SwapOptions};
use reqwest::{RequestBuilder, StatusCode, header};
use serde_json::Value;

use super::operator::{self, operator};
use super::promotion::Promotion;
use super::share_options::ShareOptions;
use super::token::Token;

/// Client for the nodes of one herd on this machine.
///
/// No method is cancel safe: the node completes a request that it has received.
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
    http: reqwest::Client,
    token: Token,
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
    /// The node accepted the request and did not answer in time. It may still complete it.
    #[error("{0} did not answer within {ANSWER_MAX:?} and may still complete the request; see herd status")]
    Slow(SocketAddr),
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
        // The API is plain HTTP on loopback, but reqwest refuses to build a client without a TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .connect_timeout(Duration::from_secs(2))
            .timeout(ANSWER_MAX)
            .build()
            .map_err(AdminClientError::Client)?;
        Ok(Self { http, token })
    }

    /// Returns the status of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn status(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.get(format!("http://{admin}/v1/status"))).await
    }

    /// Swaps every node of the herd to a guest. The node at `admin` coordinates.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_swap(
        &self,
        admin: SocketAddr,
        guest: Vec<u8>,
        options: SwapOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/herd/swap")).query(&options).body(guest);
        self.send(admin, request).await
    }

    /// Rolls every node of the herd back to the guest before. The node at `admin` coordinates.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_roll_back(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.post(format!("http://{admin}/v1/herd/rollback"))).await
    }

    /// Swaps one node to a guest.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn swap(
        &self,
        admin: SocketAddr,
        guest: Vec<u8>,
        options: SwapOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/swap")).query(&options).body(guest);
        self.send(admin, request).await
    }

    /// Rolls one node back to its previous generation.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn roll_back(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.post(format!("http://{admin}/v1/rollback"))).await
    }

    /// Starts a guest as the canary of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn canary(
        &self,
        admin: SocketAddr,
        guest: Vec<u8>,
        options: ShareOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/canary")).query(&options).body(guest);
        self.send(admin, request).await
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
        guest: Vec<u8>,
        options: ShareOptions,
    ) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/shadow")).query(&options).body(guest);
        self.send(admin, request).await
    }

    /// Returns the report of the current shadow of a node, or of the last one.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn shadow_report(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.get(format!("http://{admin}/v1/shadow"))).await
    }

    /// Ends the shadow of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn end_shadow(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.delete(format!("http://{admin}/v1/shadow"))).await
    }

    /// Boxed: the crate that awaits an async function compiles it, and every command would compile the HTTP client.
    fn send(&self, admin: SocketAddr, request: RequestBuilder) -> BoxFuture<'_, Result<Value, AdminClientError>> {
        Box::pin(self.exchange(admin, request))
    }

    async fn exchange(&self, admin: SocketAddr, request: RequestBuilder) -> Result<Value, AdminClientError> {
        let request = request.header(header::AUTHORIZATION, self.token.header());
        let answer = request.header(operator::HEADER, operator()).send().await.map_err(|error| {
            // Three cases, because only a request that was never sent may be sent to another node.
            if error.is_connect() {
                AdminClientError::Unreachable(admin)
            } else if error.is_timeout() {
                AdminClientError::Slow(admin)
            } else {
                AdminClientError::Broken(admin)
            }
        })?;
        let status = answer.status();
        let ok = status.is_success();
        let body = answer.bytes().await.map_err(|_| AdminClientError::Broken(admin))?;
        let value: Value = serde_json::from_slice(&body).map_err(|_| AdminClientError::NotAdmin(admin))?;
        if ok {
            return Ok(value);
        }
        Err(match value["error"].as_str() {
            Some(why) if status == StatusCode::SERVICE_UNAVAILABLE => AdminClientError::Busy(why.into()),
            Some(why) => AdminClientError::Refused(why.into()),
            None => AdminClientError::NotAdmin(admin),
        })
    }
}

/// Longest wait for an answer: a guest that contains an interpreter compiles for minutes on a small machine.
const ANSWER_MAX: Duration = Duration::from_secs(300);
