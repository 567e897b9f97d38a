//! Ctrl-c while a node carries out a swap or a rollback: the command withdraws it, and says whether that came in time.
//!
//! Knows nothing of what the request is. Bounds: [`ANSWER_MAX`] for the answer after ctrl-c; a second ctrl-c skips the wait.

use std::fmt;
use std::pin::pin;
use std::process::exit;
use std::time::Duration;

use herd_admin::{AdminClient, AdminClientError, Endpoint};
use serde_json::Value;

use super::signals::Signals;

/// A request that changes what serves, and that can be withdrawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// A swap.
    Swap,
    /// A rollback.
    Rollback,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swap => "swap",
            Self::Rollback => "rollback",
        })
    }
}

/// Waits for the answer to a request for a change. At ctrl-c or SIGTERM it is withdrawn, and the answer that follows says whether
/// it has committed before. Without an answer the process ends and says where the change may go on.
pub(super) async fn cancel_on_signal(
    client: &AdminClient,
    endpoint: &Endpoint,
    change: Change,
    request: impl Future<Output = Result<Value, AdminClientError>>,
) -> Result<Value, AdminClientError> {
    // Without a handler the signals end the process, as they do for every other command.
    let Ok(mut signals) = Signals::new() else { return request.await };
    let mut request = pin!(request);
    tokio::select! {
        answer = &mut request => return answer,
        () = signals.next() => {}
    }
    let node = endpoint.node();
    eprintln!("herd: cancelling the {change} at {node}; ctrl-c again ends this command at once");
    let withdraw = async {
        // A node that does not know the request yet drops it when its connection ends with this process.
        let _ = client.withdraw(endpoint).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = &mut request => {
            if answer.is_ok() {
                eprintln!("herd: too late to cancel: the {change} had committed; herd rollback undoes it");
            }
            return answer;
        }
        () = withdraw => {}
        () = signals.next() => {}
        () = tokio::time::sleep(ANSWER_MAX) => {}
    }
    eprintln!(
        "herd: {node} has not answered: if the {change} had committed, it goes on there; herd status shows it, herd rollback undoes it"
    );
    exit(INTERRUPTED)
}

/// Longest wait for the answer after ctrl-c. A change that has committed is answered within a second on a healthy herd.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Exit code of a command that SIGINT ended, as shells report it.
const INTERRUPTED: i32 = 130;
