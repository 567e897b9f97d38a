//! The environment of a session, without sockets: the same for all sessions of a node.

use std::sync::Arc;

use super::topics::Topics;
use crate::host::SessionsHost;
use crate::limits::SessionLimits;

/// The node behind its port, its topics, and the limits of a session.
pub(crate) struct Context<S> {
    pub(crate) host: Arc<S>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) limits: SessionLimits,
}

impl<S: SessionsHost> Context<S> {
    pub(crate) fn new(host: Arc<S>, topics: Arc<Topics>, limits: SessionLimits) -> Self {
        Self { host, topics, limits }
    }
}
