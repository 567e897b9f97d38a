//! Division of the process's file descriptors between clients and everything else.
//!
//! Raises the soft limit of the process and reserves descriptors for links, the admin API, upstreams and files; clients get the
//! rest. Bounds: half of the limit is reserved at most, so that clients are served in any case.

use herd_config::HerdConfig;
use herd_sys::{ClientSocket, workers};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits the clients of this process, in which these nodes are to run, and logs a limit below that of the configuration.
pub(super) fn limit_clients(config: &HerdConfig, nodes: &[String]) {
    let Some(open_files_max) = raise_limit() else { return };
    let reserve = Reserve::new(config, nodes, workers::count()).total();
    let clients_max = clients_max(open_files_max, reserve);
    ClientSocket::set_max(clients_max);
    if reserve > open_files_max / 2 {
        let wanted = 2 * reserve;
        tracing::warn!(
            open_files_max,
            clients_max,
            "too few open files for links, the admin API and files beside clients; raise the limit with `ulimit -n {wanted}` or more"
        );
    } else if clients_max < config.sessions.sessions_max * nodes.len() {
        tracing::info!(
            open_files_max,
            reserve,
            clients_max,
            "fewer clients than `sessions.sessions_max`, because each is an open file; raise the limit with `ulimit -Hn`"
        );
    }
}

/// Open files of a process that runs one node, for a look at it from outside.
pub(super) struct OpenFiles {
    /// Limit of a process of this user, or none.
    pub(super) limit: Option<usize>,
    /// Descriptors that the node needs beside those of clients.
    pub(super) reserve: usize,
    sessions_max: usize,
}

impl OpenFiles {
    /// Reads the limit that a process started here would have. Changes nothing.
    pub(super) fn of(config: &HerdConfig, node: &str) -> Self {
        let limit = getrlimit(Resource::Nofile).maximum;
        let workers = if config.runtime.workers > 0 { config.runtime.workers } else { workers::count() };
        Self {
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            reserve: Reserve::new(config, &[node.into()], workers).total(),
            sessions_max: config.sessions.sessions_max,
        }
    }

    /// Returns the limit at which the node may have all sessions of its configuration.
    pub(super) fn wanted(&self) -> usize {
        self.sessions_max.saturating_add(self.reserve)
    }

    /// Returns how many clients the node takes.
    pub(super) fn clients_max(&self) -> usize {
        self.limit.map_or(self.sessions_max, |limit| clients_max(limit, self.reserve))
    }
}

/// Raises the soft limit of open files to the hard limit, because the usual soft limit of 1024 is far below the default for
/// sessions. Returns the limit, or `None` if there is none.
fn raise_limit() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let limit = match raised {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "cannot raise the limit of open files");
            limit.current
        }
    };
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Returns the descriptors that are left for clients.
fn clients_max(open_files_max: usize, reserve: usize) -> usize {
    open_files_max - reserve.min(open_files_max / 2)
}

/// Descriptors that clients must not take.
struct Reserve {
    workers: usize,
    nodes: usize,
    links: usize,
    fetches: usize,
}

impl Reserve {
    fn new(config: &HerdConfig, nodes: &[String], workers: usize) -> Self {
        let fetches: u64 = config.places.sources.iter().map(|source| config.upstreams.http_in_flight_max(source)).sum();
        Self {
            workers,
            nodes: nodes.len(),
            links: nodes.iter().map(|node| config.neighbours(node).len()).sum(),
            fetches: usize::try_from(fetches).unwrap_or(usize::MAX),
        }
    }

    fn total(&self) -> usize {
        let Self { workers, nodes, links, fetches } = *self;
        PROCESS_FILES + workers * WORKER_FILES + nodes * (NODE_FILES + fetches) + links * LINK_FILES
    }
}

/// Standard streams, the runtime of the main thread, signals, guests and code that are read or written.
const PROCESS_FILES: usize = 48;
/// The runtime of a worker.
const WORKER_FILES: usize = 4;
/// Listeners, one of them on several workers; logs; and some connections to the admin API and handshakes at the same time.
const NODE_FILES: usize = 48;
/// A link, and the one that replaces it.
const LINK_FILES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_reserve_grows_with_workers_nodes_links_and_fetches() {
        let reserve = |workers, nodes, links, fetches| Reserve { workers, nodes, links, fetches }.total();
        let least = reserve(1, 1, 0, 0);
        assert!(least < 128, "{least}: a node serves clients also with few files");
        for more in [reserve(2, 1, 0, 0), reserve(1, 2, 0, 0), reserve(1, 1, 1, 0), reserve(1, 1, 0, 1)] {
            assert!(more > least);
        }
    }

    #[test]
    fn open_files_are_left_to_clients_in_any_case() {
        assert_eq!(clients_max(20_000, 500), 19_500);
        assert_eq!(clients_max(256, 500), 128);
    }
}
