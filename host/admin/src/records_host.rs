//! Port of the admin API to the records of the node.
//!
//! Owns only the trait. Knows nothing of HTTP.

use std::path::Path;

use serde_json::Value;

use super::host::Refusal;
use super::records_options::PageOptions;

/// Operations on the records of a node, for its operators.
///
/// Every method may block and is called on a thread where it may. `operator` names the requester for the log. Answers are JSON objects.
pub trait RecordsHost: Send + Sync + 'static {
    /// Forgets a key at every node, and returns for how long that is remembered.
    ///
    /// # Errors
    ///
    /// The log cannot be written, and nothing changed; or it did not confirm in time.
    fn forget(&self, key: &[u8], operator: &str) -> Result<Value, Refusal>;

    /// Returns a page of the records, in the order of their keys.
    ///
    /// # Errors
    ///
    /// None of its own.
    fn list(&self, page: &PageOptions) -> Result<Value, Refusal>;

    /// Writes a consistent copy of the records into an empty or new directory.
    ///
    /// # Errors
    ///
    /// The path is not absolute, the directory is not empty, or its disk fails.
    fn back_up(&self, directory: &Path, operator: &str) -> Result<Value, Refusal>;

    /// Offers the records of such a directory to the node, and returns how many won.
    ///
    /// # Errors
    ///
    /// The path is not absolute, the directory cannot be read or has no records, and nothing changed; or the log cannot be written,
    /// and a part of the records was restored.
    fn restore(&self, directory: &Path, operator: &str) -> Result<Value, Refusal>;

    /// Asks all links to prove now that both nodes hold equal records, and to mend where they do not. Returns the outcome of each link,
    /// within a bounded time.
    ///
    /// # Errors
    ///
    /// None of its own.
    fn prove(&self) -> Result<Value, Refusal>;
}
