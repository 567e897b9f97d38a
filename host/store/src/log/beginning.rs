//! Beginning of a log behind what was recovered.

use std::io;

use super::writer::Writer;
use crate::entry_reader::{Found, read_entries};
use crate::file_head::{FileName, Follows};
use crate::files::{Files, OpenFile};
use crate::framing::{EntryNumbers, Framing, REPEATED, SYNCED, is_repeated};
use crate::log::Log;
use crate::recovered::{Doubtful, Recovered, TornTail};
use crate::store_config::Durability;

impl<F: Files> Log<F> {
    /// Makes a new file the current one, behind what was recovered.
    pub(super) fn begin_behind(
        &self,
        writer: &mut Writer<F::File>,
        number: u64,
        file: F::File,
        recovered: &Recovered,
    ) -> io::Result<()> {
        let doubtful = match self.options.durability {
            Durability::Disk => &recovered.doubtful[..],
            Durability::Memory | Durability::Os => &[],
        };
        // The file follows the place from where on it repeats entries: if those before are lost with the power, none is missing.
        let follows = match doubtful.first() {
            Some(part) if recovered.damaged == 0 => Follows { number: part.number, bytes: part.from },
            _ => recovered.follows,
        };
        self.switch_file(writer, number, file, follows)?;
        let file = writer.file.clone().ok_or(io::ErrorKind::NotFound)?;
        for part in doubtful {
            writer.at.bytes += self.repeat(part, &*file, &mut writer.numbers, recovered.holes)?;
        }
        if self.options.durability == Durability::Disk {
            file.sync()?;
            // Without this mark, the next start would repeat all of it.
            let mut mark = Vec::new();
            self.framing.push(&mut mark, SYNCED, &writer.at.bytes.to_le_bytes());
            if recovered.doubts_all && recovered.damaged > 0 {
                self.framing.push(&mut mark, REPEATED, &[]);
            }
            writer.numbers.set(&mut mark);
            file.append(&mark)?;
            writer.at.bytes += mark.len() as u64;
            file.sync()?;
        }
        Ok(())
    }

    /// Writes the entries of a part of an earlier file again, all of them unless it is known to have holes. Returns their bytes.
    fn repeat(&self, part: &Doubtful, into: &F::File, numbers: &mut EntryNumbers, holes: bool) -> io::Result<u64> {
        let from = self.files.open(&FileName::Log(part.number).text())?;
        let (mut bytes, mut repeated, mut written) = (Vec::new(), 0, Ok(()));
        let mut write = |bytes: &mut Vec<u8>, least: usize| {
            if written.is_ok() && bytes.len() > least {
                numbers.set(bytes);
                written = into.append(bytes);
                repeated += bytes.len() as u64;
                bytes.clear();
            }
        };
        let mut damaged = false;
        let ending =
            read_entries(&from, Framing::new(part.salt), part.from..part.to, EntryNumbers::from_anywhere(), |found| {
                match found {
                    Found::Entry { code: SYNCED, .. } | Found::Read { .. } => {}
                    Found::Entry { code, payload, .. } if is_repeated(code, payload) => {}
                    Found::Entry { code, payload, .. } => {
                        self.framing.push(&mut bytes, code, payload);
                        write(&mut bytes, RUN_BYTES);
                    }
                    Found::Damage { .. } => damaged = true,
                }
            });
        write(&mut bytes, 0);
        // A file that is shorter than it was may end between two entries.
        if (damaged || ending.entries_end < part.to) && !holes {
            return Err(io::Error::other("entries could not be read again"));
        }
        written.map(|()| repeated)
    }

    /// Cuts off torn tails. A file without a whole head goes.
    pub(super) fn cut(&self, torn: &[TornTail]) -> io::Result<()> {
        torn.iter().try_for_each(|TornTail { file, offset, .. }| match offset {
            0 => self.files.remove(file),
            offset => {
                let file = self.files.open(file)?;
                file.truncate(*offset)?;
                file.sync()
            }
        })
    }

    /// Removes snapshots that a crash left unfinished.
    pub(super) fn remove_drafts(&self) -> io::Result<()> {
        for name in self.files.names()? {
            if let Some(FileName::Draft(_)) = FileName::parse(&name) {
                self.files.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// Bytes of entries that are written at once.
const RUN_BYTES: usize = 1 << 20;
