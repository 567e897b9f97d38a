//! Recovery on two threads: one reads and checks entries, the caller takes them.
//!
//! Checksums and system calls cost about as much as keeping the records does, so the start of a node with many records takes little longer
//! than the slower of the two. Knows nothing of entries. Bounds: [`BATCHES_AHEAD`] batches of about [`BATCH_BYTES`] wait; then the
//! reading thread waits.

use std::sync::mpsc::sync_channel;
use std::thread;

use herd_replication::JournalKind;

use crate::files::Files;
use crate::recover::recover;
use crate::recovered::{RecoverError, Recovered, RecoveryProgress};

/// Recovers as [`recover`] does, and reads ahead of `deliver` on another thread, which also calls `progress`. Entries are delivered in
/// the same order.
///
/// # Errors
///
/// As [`recover`], or the operating system has no thread. Entries may have been delivered.
pub fn recover_ahead<F: Files>(
    files: &F,
    mut deliver: impl FnMut(JournalKind, &[u8], bool),
    progress: impl FnMut(RecoveryProgress) + Send,
) -> Result<Recovered, RecoverError> {
    let (batches, read) = sync_channel(BATCHES_AHEAD);
    thread::scope(|scope| {
        let name = "herd-recovery".into();
        let reader = thread::Builder::new().name(name).spawn_scoped(scope, move || {
            let mut batch = Batch::default();
            let add = |kind, payload: &[u8], intact| {
                batch.push(kind, payload, intact);
                if batch.payloads.len() >= BATCH_BYTES {
                    // Fails only if the caller has panicked.
                    let _ = batches.send(std::mem::take(&mut batch));
                }
            };
            let recovered = recover(files, add, progress);
            let _ = batches.send(batch);
            recovered
        });
        let reader = reader.map_err(RecoverError::Thread)?;
        read.iter().for_each(|batch| batch.deliver(&mut deliver));
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Entries in the order of the log.
#[derive(Default)]
struct Batch {
    payloads: Vec<u8>,
    /// Kind, end of the payload, and whether nothing is missing before the entry.
    entries: Vec<(JournalKind, usize, bool)>,
}

impl Batch {
    fn push(&mut self, kind: JournalKind, payload: &[u8], intact: bool) {
        self.payloads.extend_from_slice(payload);
        self.entries.push((kind, self.payloads.len(), intact));
    }

    fn deliver(&self, deliver: &mut impl FnMut(JournalKind, &[u8], bool)) {
        let mut start = 0;
        for &(kind, end, intact) in &self.entries {
            deliver(kind, &self.payloads[start..end], intact);
            start = end;
        }
    }
}

/// Payloads handed over at once. A few hundred records pay for the hand-over, and the batch is still in the cache of the processor.
const BATCH_BYTES: usize = 64 << 10;
/// Batches that wait for the caller, so that neither thread waits for the jitter of the other.
const BATCHES_AHEAD: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::log_options::LogOptions;
    use crate::sim_files::SimFiles;
    use crate::store_config::StoreConfig;

    #[test]
    fn recovery_on_two_threads_delivers_what_one_thread_delivers() {
        let files = SimFiles::new();
        let recovered = recover(&files, |_, _, _| {}, |_| {}).unwrap();
        let log = Log::begin(files.clone(), &recovered, LogOptions::new(&StoreConfig::default(), 7), || {});
        // Several batches, some entries of nearly a batch, and entries without a payload.
        for number in 0..4 * BATCH_BYTES / 64 {
            let length = if number % 1000 == 0 { BATCH_BYTES - 1 } else { number % 130 };
            log.append(JournalKind::Report, &vec![number as u8; length]);
            log.flush();
        }
        let (mut alone, mut ahead) = (Vec::new(), Vec::new());
        let count = recover(&files, |kind, payload, intact| alone.push((kind, payload.to_vec(), intact)), |_| {});
        let deliver = |kind, payload: &[u8], intact| ahead.push((kind, payload.to_vec(), intact));
        let count_ahead = recover_ahead(&files, deliver, |_| {}).unwrap().entries;
        let count = count.unwrap().entries;
        assert_eq!(count as usize, 4 * BATCH_BYTES / 64);
        assert_eq!(count, count_ahead);
        assert!(alone == ahead, "other entries, or another order");
    }
}
