//! The environment of a session, without sockets: the same for all sessions of a node.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::permissions::Permissions;
use super::topics::Topics;
use crate::host::SessionsHost;
use crate::limits::SessionLimits;

/// The node behind its port, its topics, and the limits of a session.
pub(crate) struct Context<S> {
    pub(crate) host: Arc<S>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) limits: SessionLimits,
    /// Replies since the start whose fallback was sent because their keep was not accepted or not confirmed.
    pub(crate) unconfirmed: AtomicU64,
    /// None: everybody may report under every name.
    pub(crate) permissions: Option<Permissions>,
    /// Keeps since the start that were refused, because their session may not report under that name.
    pub(crate) not_permitted: AtomicU64,
}

impl<S: SessionsHost> Context<S> {
    pub(crate) fn new(host: Arc<S>, topics: Arc<Topics>, limits: SessionLimits) -> Self {
        let permissions = Permissions::new(&limits.reporters);
        Self { host, topics, limits, unconfirmed: AtomicU64::new(0), permissions, not_permitted: AtomicU64::new(0) }
    }
}
