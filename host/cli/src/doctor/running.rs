//! State of a node, running or not, as its admin socket shows it, and the status that the node gives.

use herd_admin::{AdminClient, AdminClientError, Endpoint};
use serde_json::Value;

use super::super::shell_word::shell_word;
use super::CheckedNode;
use super::certificates::Certificates;
use super::finding::Finding;

/// Answer of the admin socket of a node.
pub(super) enum Running {
    /// The node answers. Holds its status.
    Yes(Box<Value>),
    /// It has no socket here.
    No,
    /// It has one, and it cannot be asked.
    Unknown(AdminClientError),
}

/// Memory of a node as it says itself.
pub(super) struct ToldMemory {
    pub(super) bytes_max: u64,
    /// It refuses new clients and keys.
    pub(super) is_short: bool,
}

impl Running {
    pub(super) async fn ask(checked: CheckedNode<'_>) -> Self {
        let client = match AdminClient::new() {
            Ok(client) => client,
            Err(error) => return Self::Unknown(error),
        };
        match client.status(&Endpoint::socket(checked.name, checked.state)).await {
            Ok(status) => Self::Yes(Box::new(status)),
            Err(error) if error.is_down() => Self::No,
            Err(error) => Self::Unknown(error),
        }
    }

    /// Returns true if the node answers.
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Yes(_))
    }

    /// Returns what the node says of its memory.
    pub(super) fn memory(&self) -> Option<ToldMemory> {
        let Self::Yes(status) = self else { return None };
        let memory = &status["memory"];
        Some(ToldMemory { bytes_max: memory["bytes_max"].as_u64()?, is_short: memory["short"] == true })
    }

    pub(super) fn finding(&self) -> Finding {
        match self {
            Self::Yes(_) => Finding::ok(WHAT, "running"),
            Self::No => Finding::ok(WHAT, "not running"),
            Self::Unknown(_) => Finding::warn(WHAT, "has a socket and cannot be asked"),
        }
    }

    /// Returns what else there is to say of the socket and of the process behind it.
    pub(super) fn more(&self, checked: CheckedNode<'_>, certificates: &Certificates) -> Vec<Finding> {
        let status = match self {
            Self::No => return Vec::new(),
            Self::Unknown(error) => return vec![Finding::warn(WHAT, error.to_string())],
            Self::Yes(status) => status,
        };
        let mut findings = vec![Finding::ok(WHAT, "the node answers on its socket")];
        let program = status["version"].as_str().unwrap_or_default();
        let own = env!("CARGO_PKG_VERSION");
        findings.push(if program == own {
            Finding::ok("program", format!("version {own}, with {}", herd_runtime::contract()))
        } else {
            Finding::warn("program", format!("the node runs version {program}, and this command is of {own}"))
                .fix(format!("herd upgrade --node {}{}", shell_word(checked.name), checked.herd.option()))
        });
        let serial = status["identity"]["certificate"]["serial"].as_str();
        if let (Some(serial), Some(in_file)) = (serial, certificates.serial())
            && serial != in_file
        {
            findings.push(
                Finding::warn("certificate", "the node uses another certificate than that in its file")
                    .fix("see the log of the node; it takes a file within seconds, unless it cannot use it"),
            );
        }
        findings
    }
}

const WHAT: &str = "admin socket";
