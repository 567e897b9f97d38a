//! Events that wake the driver.

use std::sync::mpsc::SyncSender;

use herd_model::{Digest, SignedGuest};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::protocol::guest_store::StoredFiles;
use crate::protocol::message::{Attempt, Message};
use crate::protocol::proposal::Operation;
use crate::protocol::{Adopted, HerdSwap, NotAdopted, NotSwapped, Outcome};

/// Event of a peer or of this node.
pub(crate) enum Event {
    /// A peer sent a message.
    Received(String, Message),
    /// A link came up.
    Linked(String),
    /// A link went down.
    Unlinked(String),
    /// An operator proposed a swap or a rollback of the herd.
    Propose(Request),
    /// The operator no longer wants the proposal of this identifier.
    Withdrawn(u64),
    /// The host has made a candidate ready, or could not.
    Prepared(Attempt, Digest, Result<(), String>),
    /// The host has activated the guest of a swap, or could not.
    Adopted(HerdSwap, Result<Adopted, NotAdopted>),
    /// An operator of this node activated another guest here. Holds its digest and its files if they are new
    /// to the node.
    ServingChanged(Option<(Digest, SignedGuest)>),
    /// The node rolled back from this guest by itself, with the reason.
    RolledBack(Digest, String),
    /// A guest failed here, with or without a rollback.
    GuestFailed,
    /// A write of the state has ended.
    Written(Result<(), String>),
    /// An operator waits until the state is on disk, or a write of it has failed.
    AwaitStored(SyncSender<Result<(), String>>),
    /// The node is shutting down. The sender is told when the state is on disk.
    Stop(oneshot::Sender<()>),
}

/// Proposal of an operator.
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// Bytes of the guest of a swap, and its transcripts.
    pub(crate) files: Option<StoredFiles>,
    pub(crate) who: String,
    /// Cancelled when the operator no longer wants it.
    pub(crate) withdrawn: CancellationToken,
    pub(crate) answer: oneshot::Sender<Result<Outcome, NotSwapped>>,
}

/// Receiving ends of the driver's queues.
pub(crate) struct Inbox {
    /// Events of this node.
    pub(crate) local: mpsc::Receiver<Event>,
    /// Messages of peers.
    pub(crate) remote: mpsc::Receiver<Event>,
}
