//! The head as an append finds it, and the notes of the log about the state in which it was found.
//!
//! Owns the choice between the head on the disk and the last one that this process wrote. Knows nothing about writing.
//! Bounds: one note for each kind of finding.

use std::path::Path;

use super::entry::Entry;
use super::head::Head;
use super::key::Key;
use super::mac::Mac;
use super::position::Position;

/// The head as an append finds it.
pub(super) struct FoundHead {
    /// The head to continue from, if any.
    pub(super) head: Option<Head>,
    /// The last entry of a head that is older than one that this process wrote.
    pub(super) set_back_to: Option<u64>,
    /// The file is missing, malformed, or not written with the key of the node.
    pub(super) is_unusable: bool,
    /// The file ends with a MAC, valid or not.
    pub(super) has_mac: bool,
}

impl FoundHead {
    /// Reads the head, and decides between it and the last one that this process wrote.
    pub(super) fn read(path: &Path, key: Option<&Key>, written: Option<&Head>) -> Self {
        let found = Head::read(path, key);
        let has_mac = found.as_ref().is_some_and(|(_, mac)| *mac != Mac::Absent);
        // Before the node has a key, any head is taken: earlier versions wrote heads without a MAC.
        let usable = found.filter(|(_, mac)| key.is_none() || *mac == Mac::Valid).map(|(head, _)| head);
        let is_unusable = usable.is_none();
        let (head, set_back_to) = match (usable, written) {
            // An older copy has a valid MAC. What this process wrote is certain.
            (Some(head), Some(written)) if head.count < written.count => (Some(written.clone()), Some(head.count)),
            (None, Some(written)) => (Some(written.clone()), None),
            (head, _) => (head, None),
        };
        Self { head, set_back_to, is_unusable, has_mac }
    }

    /// Returns the notes of the log about itself before the next entries.
    pub(super) fn notes(&self, position: &Position, node: &str, has_key: bool) -> Vec<Entry> {
        let mut notes = Vec::new();
        if let Some(newest) = position.newest.as_ref().filter(|newest| newest.torn_bytes > 0) {
            let torn_bytes = newest.torn_bytes;
            let note = format!(
                "the log ended with an incomplete line, as a crash leaves it; its {torn_bytes} bytes were removed"
            );
            tracing::warn!(%node, note, "audit log recovered");
            notes.push(Entry::note(&note));
        }
        let mut tampering = Vec::new();
        if let Some(Head { count, hash, .. }) = self.head.as_ref().filter(|_| position.is_cut) {
            tampering.push(format!(
                "the log was changed: it does not end with entry {count}, hash {hash}, the last one written"
            ));
        }
        if let Some(older) = self.set_back_to {
            tampering.push(format!("the head was set back to entry {older} while the node ran"));
        }
        if position.foreign_lines > 0 {
            let path = position.foreign_path.as_ref().and_then(|path| path.file_name()).unwrap_or_default();
            tampering.push(format!(
                "{} lines after entry {} were not written by this node; they stay in {}",
                position.foreign_lines,
                position.count,
                path.display(),
            ));
        }
        let has_log = position.newest.is_some();
        if self.is_unusable && (has_log || self.head.is_some()) {
            tampering.push("the head, which names the last entry, was missing or not written by this node".into());
        } else if self.is_unusable && has_key {
            tampering.push("the node has a key and no log: its files were removed or moved away".into());
        }
        for note in tampering {
            tracing::error!(%node, note, "audit log is not intact");
            notes.push(Entry::note(&note));
        }
        notes
    }
}
