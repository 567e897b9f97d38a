//! The client side of the admin API, for the command line.

use std::net::SocketAddr;
use std::time::Duration;

use herd_model::{Share, SwapOptions};
use reqwest::StatusCode;
use serde_json::Value;

use super::operator::{self, operator};
use super::promotion::Promotion;
use super::share_options::ShareOptions;
use super::token::Token;

/// Asks nodes of one herd.
pub struct AdminClient {
    http: reqwest::Client,
    token: Token,
}

/// A node did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(reqwest::Error),
    /// Nobody answers there.
    #[error("no answer from {0}; is the node running?")]
    Unreachable(SocketAddr),
    /// The node took the request and did not answer in time. It may still do what was asked.
    #[error("{0} did not answer within {ANSWER_MAX:?}; it may still do it, see herd status")]
    Slow(SocketAddr),
    /// The connection broke before the answer was there. The node may still do what was asked.
    #[error("{0} broke off before it answered; it may have done it, see herd status")]
    Broken(SocketAddr),
    /// The node refused, in its words.
    #[error("{0}")]
    Refused(String),
    /// The node is busy with something else, in its words. Try again.
    #[error("{0}")]
    Busy(String),
    /// Something else answers there.
    #[error("{0} does not speak the admin API")]
    NotAdmin(SocketAddr),
}

impl AdminClient {
    /// A client that brings this token.
    ///
    /// # Errors
    ///
    /// The HTTP client could not be made.
    pub fn new(token: Token) -> Result<Self, AdminClientError> {
        // Only loopback is asked, without TLS; but the client wants a provider to be there.
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

    /// Asks what a node is doing.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn status(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.ask(admin, self.http.get(format!("http://{admin}/v1/status"))).await
    }

    /// Replaces the logic of every node of the herd, asked for at this one.
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
        self.ask(admin, request).await
    }

    /// Has every node of the herd go back to the guest before, asked for at this one.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn herd_roll_back(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.ask(admin, self.http.post(format!("http://{admin}/v1/herd/rollback"))).await
    }

    /// Replaces the logic of a node alone.
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
        self.ask(admin, request).await
    }

    /// Has a node alone go back to its previous generation.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn roll_back(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.ask(admin, self.http.post(format!("http://{admin}/v1/rollback"))).await
    }

    /// Has a guest decide for a share of the sessions of a node.
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
        self.ask(admin, request).await
    }

    /// Has the canary of a node decide for another share of the sessions.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn widen_canary(&self, admin: SocketAddr, share: Share) -> Result<Value, AdminClientError> {
        let request = self.http.post(format!("http://{admin}/v1/canary/share")).query(&[("share", share)]);
        self.ask(admin, request).await
    }

    /// Ends the canary of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn end_canary(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.ask(admin, self.http.delete(format!("http://{admin}/v1/canary"))).await
    }

    /// Replaces the logic of a node, or of the herd, by the canary of that node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn promote_canary(&self, admin: SocketAddr, to: Promotion) -> Result<Value, AdminClientError> {
        let path = match to {
            Promotion::OfTheHerd => "herd/canary",
            Promotion::OfThisNode => "canary",
        };
        self.ask(admin, self.http.post(format!("http://{admin}/v1/{path}/promote"))).await
    }

    /// Has a guest decide a share of the calls of a node too.
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
        self.ask(admin, request).await
    }

    /// Asks what the shadow of a node has found, or the last one.
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
        self.ask(admin, self.http.delete(format!("http://{admin}/v1/shadow"))).await
    }

    async fn ask(&self, admin: SocketAddr, request: reqwest::RequestBuilder) -> Result<Value, AdminClientError> {
        let request = request.header(reqwest::header::AUTHORIZATION, self.token.header());
        let answer = request.header(operator::HEADER, operator()).send().await.map_err(|error| {
            // Only what never got there may be asked of another node.
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

/// Compiling a guest that carries its interpreter takes minutes on a small machine.
const ANSWER_MAX: Duration = Duration::from_secs(300);
