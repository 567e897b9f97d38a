//! `--watch`: runs again when the guest or a transcript changes.
//!
//! Owns the loop and its pace, as [`watch`](super::super::watch) does for a herd. Bounds: the sizes of a guest and of a transcript.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use herd_model::limits::GUEST_BYTES_MAX;
use herd_sys::{Look, WatchedFile};

use super::super::transcript_file::transcript_paths;
use super::TestArgs;
use super::report::Outcome;

/// Runs at the start and after each change, until the process ends.
///
/// # Errors
///
/// None: what cannot be read now may be there after the next change, so it is printed.
pub(super) fn watch(args: &TestArgs, run: impl Fn() -> anyhow::Result<Outcome>) -> anyhow::Result<Outcome> {
    // The first run needs no change: without the guest, nothing would be read and nobody told.
    let mut files = Files { files: BTreeMap::new(), changed: true };
    loop {
        if files.look(args, Instant::now()) {
            if let Err(error) = run() {
                eprintln!("herd: {error:#}");
            }
            say!("waiting for a change of the guest or a transcript; ctrl-c ends\n");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Files that are watched.
struct Files {
    files: BTreeMap<PathBuf, WatchedFile>,
    /// Set at the start and by a change, until everything has settled and a run was due.
    changed: bool,
}

impl Files {
    /// Looks at the guest and the transcripts. Returns whether a run is due: something changed, and nothing is being written.
    fn look(&mut self, args: &TestArgs, now: Instant) -> bool {
        // Directories are read again each time, because files come and go.
        let paths = transcript_paths(&args.transcripts).unwrap_or_default();
        let paths: BTreeSet<PathBuf> = paths.into_iter().chain([args.guest.clone()]).collect();
        let before = self.files.len();
        self.files.retain(|path, _| paths.contains(path));
        self.changed |= self.files.len() < before;
        let mut is_settled = true;
        for path in paths {
            let file = self.files.entry(path).or_insert_with_key(|path| WatchedFile::new(path, GUEST_BYTES_MAX as u64));
            match file.look(now) {
                Look::New(_) | Look::Unreadable(_) => self.changed = true,
                Look::Changing => is_settled = false,
                Look::Same | Look::Nothing => {}
            }
        }
        is_settled && std::mem::take(&mut self.changed)
    }
}

/// Pause between looks. A look at a file that does not change is one `stat`.
const LOOK_EVERY: Duration = Duration::from_millis(20);
