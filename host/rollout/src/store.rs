//! State of swaps that survives a restart: the herd state, the generations of this node, and the bytes of their guests.
//!
//! One small JSON file per node, and directories of guests and of transcripts named by their digest, which is verified on reading, and of
//! signatures, each named by the digest of its guest. These verify themselves.
//! Damaged files count as absent: the node then starts with the guest of its configuration, and learns the herd state from a peer.
//!
//! Bounds: the [`GUESTS_MAX`] guests that served last.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use herd_model::limits::SIGNATURES_BYTES_MAX;
use herd_model::{Chunk, Digest};
use herd_sys::FileStore;
use serde::{Deserialize, Serialize};

use crate::guests::GuestDisk;
use crate::protocol::{HerdState, HerdSwap};
use crate::signature_judge::SignatureJudge;

/// State of a node that survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// State of the herd as the node knows it.
    #[serde(rename = "standing")]
    pub herd_state: HerdState,
    /// Last swap of the herd that the node has adopted, refused or rolled back from.
    pub applied: Option<HerdSwap>,
    /// Guest of the active generation.
    pub serving: Digest,
    /// Guest of the previous generation.
    pub previous: Option<Digest>,
    /// Guests that failed on the node, oldest first. Absent in files of earlier versions.
    #[serde(default)]
    pub failed: Vec<FailedGuest>,
}

/// Guest that failed its probation on a node, or as a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedGuest {
    /// Digest of the guest.
    pub digest: Digest,
    /// Reason, in the words for an operator.
    pub why: String,
}

/// Files of a node's state.
#[derive(Clone, Debug)]
pub struct RolloutStore {
    node: String,
    file: PathBuf,
    files: FileStore,
    guests: FileStore,
    transcripts: FileStore,
    signatures: FileStore,
    judge: Option<Arc<dyn SignatureJudge>>,
}

impl RolloutStore {
    /// Store of a node, in the state directory of its herd. Touches no file.
    #[must_use]
    pub fn new(state: &Path, node: &str) -> Self {
        let name = herd_sys::file_name::of(node);
        let directory = state.join(DIRECTORY);
        let files = FileStore::new(directory.clone(), usize::MAX);
        let guests = FileStore::new(directory.join(&name), GUESTS_MAX);
        let transcripts = FileStore::new(state.join(TRANSCRIPTS_DIRECTORY).join(&name), GUESTS_MAX);
        let signatures = FileStore::new(state.join(SIGNATURES_DIRECTORY).join(&name), GUESTS_MAX);
        let file = files.path(&format!("{name}.json"));
        Self { node: node.into(), file, files, guests, transcripts, signatures, judge: None }
    }

    /// Has a judge decide which signatures replace others of the same guest. Without one, the newest do.
    #[must_use]
    pub fn judged_by(self, judge: Arc<dyn SignatureJudge>) -> Self {
        Self { judge: Some(judge), ..self }
    }

    /// Reads the stored state. None if there is none or it is damaged; damage is logged.
    #[must_use]
    pub fn read(&self) -> Option<StoredState> {
        let bytes = std::fs::read(&self.file).ok()?;
        StoredState::decode(&bytes).inspect_err(|error| {
            tracing::error!(node = %self.node, path = %self.file.display(), %error, "rollout state is damaged and ignored");
        })
        .ok()
    }

    /// Writes the state, and the guests that are not on disk yet: those without bytes are. Guests come first, so that a state never
    /// names a guest whose bytes a crash has lost, and their signatures before them.
    ///
    /// # Errors
    ///
    /// The disk failed. The state on disk is the one before.
    pub(crate) fn write(
        &self,
        stored: &StoredState,
        guests: &[(Digest, Option<Arc<[u8]>>)],
        transcripts: Option<&(Digest, Option<Arc<[u8]>>)>,
        signed: &[(Digest, Arc<[u8]>)],
    ) -> io::Result<()> {
        for (guest, signatures) in signed {
            let name = signatures_name(*guest);
            let stored = std::fs::read(self.signatures.path(&name)).ok();
            // Whoever proposes a swap chooses the signatures that come with it, also of the guest that serves already: they must not cost the
            // node those by which it loads that guest after a restart.
            if stored
                .is_some_and(|stored| *stored == **signatures || !self.replaces(*guest, guests, &stored, signatures))
            {
                renew(&self.signatures.path(&name))?;
            } else {
                self.signatures.write(&name, &[signatures])?;
            }
        }
        for (guest, _) in guests.iter().filter(|(guest, _)| signed.iter().all(|(of, _)| of != guest)) {
            // On disk already, or the guest has none. Evicted as the guest is.
            let _ = renew(&self.signatures.path(&signatures_name(*guest)));
        }
        let guests = guests.iter().map(|(digest, bytes)| (&self.guests, name(*digest), bytes));
        let transcripts = transcripts.map(|(digest, bytes)| (&self.transcripts, transcripts_name(*digest), bytes));
        for (files, name, bytes) in guests.chain(transcripts) {
            // The oldest files are evicted, so a guest that serves again has to count as new.
            if renew(&files.path(&name)).is_err()
                && let Some(bytes) = bytes
            {
                files.write(&name, &[bytes])?;
            }
        }
        let text = stored.encode()?;
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        self.files.write(&file, &[&text])
    }

