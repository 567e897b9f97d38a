//! Configuration that a file of `herd certs issue` carries to a host, which has none yet.
//!
//! Never over a configuration that is there: that of this host may have been changed on purpose.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use herd_identity::carried_configuration;

use super::super::Common;
use super::super::configured_herd::ConfiguredHerd;
use super::super::shell_word::shell_word;

/// Loads the configuration of this host, and writes it first if the host has none and the file carries one: to the file of `--config`, or to
/// `herd.toml` in the current directory.
///
/// # Errors
///
/// No usable configuration is to be found, or `herd.toml` is another one. Nothing is left that was not there before.
pub(super) fn configuration(common: &Common, path: &Path, content: &[u8]) -> anyhow::Result<ConfiguredHerd> {
    let carried = carried_configuration(content).with_context(|| path.display().to_string())?;
    let Some(carried) = carried else { return Ok(common.configured()?) };
    let target = common.config_file().unwrap_or_else(|| PathBuf::from(FILE));
    let is_new = write_new(&target, &carried).with_context(|| target.display().to_string())?;
    let there = fs::read(&target).with_context(|| target.display().to_string())?;
    if there != carried && common.config_file().is_none() {
        let (file, name) = (target.display(), shell_word(&path.to_string_lossy()));
        bail!(
            "{file} is not the configuration in {}; to keep it: herd certs install {name} --config {file}; to take that one, remove {file} first",
            path.display()
        );
    }
    let loaded = common.with_config_file(target.clone()).configured();
    match &loaded {
        Ok(_) if is_new => {
            say!("configuration of the herd");
            say!("  in {}", target.display());
        }
        Ok(_) if there != carried => {
            say!("{} stays as it is; {} has another configuration", target.display(), path.display());
        }
        Err(_) if is_new => {
            let _ = fs::remove_file(&target);
        }
        _ => {}
    }
    loaded.with_context(|| format!("the configuration in {}", path.display()))
}

/// Writes a file unless it exists, and returns whether it did. For the owner alone, because a configuration may contain secrets.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => file.write_all(content).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Name of the file, as documentation has it.
const FILE: &str = "herd.toml";
