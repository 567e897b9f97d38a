//! Requests about records, of the client of the admin API.
//!
//! All of them may take long: a list reads the whole table of a node.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::client::AdminClient;
use super::client_error::AdminClientError;
use super::endpoint::Endpoint;
use super::hex_bytes::HexBytes;
use super::records_options::{DirectoryOptions, KeyOptions, PageOptions};
use super::trace_options::TraceOptions;

impl AdminClient {
    /// Forgets a key at every node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn forget(&self, node: &Endpoint, key: &[u8]) -> Result<Value, AdminClientError> {
        let options = KeyOptions { key: HexBytes(key.into()) };
        self.send_options(node, "/v1/records/forget", &options).await
    }

    /// Returns a page of the records of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn records(&self, node: &Endpoint, page: &PageOptions) -> Result<Value, AdminClientError> {
        self.send_options(node, "/v1/records/list", page).await
    }

    /// Returns what a node knows of a report.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn trace(&self, node: &Endpoint, options: &TraceOptions) -> Result<Value, AdminClientError> {
        self.send_options(node, "/v1/records/trace", options).await
    }

    /// Has a node write a copy of its records into a directory on its machine.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn back_up(&self, node: &Endpoint, directory: &Path) -> Result<Value, AdminClientError> {
        let options = DirectoryOptions { directory: directory.into() };
        self.send_options(node, "/v1/records/backup", &options).await
    }

    /// Has a node read such a directory on its machine, and keep the records that are newer than its own.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn restore(&self, node: &Endpoint, directory: &Path) -> Result<Value, AdminClientError> {
        let options = DirectoryOptions { directory: directory.into() };
        self.send_options(node, "/v1/records/restore", &options).await
    }

    /// Has a node prove over each of its links that both ends hold equal records.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn prove(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.send(node, self.http.post(node.url("/v1/records/prove"))).await
    }

    /// Sends a request with options in its body.
    pub(super) async fn send_options(
        &self,
        node: &Endpoint,
        path: &str,
        options: &impl Serialize,
    ) -> Result<Value, AdminClientError> {
        let body = serde_json::to_vec(options).expect("options are text and numbers");
        self.send(node, self.http.post(node.url(path)).body(body)).await
    }
}
