//! Transcripts in files, and those built into the binary.
//!
//! Only finds and reads them; their format is that of the sdk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::TRANSCRIPTS;

/// Text of a transcript, with its origin.
pub(super) struct TranscriptFile {
    /// Name for output: the path, or the name of a built-in transcript.
    pub(super) name: String,
    /// Path of the file. None: built in.
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
}

/// Reads transcripts from files and directories, those of a directory in the order of their names. Without paths, returns the
/// built-in transcripts of the line protocol.
///
/// # Errors
///
/// A path cannot be read, or a directory has no transcript.
pub(super) fn read_transcripts(paths: &[PathBuf]) -> anyhow::Result<Vec<TranscriptFile>> {
    if paths.is_empty() {
        let built_in =
            |(name, text): &(&str, &str)| TranscriptFile { name: name.to_string(), path: None, text: text.to_string() };
        return Ok(TRANSCRIPTS.iter().map(built_in).collect());
    }
    transcript_paths(paths)?
        .into_iter()
        .map(|file| {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| name.clone())?;
            Ok(TranscriptFile { name, path: Some(file), text })
        })
        .collect()
}

/// Lists the files of transcripts that paths name, those of a directory in the order of their names.
///
/// # Errors
///
/// As [`read_transcripts`].
pub(super) fn transcript_paths(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut inside = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
            inside.retain(|file| file.extension().is_some_and(|extension| extension == "herd"));
            inside.sort();
            if inside.is_empty() {
                bail!("{}: no transcript (*.herd) in this directory", path.display());
            }
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Reads transcripts from files and directories into the form in which they travel beside a guest: a JSON object of their names
/// and texts.
///
/// # Errors
///
/// As [`read_transcripts`].
pub(super) fn transcripts_json(paths: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let texts: BTreeMap<String, String> =
        read_transcripts(paths)?.into_iter().map(|file| (file.name, file.text)).collect();
    Ok(serde_json::to_vec(&texts)?)
}
