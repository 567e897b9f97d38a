//! The directory in which a herd keeps its state on this machine.

use std::path::{Path, PathBuf};

/// Where the state of a herd lives on this machine.
///
/// # Errors
///
/// There is no configured one, and no home directory.
pub fn state_directory(configured: Option<&Path>, herd: &str) -> Result<PathBuf, NoStateDirectory> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = configured
        .map(Path::to_path_buf)
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("herd")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/herd")))
        .ok_or(NoStateDirectory)?;
    let name: String = herd.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    Ok(base.join(if name.starts_with('.') { format!("_{name}") } else { name }))
}

/// No directory for state could be found. Nothing was created.
#[derive(Debug, thiserror::Error)]
#[error("there is no home directory; set `state_dir` in the configuration or STATE_DIRECTORY in the environment")]
pub struct NoStateDirectory;
