//! Members that a command names: nodes, or an operator.

use anyhow::bail;
use clap::Args;
use herd_config::suggestion;
use herd_identity::{AuthorityStatus, CertificateStatus, Role};

/// Arguments of commands for some nodes, or for an operator.
#[derive(Debug, Args)]
pub(super) struct MembersArgs {
    /// Names of nodes.
    #[arg(value_name = "NODE", required_unless_present = "operator")]
    nodes: Vec<String>,
    /// A person who administers nodes from another host, in place of a node.
    #[arg(long, value_name = "NAME", conflicts_with = "nodes")]
    operator: Option<String>,
}

/// Arguments of a command for one node or operator.
#[derive(Debug, Args)]
pub(super) struct MemberArgs {
    /// Name of the node.
    #[arg(required_unless_present = "operator")]
    node: Option<String>,
    /// An operator in place of a node.
    #[arg(long, value_name = "NAME", conflicts_with = "node")]
    operator: Option<String>,
}

impl MembersArgs {
    /// Returns the members, each once.
    pub(super) fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = Vec::new();
        for role in self.nodes.iter().cloned().map(Role::Node).chain(self.operator.clone().map(Role::Operator)) {
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        roles
    }
}

impl MemberArgs {
    pub(super) fn role(&self) -> Role {
        match &self.operator {
            Some(name) => Role::Operator(name.clone()),
            None => Role::Node(self.node.clone().unwrap_or_default()),
        }
    }
}

/// Returns the newest certificate of a member.
///
/// # Errors
///
/// The authority knows of none. The error suggests the nearest name.
pub(super) fn newest<'a>(status: &'a AuthorityStatus, role: &Role) -> anyhow::Result<&'a CertificateStatus> {
    if let Some(newest) = status.issued.iter().rfind(|issued| issued.subject.role == *role) {
        return Ok(newest);
    }
    let of_this_kind = |other: &&Role| std::mem::discriminant(*other) == std::mem::discriminant(role);
    let mut known: Vec<&str> =
        status.issued.iter().map(|issued| &issued.subject.role).filter(of_this_kind).filter_map(Role::name).collect();
    known.sort_unstable();
    known.dedup();
    let others = if known.is_empty() { String::new() } else { suggestion(role.name().unwrap_or_default(), known) };
    bail!("{role} has no certificate of this authority{others}")
}

/// Returns names in a row: at most [`NAMES_MAX`], and how many more there are.
pub(super) fn in_a_row<T: AsRef<str>>(names: &[T]) -> String {
    let some: Vec<&str> = names.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    let more = names.len() - some.len();
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}

/// Enough for a small herd. `herd certs show` has all names.
const NAMES_MAX: usize = 12;
