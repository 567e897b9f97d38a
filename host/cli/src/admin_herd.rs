//! Herd as its operators reach it: its configuration, and the way to each of its nodes.
//!
//! Owns which way that is: the admin socket of a node on this machine, or the link port with the certificate of an operator. Knows no requests.
//! No command sends the admin token.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use herd_admin::{Endpoint, OPERATOR_NEEDED};
use herd_config::HerdConfig;
use herd_identity::{Clock, Credentials, Identity, Role, operator_path};
use herd_sys::state_directory;

use super::contexts::ContextName;

/// Configuration of a herd, and how this command may reach its nodes.
#[derive(Debug)]
pub(super) struct AdminHerd {
    config: HerdConfig,
    /// File of `--identity`: then all nodes are reached with it, also those on this machine.
    asked: Option<PathBuf>,
    /// Read when the first node needs it; none if this user has none.
    operator: OnceLock<Option<Arc<Identity>>>,
    /// Context that names the herd.
    context: Option<ContextName>,
}

impl Deref for AdminHerd {
    type Target = HerdConfig;

    fn deref(&self) -> &HerdConfig {
        &self.config
    }
}

impl AdminHerd {
    pub(super) fn new(config: HerdConfig, asked: Option<PathBuf>) -> Self {
        Self { config, asked, operator: OnceLock::new(), context: None }
    }

    /// Returns the herd as this context names it.
    pub(super) fn in_context(self, context: Option<ContextName>) -> Self {
        Self { context, ..self }
    }

    /// Returns the name of the context that is in use.
    pub(super) fn context(&self) -> Option<&ContextName> {
        self.context.as_ref()
    }

    /// Returns the way to a node. That to a node without a socket here leads to its link port if this user has the certificate of an operator.
    ///
    /// # Errors
    ///
    /// The name is unknown, no herd was started here by this user, or the certificate cannot be used.
    pub(super) fn endpoint(&self, node: &str) -> anyhow::Result<Endpoint> {
        let address = self.config.node(node)?.link_dial();
        let socket = Endpoint::socket(node, &self.state()?);
        if self.asked.is_none() && socket.has_socket() {
            return Ok(socket);
        }
        Ok(match self.operator()? {
            Some(identity) => Endpoint::member(node, address, identity),
            None => socket,
        })
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
            && !endpoints.iter().any(|endpoint| endpoint.has_socket() || endpoint.is_member())
        {
            bail!(
                "{} does not exist, and no node has an admin socket here; has this user started the herd on this machine? herd up starts it; for \
                 nodes on other hosts: {OPERATOR_NEEDED}",
                state.display()
            );
        }
        Ok(endpoints)
    }

    /// Returns the ways to the nodes that have a socket here.
    pub(super) fn local_endpoints(&self) -> anyhow::Result<Vec<Endpoint>> {
        let state = self.state()?;
        let sockets = self.config.node_names().into_iter().map(|node| Endpoint::socket(node, &state));
        Ok(sockets.filter(Endpoint::has_socket).collect())
    }

    /// Returns the operator whose certificate this user has: that of `--identity`, or the one that was installed.
    fn operator(&self) -> anyhow::Result<Option<Arc<Identity>>> {
        if let Some(operator) = self.operator.get() {
            return Ok(operator.clone());
        }
        let installed = operator_path(&self.state()?);
        let path = match &self.asked {
            Some(path) => Some(path),
            None => Some(&installed).filter(|path| path.symlink_metadata().is_ok()),
        };
        let operator = path.map(|path| open(path, &self.config.herd)).transpose()?;
        Ok(self.operator.get_or_init(|| operator).clone())
    }

    fn state(&self) -> anyhow::Result<PathBuf> {
        Ok(state_directory(self.config.state_dir.as_deref(), &self.config.herd)?)
    }
}

/// Reads the certificate of an operator of this herd.
fn open(path: &Path, herd: &str) -> anyhow::Result<Arc<Identity>> {
    let named = || path.display().to_string();
    let credentials = Credentials::load(path).with_context(named)?;
    let subject = credentials.certificate().subject().clone();
    if subject.herd != herd || !matches!(subject.role, Role::Operator(_)) {
        bail!(
            "{} is of {subject}; commands use the certificate of an operator of herd {}: herd certs issue --operator NAME",
            path.display(),
            herd.escape_debug()
        );
    }
    Ok(Arc::new(Identity::new(credentials, Clock::system()).with_context(named)?))
}
