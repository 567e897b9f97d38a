//! Runtime of commands that are clients.

use futures_util::future::LocalBoxFuture;

/// Creates a runtime with one thread, which is enough for a client.
pub(super) fn client_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Runs a future to its end on a runtime of its own. Boxed, so that the scheduler is compiled once and not for every command.
pub(super) fn block_on<T>(future: LocalBoxFuture<'_, T>) -> std::io::Result<T> {
    let runtime = client_runtime()?;
    let result = runtime.block_on(future);
    // A look-up of a name that the system has not given up yet must not delay the exit.
    runtime.shutdown_background();
    Ok(result)
}
