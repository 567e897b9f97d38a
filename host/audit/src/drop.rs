//! Removal of the oldest files of a log that exceeds its bound, in a way that leaves what was dropped provable.
//!
//! Owns the choice of files and the record of their lines in the head. A file is verified before it goes, because its
//! removal must not hide that it was changed. Knows nothing about appends: the caller holds the lock and writes the head
//! between [`record`] and [`remove`].
//!
//! Bounds: one file is read at a time.

use std::io;

use herd_model::Digest;

use super::entry::truncate;
use super::files::LogFiles;
use super::head::{Dropped, Head};
use super::key::Key;
use super::limits::Bounds;
use super::verify::Verification;

/// Returns how many of the files, the oldest ones, must go. The newest one stays.
///
/// # Errors
///
/// The size of a file cannot be read.
pub(super) fn excess(files: &LogFiles, segments: &[u64], bounds: Bounds) -> io::Result<usize> {
    let Some((&newest, older)) = segments.split_last() else { return Ok(0) };
    let size = |number| std::fs::metadata(files.segment(number)).map(|metadata| metadata.len());
    // Room for a full newest file is kept, so that appends to it need no removal.
    let mut room = bounds.bytes_max.saturating_sub(size(newest)?.max(bounds.file_bytes_max));
    let mut kept = 0;
    for &number in older.iter().rev() {
        let Some(rest) = room.checked_sub(size(number)?) else { break };
        (room, kept) = (rest, kept + 1);
    }
    Ok(older.len() - kept)
}

/// Verifies the oldest `excess` files and records their lines in the head as dropped.
pub(super) fn record(
    files: &LogFiles,
    segments: &[u64],
    excess: usize,
    node: &str,
    key: Option<&Key>,
    head: &mut Head,
) {
    let before = head.clone();
    for (index, &number) in segments[..excess].iter().enumerate() {
        // A crash after the head was written leaves files whose lines the head already records.
        if segments.get(index + 1).is_some_and(|&next| next <= head.first) {
            continue;
        }
        let path = files.segment(number);
        let mut verification = Verification::new(node, key, Some(&before)).without_lines();
        verification.chain.last = before_first(head);
        let problem = match files.read_segment(number, 0) {
            Ok(text) => {
                verification.add_file(&path, &text, false);
                verification.problem.as_ref().map(ToString::to_string)
            }
            Err(error) => Some(format!("{}: {error}", path.display())),
        };
        let lost = verification.lost;
        let dropped = head.dropped.take();
        let problem = dropped.as_ref().and_then(|dropped| dropped.problem.clone()).or(problem);
        if let Some(problem) = &problem {
            tracing::error!(%node, problem, "audit file was not intact when it was dropped");
        }
        let last = verification.chain.last;
        let (entries, hash) = last.or_else(|| before_first(head)).unwrap_or((head.first - 1, Digest::ZERO));
        head.first = entries + 1;
        head.dropped = Some(Dropped {
            entries,
            hash,
            lost: lost.saturating_add(dropped.map_or(0, |dropped| dropped.lost)),
            problem: problem.map(|problem| truncate(&problem, PROBLEM_BYTES_MAX)),
        });
    }
}

/// Returns number and hash of the last dropped line, which the first kept one continues, if they are known.
fn before_first(head: &Head) -> Option<(u64, Digest)> {
    head.dropped.as_ref().map(|dropped| (dropped.entries, dropped.hash))
}

/// Removes the oldest `excess` files.
pub(super) fn remove(files: &LogFiles, segments: &[u64], excess: usize, node: &str) {
    for &number in &segments[..excess] {
        let path = files.segment(number);
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(%node, path = %path.display(), %error, "old audit file cannot be removed");
        }
    }
}

/// Limit of a problem in the head: a path and a violation. It keeps a head under 2 KiB.
const PROBLEM_BYTES_MAX: usize = 800;
