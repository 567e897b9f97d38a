//! The runtime of commands that are clients.

/// A runtime for commands that are clients: one thread does.
pub(super) fn client_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
