//! Runtime of commands that are clients.

/// Creates a runtime with one thread, which is enough for a client.
pub(super) fn client_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
