//! Node: its address, the calls that wait for it, and the task that connects and carries them.
//!
//! Bounds: the queue of calls, one connection or attempt to connect at a time, a pause after a failed one.

use std::sync::Arc;
use std::time::Duration;

use herd_sys::{HostPort, connect};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::call::{Call, Loss, Progress};
use crate::connection::Connection;
use crate::error::NodeFailure;
use crate::options::Options;
use crate::stream::NodeStream;

/// Node of a client.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: HostPort,
    pub(crate) calls: Sender<Call>,
    task: JoinHandle<()>,
}

impl Node {
    /// Begins the task of a node. It connects with the first call.
    pub(crate) fn new(address: HostPort, options: Arc<Options>) -> Self {
        // Full: callers wait, in the time of their calls.
        let (calls, waiting) = channel(options.queue_max);
        let task = tokio::spawn(carry(address.clone(), options, waiting));
        Self { address, calls, task }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects whenever a call waits, and carries calls until the client has gone.
async fn carry(address: HostPort, options: Arc<Options>, mut calls: Receiver<Call>) {
    let mut pause = PAUSE_MIN;
    // The last failure to connect, and until when no other attempt is made.
    let mut down: Option<(Arc<NodeFailure>, Instant)> = None;
    let mut connection: Option<Connection> = None;
    loop {
        if let Some(connected) = &mut connection {
            let Some(_) = connected.serve(&mut calls).await else { return };
            connection = None;
            continue;
        }
        let Some(call) = calls.recv().await else { return };
        let failure = match &down {
            Some((failure, until)) if Instant::now() < *until => Arc::clone(failure),
            _ => match open(&address, &options).await {
                Ok(stream) => {
                    (pause, down) = (PAUSE_MIN, None);
                    let connected = Connection::new(stream, options.token.as_deref(), options.answer_timeout);
                    connection = Some(connected.carrying(call));
                    continue;
                }
                Err(failure) => {
                    let failure = Arc::new(failure);
                    down = Some((Arc::clone(&failure), Instant::now() + pause));
                    pause = (pause * 2).min(PAUSE_MAX);
                    failure
                }
            },
        };
        // All that wait, so that they need not wait longer for a node that is away.
        let waiting = std::iter::once(call).chain(std::iter::from_fn(|| calls.try_recv().ok()));
        for call in waiting.take(options.queue_max) {
            let _ = call.answer.send(Err(Loss { failure: Arc::clone(&failure), progress: Progress::Unsent }));
        }
    }
}

/// Opens a connection to a node, with TLS if there are settings for it. Cancel safe.
///
/// # Errors
///
/// The node was not found or not reached, in all within the time for it, or the handshake failed.
pub(crate) async fn open(address: &HostPort, options: &Options) -> Result<NodeStream, NodeFailure> {
    let longest = options.connect_timeout;
    let opening = async {
        let addresses = address.resolve(longest).await?;
        let (stream, reached) =
            connect::open(&addresses, longest).await.map_err(|error| NodeFailure::Connect(error.to_string()))?;
        let tls = options.tls.as_ref().map(|tls| tls.of_host(address.host.as_str()));
        NodeStream::over(stream, reached, tls.as_ref()).await.map_err(NodeFailure::Tls)
    };
    let slow = |_| NodeFailure::Connect(format!("it took more than {longest:?}"));
    timeout(longest, opening).await.map_err(slow)?
}

/// Time after a failed connection in which calls are not kept waiting for another one. A node that restarts is back within a second.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
