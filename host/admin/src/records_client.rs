//! Requests about records, of the client of the admin API.
//!
//! All of them may take long: a list reads the whole table of a node.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::client::{AdminClient, AdminClientError};
use super::hex_bytes::HexBytes;
use super::records_options::{DirectoryOptions, KeyOptions, PageOptions};

impl AdminClient {
    /// Forgets a key at every node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn forget(&self, admin: SocketAddr, key: &[u8]) -> Result<Value, AdminClientError> {
        let options = KeyOptions { key: HexBytes(key.into()) };
        self.send_options(admin, "/v1/records/forget", &options).await
    }

    /// Returns a page of the records of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn records(&self, admin: SocketAddr, page: &PageOptions) -> Result<Value, AdminClientError> {
        self.send_options(admin, "/v1/records/list", page).await
    }

    /// Has a node write a copy of its records into a directory on its machine.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn back_up(&self, admin: SocketAddr, directory: &Path) -> Result<Value, AdminClientError> {
        let options = DirectoryOptions { directory: directory.into() };
        self.send_options(admin, "/v1/records/backup", &options).await
    }

    /// Has a node read such a directory on its machine, and keep the records that are newer than its own.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn restore(&self, admin: SocketAddr, directory: &Path) -> Result<Value, AdminClientError> {
        let options = DirectoryOptions { directory: directory.into() };
        self.send_options(admin, "/v1/records/restore", &options).await
    }

    /// Has a node prove over each of its links that both ends hold equal records.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn prove(&self, admin: SocketAddr) -> Result<Value, AdminClientError> {
        self.send(admin, self.http.post(format!("http://{admin}/v1/records/prove"))).await
    }

    async fn send_options(
        &self,
        admin: SocketAddr,
        path: &str,
        options: &impl Serialize,
    ) -> Result<Value, AdminClientError> {
        let body = serde_json::to_vec(options).expect("options are text and numbers");
        self.send(admin, self.http.post(format!("http://{admin}{path}")).body(body)).await
    }
}
