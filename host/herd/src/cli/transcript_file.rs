//! Transcripts in files, or built in.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::TRANSCRIPTS;

/// Name, file and text of each transcript.
pub(super) fn read_transcripts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, Option<PathBuf>, String)>> {
    if paths.is_empty() {
        return Ok(TRANSCRIPTS.iter().map(|(name, text)| (name.to_string(), None, text.to_string())).collect());
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut inside = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
            inside.retain(|file| file.extension().is_some_and(|extension| extension == "herd"));
            inside.sort();
            if inside.is_empty() {
                bail!("{}: there is no transcript (*.herd) in it", path.display());
            }
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    files
        .into_iter()
        .map(|file| {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| name.clone())?;
            Ok((name, Some(file), text))
        })
        .collect()
}
