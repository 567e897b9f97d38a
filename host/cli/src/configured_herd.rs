//! Configuration of a herd with the file that it is from, for commands that say what to type next, and for files that carry it.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::Context;
use herd_config::HerdConfig;

use super::shell_word::shell_word;

/// Configuration of a herd, and its file.
#[derive(Debug)]
pub(super) struct ConfiguredHerd {
    config: HerdConfig,
    /// None: the herd of the defaults.
    file: Option<PathBuf>,
}

impl Deref for ConfiguredHerd {
    type Target = HerdConfig;

    fn deref(&self) -> &HerdConfig {
        &self.config
    }
}

impl ConfiguredHerd {
    pub(super) fn new(config: HerdConfig, file: Option<PathBuf>) -> Self {
        Self { config, file }
    }

    /// Returns the words that name the configuration in a command to be typed next: ` --config FILE`, or nothing if the next command
    /// finds it without.
    pub(super) fn option(&self) -> String {
        self.file.as_deref().map(option).unwrap_or_default()
    }

    /// Reads the text of the configuration as it is in its file, if there is one.
    ///
    /// # Errors
    ///
    /// The file has gone since it was loaded.
    pub(super) fn text(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let read = |file: &PathBuf| std::fs::read(file).with_context(|| file.display().to_string());
        self.file.as_ref().map(read).transpose()
    }
}

fn option(file: &Path) -> String {
    let is_in_environment = std::env::var_os("HERD_CONFIG").is_some_and(|named| Path::new(&named) == file);
    if is_in_environment { String::new() } else { format!(" --config {}", shell_word(&file.to_string_lossy())) }
}
