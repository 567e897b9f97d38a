//! What the driver of a rollout is told.

use std::sync::Arc;

use herd_model::Digest;
use tokio::sync::{mpsc, oneshot};

use crate::protocol::message::{Attempt, Message};
use crate::protocol::proposal::Operation;
use crate::protocol::{Adopted, HerdSwap, NotAdopted, NotSwapped, Outcome};

pub(crate) enum Event {
    Received(String, Message),
    Linked(String),
    Unlinked(String),
    Propose(Request),
    Prepared(Attempt, Digest, Result<(), String>),
    Adopted(HerdSwap, Result<Adopted, NotAdopted>),
    ServingChanged(Option<Arc<[u8]>>),
    RolledBack(Digest, String),
    Written(Result<(), String>),
    Stop(oneshot::Sender<()>),
}

/// What an operator asks for.
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) guest: Option<Arc<[u8]>>,
    pub(crate) who: String,
    pub(crate) answer: oneshot::Sender<Result<Outcome, NotSwapped>>,
}

pub(crate) struct Inbox {
    pub(crate) local: mpsc::Receiver<Event>,
    pub(crate) remote: mpsc::Receiver<Event>,
}