    /// Returns whether signatures take the place of the stored ones of a guest.
    fn replaces(
        &self,
        guest: Digest,
        guests: &[(Digest, Option<Arc<[u8]>>)],
        stored: &[u8],
        signatures: &[u8],
    ) -> bool {
        let Some(judge) = &self.judge else { return true };
        let in_memory = guests.iter().find(|(digest, _)| *digest == guest).and_then(|(_, bytes)| bytes.clone());
        let bytes = in_memory.or_else(|| self.guest(guest));
        bytes.is_none_or(|bytes| judge.replaces(&bytes, stored, signatures))
    }

    /// Reads the bytes of a guest. None if the file is absent, or damaged: then it is removed.
    #[must_use]
    pub fn guest(&self, digest: Digest) -> Option<Arc<[u8]>> {
        self.read_file(&self.guests.path(&name(digest)), digest)
    }

    /// Reads the signatures of a guest, as far as a file may be long. None if it has none here. What they are worth, only keys can say.
    #[must_use]
    pub fn signatures(&self, guest: Digest) -> Option<Arc<[u8]>> {
        let path = self.signatures.path(&signatures_name(guest));
        read_part(&path, 0, SIGNATURES_BYTES_MAX + 1).ok().map(|(_, bytes)| bytes.into())
    }

    /// Reads at most `bytes_max` bytes of a guest or of what came beside it from an offset on, with the length of the whole. Does not
    /// verify them.
    pub(crate) fn chunk(&self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)> {
        let paths = [self.guests.path(&name(digest)), self.transcripts.path(&transcripts_name(digest))];
        let part = paths.iter().find_map(|path| read_part(path, offset, bytes_max).ok());
        part.or_else(|| Some(Chunk::part(&self.signatures_with(digest)?, offset, bytes_max)))
    }

    /// Reads the signatures with this digest. They are named by their guest, so all of these small files are looked at.
    fn signatures_with(&self, digest: Digest) -> Option<Arc<[u8]>> {
        let entries = std::fs::read_dir(self.signatures.directory()).ok()?;
        entries.take(GUESTS_MAX * 2).find_map(|entry| {
            let (_, bytes) = read_part(&entry.ok()?.path(), 0, SIGNATURES_BYTES_MAX + 1).ok()?;
            (Digest::of(&bytes) == digest).then(|| bytes.into())
        })
    }

    /// Reads transcripts that came beside a guest. None if the file is absent, or damaged: then it is removed.
    pub(crate) fn transcripts(&self, digest: Digest) -> Option<Arc<[u8]>> {
        self.read_file(&self.transcripts.path(&transcripts_name(digest)), digest)
    }

    fn read_file(&self, path: &Path, digest: Digest) -> Option<Arc<[u8]>> {
        let bytes = std::fs::read(path).ok()?;
        if Digest::of(&bytes) != digest {
            // `write` leaves an existing file alone, so a damaged one would stay for ever.
            tracing::warn!(node = %self.node, path = %path.display(), "stored guest or its transcripts are damaged and removed");
            let _ = std::fs::remove_file(path);
            return None;
        }
        Some(bytes.into())
    }
}

impl GuestDisk for RolloutStore {
    fn read(&self, digest: Digest) -> Option<Arc<[u8]>> {
        self.guest(digest).or_else(|| self.transcripts(digest)).or_else(|| self.signatures_with(digest))
    }

    fn signatures(&self, guest: Digest) -> Option<Arc<[u8]>> {
        Self::signatures(self, guest)
    }

