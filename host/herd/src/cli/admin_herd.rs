//! Herd as its operators reach it: its configuration, and the way to each of its nodes.
//!
//! Owns when the token goes over TCP: only to nodes without a socket here, only with `--admin-tcp`, and never silently. Knows no requests.

use std::ops::Deref;
use std::path::PathBuf;

use anyhow::bail;
use herd_admin::{Endpoint, Token};
use herd_node::config::HerdConfig;
use herd_sys::state_directory;

/// Configuration of a herd, and how this command may reach its nodes.
#[derive(Debug)]
pub(super) struct AdminHerd {
    config: HerdConfig,
    way: AdminWay,
}

/// Ways to a node that a command may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminWay {
    /// The admin socket only.
    Socket,
    /// The admin socket, or the TCP port of a node that has none here.
    SocketOrTcp,
}

impl Deref for AdminHerd {
    type Target = HerdConfig;

    fn deref(&self) -> &HerdConfig {
        &self.config
    }
}

impl AdminHerd {
    pub(super) fn new(config: HerdConfig, way: AdminWay) -> Self {
        Self { config, way }
    }

    /// Returns the way to a node.
    ///
    /// # Errors
    ///
    /// The name is unknown, no herd was started here by this user, or the token is needed and cannot be read.
    pub(super) fn endpoint(&self, node: &str) -> anyhow::Result<Endpoint> {
        let address = self.config.node(node)?.admin_address();
        let state = self.state()?;
        let socket = Endpoint::socket(node, &state);
        if self.way == AdminWay::Socket || socket.has_socket() {
            return Ok(socket);
        }
        let token = Token::read(&state)?;
        eprintln!(
            "herd: warning: {node} has no admin socket here; sending the admin token to {address}, which has not proved that it is {node}"
        );
        Ok(Endpoint::tcp(node, address, token))
    }

    /// Returns the ways to these nodes.
    ///
    /// # Errors
    ///
    /// As for [`endpoint`](Self::endpoint).
    pub(super) fn endpoints<'a>(&self, nodes: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Vec<Endpoint>> {
        let endpoints: Vec<Endpoint> = nodes.into_iter().map(|node| self.endpoint(node)).collect::<Result<_, _>>()?;
        let state = self.state()?;
        // Worth another line than that of a herd that was stopped: a wrong configuration, or another user's herd.
        if state.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
            && !endpoints.iter().any(Endpoint::has_socket)
        {
            bail!(
                "{} does not exist, and no node has an admin socket here; has this user started the herd on this machine? herd up starts it",
                state.display()
            );
        }
        Ok(endpoints)
    }

    fn state(&self) -> anyhow::Result<PathBuf> {
        Ok(state_directory(self.config.state_dir.as_deref(), &self.config.herd)?)
    }
}
