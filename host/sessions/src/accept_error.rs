//! Errors of accepting, which a listener survives.
//!
//! Bounds: one line a second in the log, for all listeners and nodes of the process, which run out of descriptors together.

use std::io;
use std::time::Duration;

use herd_sys::{LogThrottle, clock};

/// Handles an error of `accept` on the port of a node: logs and waits if the node cannot accept. Cancel safe.
pub(crate) async fn survive_accept_error(node: &str, error: &io::Error) {
    if is_connection_error(error) {
        return;
    }
    // Out of file descriptors or memory. Open sessions go on. The connection stays in the backlog, so without a pause the loop
    // would spin.
    if let Some(suppressed) = ACCEPT_ERRORS.admit(clock::unix_now()) {
        tracing::error!(%node, %error, suppressed, "cannot accept clients, retrying");
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Returns true for errors of the connection that was to be accepted. The listener itself is sound.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

static ACCEPT_ERRORS: LogThrottle = LogThrottle::new(1);
/// Pause after an error of the listener.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