    fn read_part(&self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)> {
        self.chunk(digest, offset, bytes_max)
    }
}

impl StoredState {
    /// Encodes the state as its file has it.
    ///
    /// # Errors
    ///
    /// None that a state can cause.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(io::Error::other)
    }

    /// Decodes the bytes of a file.
    ///
    /// # Errors
    ///
    /// The file is damaged, as the text says.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

/// Makes a file count as new.
fn renew(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.set_modified(SystemTime::now())
}

/// Bytes of a file from an offset on, and its length.
fn read_part(path: &Path, offset: u64, bytes_max: usize) -> io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(path)?;
    let total = file.metadata()?.len();
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok((total, bytes))
}

fn name(digest: Digest) -> String {
    format!("{digest}.wasm")
}

fn transcripts_name(digest: Digest) -> String {
    format!("{digest}.json")
}

/// Beside the name of the guest, so that minisign finds them: `minisign -V -m DIGEST.wasm -x DIGEST.wasm.minisig`.
fn signatures_name(guest: Digest) -> String {
    format!("{guest}.wasm.minisig")
}

/// Directory of signatures of guests, in the state directory of the herd.
const SIGNATURES_DIRECTORY: &str = "signatures";

/// Directory of transcripts that came beside guests, in the state directory of the herd.
const TRANSCRIPTS_DIRECTORY: &str = "transcripts";
/// Directory of the files, in the state directory of the herd.
const DIRECTORY: &str = "generations";
/// Guests on disk per node, and as many transcripts and signatures: the active one, the previous one, and some to which a rollback may return.
const GUESTS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_writer::PendingWrite;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("herd-rollout-store-{:016x}", rand::random::<u64>())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn put(store: &RolloutStore, write: &PendingWrite) -> io::Result<()> {
        store.write(&write.state, &write.guests, write.transcripts.as_ref(), &write.signatures)
    }

    fn write(guest: &[u8]) -> PendingWrite {
        let guests = vec![(Digest::of(guest), Some(guest.into()))];
        PendingWrite { state: stored(guest), guests, transcripts: None, signatures: Vec::new() }
    }

    fn signed(guest: &[u8], signatures: &[u8]) -> PendingWrite {
        PendingWrite { signatures: vec![(Digest::of(guest), signatures.into())], ..write(guest) }
    }

    fn stored(guest: &[u8]) -> StoredState {
        let failed = vec![FailedGuest { digest: Digest::of(b"bad"), why: "8 faults".into() }];
        StoredState {
            herd_state: HerdState::default(),
            applied: None,
            serving: Digest::of(guest),
            previous: None,
            failed,
        }
    }

    #[test]
    fn store_returns_what_was_written_and_keeps_nodes_apart() {
        let scratch = Scratch::new();
        let store = RolloutStore::new(&scratch.0, "Riley");
        assert_eq!(store.read(), None);
        put(&store, &write(b"one")).unwrap();
        assert_eq!(store.read(), Some(stored(b"one")));
        assert_eq!(store.guest(Digest::of(b"one")).as_deref(), Some(&b"one"[..]));
        let other = RolloutStore::new(&scratch.0, "Juzang");
        assert_eq!((other.read(), other.guest(Digest::of(b"one"))), (None, None));
    }

    #[test]
    fn store_keeps_the_field_names_of_its_file() {
        let json = serde_json::to_value(stored(b"one")).unwrap();
        assert_eq!(
            json["standing"],
            serde_json::json!({ "swap": null, "back": {}, "signatures": { "swap": null, "previous": null } })
        );
        assert!(["applied", "serving", "previous", "failed"].iter().all(|name| json.get(name).is_some()), "{json}");
    }

    #[test]
    fn store_reads_a_file_without_failed_guests() {
        let mut json = serde_json::to_value(stored(b"one")).unwrap();
        json.as_object_mut().unwrap().remove("failed");
        assert_eq!(serde_json::from_value::<StoredState>(json).unwrap().failed, []);
    }

    #[test]
    fn store_reads_chunks_of_guests_and_transcripts() {
        let scratch = Scratch::new();
        let store = RolloutStore::new(&scratch.0, "Riley");
        let transcripts = (Digest::of(b"{}"), Some(b"{}".as_slice().into()));
        let write = PendingWrite { transcripts: Some(transcripts.clone()), ..signed(b"0123456789", b"by mira") };
        put(&store, &write).unwrap();
        let guest = Digest::of(b"0123456789");
        for (digest, offset, chunk) in [(guest, 0, "0123"), (guest, 8, "89"), (guest, 10, ""), (guest, u64::MAX, "")] {
            let read = store.chunk(digest, offset, 4).map(|(total, bytes)| (total, String::from_utf8(bytes).unwrap()));
            // An offset that no file has may fail instead: it reads nothing either way.
            assert!(read == Some((10, chunk.into())) || (offset == u64::MAX && read.is_none()), "{offset}: {read:?}");
        }
        assert_eq!(store.chunk(transcripts.0, 0, 4), Some((2, b"{}".to_vec())));
        assert_eq!(store.chunk(Digest::of(b"by mira"), 3, 4), Some((7, b"mira".to_vec())));
        assert_eq!(GuestDisk::read(&store, Digest::of(b"by mira")).as_deref(), Some(&b"by mira"[..]));
        assert_eq!(store.chunk(Digest::of(b"absent"), 0, 4), None);
    }

    #[test]
    fn store_ignores_damaged_files() {
        let scratch = Scratch::new();
        let store = RolloutStore::new(&scratch.0, "Riley");
        put(&store, &write(b"one")).unwrap();
        std::fs::write(store.guests.path(&name(Digest::of(b"one"))), b"two").unwrap();
        assert_eq!(store.guest(Digest::of(b"one")), None);
        put(&store, &write(b"one")).unwrap();
        assert!(store.guest(Digest::of(b"one")).is_some(), "the next write replaces it");
        std::fs::write(&store.file, b"{").unwrap();
        assert_eq!(store.read(), None);
    }

    #[test]
    fn store_keeps_the_last_signatures_of_a_guest_beside_it() {
        let scratch = Scratch::new();
        let store = RolloutStore::new(&scratch.0, "Riley");
        let guest = Digest::of(b"one");
        assert_eq!(store.signatures(guest), None);
        for signatures in [b"by mira".as_slice(), b"by mira and ada", b"by mira and ada"] {
            put(&store, &signed(b"one", signatures)).unwrap();
            assert_eq!(store.signatures(guest).as_deref(), Some(signatures));
        }
        put(&store, &write(b"one")).unwrap();
        assert!(store.signatures(guest).is_some(), "what is left out is on disk already");
        for number in 0..20_u8 {
            put(&store, &signed(&[number], &[number])).unwrap();
            put(&store, &write(b"one")).unwrap();
        }
        let kept = |guest: &[u8]| store.signatures(Digest::of(guest)).is_some();
        assert!(kept(b"one") && kept(&[19]) && !kept(&[1]), "evicted as guests are");
    }

    #[derive(Debug)]
    struct ByMira;

    impl SignatureJudge for ByMira {
        fn replaces(&self, guest: &[u8], _stored: &[u8], signatures: &[u8]) -> bool {
            guest == b"one" && signatures.starts_with(b"by mira")
        }
    }

    #[test]
    fn store_keeps_good_signatures_when_the_judge_refuses_those_of_a_later_swap() {
        let scratch = Scratch::new();
        let store = RolloutStore::new(&scratch.0, "Riley").judged_by(Arc::new(ByMira));
        for signatures in [b"by mira".as_slice(), b"by nobody", b""] {
            put(&store, &signed(b"one", signatures)).unwrap();
            assert_eq!(store.signatures(Digest::of(b"one")).as_deref(), Some(&b"by mira"[..]));
        }
        // The guest itself may be on disk only.
        let from_disk = PendingWrite { guests: vec![(Digest::of(b"one"), None)], ..signed(b"one", b"by nobody") };
        put(&store, &from_disk).unwrap();
        assert_eq!(store.signatures(Digest::of(b"one")).as_deref(), Some(&b"by mira"[..]));
        put(&store, &signed(b"one", b"by mira and ada")).unwrap();
        assert_eq!(store.signatures(Digest::of(b"one")).as_deref(), Some(&b"by mira and ada"[..]));
    }

    #[test]
    fn store_evicts_the_guests_that_served_longest_ago() {
        let scratch = Scratch::new();
        let store = RolloutStore::new(&scratch.0, "Riley");
        for number in 0..20_u8 {
            for guest in [[number], [0]] {
                put(&store, &write(&guest)).unwrap();
            }
        }
        let kept = |number: u8| store.guest(Digest::of(&[number])).is_some();
        assert!(kept(0) && kept(19) && kept(18) && !kept(1));
    }
}
