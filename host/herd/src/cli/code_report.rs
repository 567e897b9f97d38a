//! Compiled code of a bundle: how nodes get it from the command line, and as `herd inspect` shows it: for what, by which compiler, how large, and whether nodes with this configuration
//! take it.

use std::fmt;
use std::time::Duration;

use anyhow::bail;
use herd_admin::{AdminClient, Endpoint};
use herd_code::CompiledCode;
use herd_signing::{Provenance, SignaturePolicy};
use serde::Serialize;
use serde_json::Value;

use super::admin_herd::AdminHerd;
use super::nodes::{ask_each, ask_first};

/// Gives nodes the code of a bundle, before its guest is swapped in: the named ones of this host, or else one that answers. The others get it from
/// there.
///
/// # Errors
///
/// No node took it.
pub(super) fn bring_code(config: &AdminHerd, nodes: &[String], codes: &[CompiledCode]) -> anyhow::Result<()> {
    let bring = async |client: &AdminClient, node: &Endpoint| {
        for code in codes {
            client.store_code(node, &code.encode()).await?;
        }
        Ok(Value::Null)
    };
    if nodes.is_empty() {
        return ask_first(config, bring).map(drop);
    }
    let answers = ask_each(config, nodes, bring)?.0;
    if answers.iter().any(|(_, answer)| answer.is_ok()) {
        return Ok(());
    }
    let failures = answers.into_iter().filter_map(|(node, answer)| Some(format!("{node}: {}", answer.err()?)));
    bail!("no node took the compiled code: {}", failures.collect::<Vec<_>>().join("; "))
}

/// Code for one target.
#[derive(Debug, Serialize)]
pub(super) struct CodeReport {
    target: String,
    compiler: String,
    bytes: usize,
    /// Names of the keys that signed it.
    signed_by: Vec<String>,
    /// Reason for which nodes do not take it.
    refused: Option<String>,
}

impl CodeReport {
    /// Judges code, at a time since the Unix epoch.
    pub(super) fn of(policy: &SignaturePolicy, code: &CompiledCode, now: Duration) -> Self {
        let accepted = code.accepted_by(policy, now);
        let signed_by = match &accepted {
            Ok(Provenance::Signed(signers)) => signers.iter().map(|signer| signer.name.clone()).collect(),
            _ => Vec::new(),
        };
        Self {
            target: code.of.target.clone(),
            compiler: code.of.compiler.clone(),
            bytes: code.code.len(),
            signed_by,
            refused: accepted.err().map(|why| why.to_string()),
        }
    }
}

impl fmt::Display for CodeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, compiler, bytes, signed_by, refused } = self;
        write!(f, "code     {target}: {} KiB, {compiler}; ", bytes >> 10)?;
        match refused {
            None => write!(f, "signed by {}", signed_by.join(" and ")),
            Some(why) => f.write_str(why),
        }
    }
}
