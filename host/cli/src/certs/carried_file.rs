//! Configuration that a file of `herd certs issue` carries to a host, which has none yet.
//!
//! Never over a configuration that is there: that of this host may have been changed on purpose.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use herd_identity::carried_configuration;
use herd_sys::create_atomically;

use super::super::configured_herd::ConfiguredHerd;
use super::super::global_options::GlobalOptions;
use super::super::shell_word::shell_word;

/// Loads the configuration of this host, and writes it first if the host has none and the file carries one: to the file of `--config`, or to
/// `herd.toml` in the current directory.
///
/// # Errors
///
/// No usable configuration is to be found, or `herd.toml` is another one. Nothing is left that was not there before.
pub(super) fn configuration(options: &GlobalOptions, path: &Path, content: &[u8]) -> anyhow::Result<Carried> {
    let carried = carried_configuration(content).with_context(|| path.display().to_string())?;
    let Some(carried) = carried else { return Ok(Carried { config: options.configured()?, new: None }) };
    let target = options.config_file().unwrap_or_else(|| PathBuf::from(FILE));
    let new = write_new(&target, &carried).with_context(|| target.display().to_string())?;
    let there = fs::read(&target).with_context(|| target.display().to_string())?;
    if there != carried && options.config_file().is_none() {
        let (file, name) = (target.display(), shell_word(&path.to_string_lossy()));
        bail!(
            "{file} is not the configuration in {}; to keep it: herd certs install {name} --config {file}; to take that one, remove {file} first",
            path.display()
        );
    }
    let loaded = options.with_config_file(target.clone()).configured();
    let config = loaded.with_context(|| format!("the configuration in {}", path.display()))?;
    if let Some(new) = &new {
        say!("configuration of the herd");
        say!("  in {}", new.0.display());
    } else if there != carried {
        say!("{} stays as it is; {} has another configuration", target.display(), path.display());
    }
    Ok(Carried { config, new })
}

/// Configuration of this host, and its file if that is new.
pub(super) struct Carried {
    pub(super) config: ConfiguredHerd,
    new: Option<NewFile>,
}

impl Carried {
    /// Keeps the file, once what came with it is installed. Otherwise it is removed again.
    pub(super) fn keep(mut self) {
        if let Some(new) = self.new.take() {
            std::mem::forget(new);
        }
    }
}

/// File that was not there before, removed on drop.
struct NewFile(PathBuf);

impl Drop for NewFile {
    fn drop(&mut self) {
        if fs::remove_file(&self.0).is_ok() {
            say!("{} is removed again", self.0.display());
        }
    }
}

/// Writes a file as a whole unless it exists. For the owner alone, because a configuration may contain secrets.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<Option<NewFile>> {
    if path.exists() {
        return Ok(None);
    }
    let draft = path.with_added_extension(format!("{}.draft", std::process::id()));
    create_atomically(path, &draft, &[content])?;
    Ok(Some(NewFile(path.into())))
}

/// Name of the file, as documentation has it.
const FILE: &str = "herd.toml";
