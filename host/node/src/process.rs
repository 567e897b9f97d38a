//! The process around nodes: what it has once, for all nodes that run in it.

use std::path::Path;
use std::sync::Arc;

use herd_admin::{Token, UpgradeHost};
use herd_model::{Digest, SignedGuest};
use herd_runtime::Engine;
use herd_sys::InheritedSockets;
use herd_sys::workers::Workers;

use crate::log_filter::LogFilter;

/// Parts of a process that all of its nodes share.
pub struct NodeProcess<'a> {
    /// Engine of all guests, so that each is compiled once.
    pub engine: &'a Arc<Engine>,
    /// Guest of the configuration, or the one inside the program.
    pub guest: &'a SignedGuest,
    /// Guest inside the program, which needs no signature.
    pub built_in: Digest,
    /// Token of the admin ports.
    pub token: Token,
    /// Directory of the herd on this machine.
    pub state: &'a Path,
    /// Threads of sessions and links.
    pub workers: &'a Workers,
    /// Sockets with which the process was started. A node takes its own and binds the others.
    pub inherited: InheritedSockets,
    /// Filter of its log lines; `None` if they have none that could be changed.
    pub log: Option<Arc<dyn LogFilter>>,
    /// Upgrade of the process; `None` if it cannot be upgraded.
    pub upgrade: Option<Arc<dyn UpgradeHost>>,
    /// Reason for which the process is not the program that an upgrade was to make it.
    pub not_upgraded: Option<String>,
}
