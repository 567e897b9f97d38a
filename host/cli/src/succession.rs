//! Succession of programs in one process: the old one hands over its listening sockets and becomes the new one.
//!
//! If the new program cannot be started, the old one starts anew, with the same sockets. If the new one starts and ends, the process is
//! gone, and its supervisor has to start it again.

use std::path::Path;

use anyhow::anyhow;
use herd_sys::{InheritedSockets, PassedBy, PassedSockets};

use super::started_as::{RUNNING, SUCCESSION, StartedAs};
use super::upgrade_orders::UpgradeOrder;

/// Legacy of the program that this process was before an upgrade: its sockets, and why it went on if it did.
pub(super) struct Predecessor {
    pub(super) inherited: InheritedSockets,
    /// Reason for which an upgrade ended with the old program.
    pub(super) not_upgraded: Option<String>,
}

/// End of serving in favour of another program.
pub(super) struct Succession {
    pub(super) order: UpgradeOrder,
    pub(super) sockets: PassedSockets,
}

impl Predecessor {
    /// Takes over sockets for this number of nodes. To be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// A descriptor that was passed is no listening socket.
    pub(super) fn of_this_process(nodes: usize) -> anyhow::Result<Self> {
        let succession = std::env::var(SUCCESSION).ok();
        let passed_by = if succession.is_some() { PassedBy::Predecessor } else { PassedBy::Supervisor };
        let inherited = InheritedSockets::from_environment(nodes, passed_by)?;
        let not_upgraded = succession.filter(|why| !why.is_empty());
        if let Some(why) = &not_upgraded {
            tracing::error!(why, "not upgraded: the old program goes on, started anew");
        }
        Ok(Self { inherited, not_upgraded })
    }
}

/// Checks that no passed socket is left over once all nodes have taken theirs.
///
/// # Errors
///
/// A supervisor has passed one that no node takes.
pub(super) fn check_untaken(inherited: &InheritedSockets) -> anyhow::Result<()> {
    let untaken = inherited.untaken().join(", ");
    match inherited.passed_by() {
        _ if untaken.is_empty() => Ok(()),
        PassedBy::Predecessor => {
            tracing::info!(sockets = untaken, "sockets of the program before are not configured any more, closed");
            Ok(())
        }
        PassedBy::Supervisor => Err(anyhow!(
            "a socket was passed to this process that no node takes: {untaken}; name it clients, clients-tls, links or admin (FileDescriptorName=), with the name of the node in front if there are several: Riley.clients; or bind it to an address of the configuration"
        )),
    }
}

impl Succession {
    /// Becomes the new program. Returns only if neither that nor the old one can be started.
    pub(super) fn perform(self, started: &StartedAs) -> anyhow::Error {
        let Self { order: UpgradeOrder { program, what, .. }, sockets } = self;
        tracing::info!(what, "handing over");
        let error = sockets.become_program(started.successor(&program).env(SUCCESSION, ""));
        let why = format!("{} cannot be started: {error}", program.display());
        let again = sockets.become_program(started.successor(Path::new(RUNNING)).env(SUCCESSION, &why));
        anyhow::Error::from(again).context(format!("{why}; nor can the old program; start the node again"))
    }
}
