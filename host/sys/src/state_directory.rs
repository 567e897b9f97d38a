//! The directory for the state of a herd on this machine.
//!
//! Reads environment variables; creates nothing.

use std::path::{Path, PathBuf};

/// Returns the directory for the state of a herd: its name under the configured directory, or else under `STATE_DIRECTORY`,
/// `XDG_STATE_HOME` or `HOME`.
///
/// # Errors
///
/// No directory is configured, and none of the variables is set.
pub fn state_directory(configured: Option<&Path>, herd: &str) -> Result<PathBuf, NoStateDirectory> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = configured
        .map(Path::to_path_buf)
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("herd")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/herd")))
        .ok_or(NoStateDirectory)?;
    // The name may come from anyone's configuration: it must be one component, and neither hidden nor `..`.
    let name: String = herd.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    Ok(base.join(if name.starts_with('.') { format!("_{name}") } else { name }))
}

/// No directory for state is known. Nothing was created.
#[derive(Debug, thiserror::Error)]
#[error("no home directory; set `state_dir` in the configuration or STATE_DIRECTORY in the environment")]
pub struct NoStateDirectory;
