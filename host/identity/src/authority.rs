//! Authority of a herd: the keys that sign its certificates and revocation lists, in a directory that may stay on a host of its
//! own, offline.
//!
//! `authority.pem` holds roots, their keys, links and lists; `issued.json` holds the ledger. Each operation writes one of the two,
//! atomically, so a crash leaves the state before or after it. A lock on the directory keeps two commands apart.
//!
//! Knows no clock and no network. Bounds: [`ROOTS_MAX`], the length of a list, the ledger, and the wait for the lock.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herd_sys::private_file::{self, FileError};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustix::fs::{FlockOperation, flock};

use crate::certificate::Certificate;
use crate::credentials::Credentials;
use crate::ledger::{Issued, LEDGER_BYTES_MAX, Ledger};
use crate::pem::{self, Section};
use crate::revocation_list::{LIST_BYTES_MAX, REVOKED_MAX, RevocationList};
use crate::serial::Serial;
use crate::sign;
use crate::subject::{Role, Subject, SubjectError};
use crate::trust_bundle::{ROOTS_MAX, TRUST_BYTES_MAX, TrustBundle, TrustError};
use crate::validity::{Validity, at};

/// Authority of one herd, open and locked.
///
/// # Examples
///
/// ```
/// # let scratch = tempfile::tempdir()?;
/// # let directory = scratch.path().join("authority");
/// # let now = std::time::Duration::from_secs(1_795_715_122);
/// use std::time::Duration;
///
/// use herd_identity::{Authority, Role};
///
/// let year = Duration::from_secs(365 * 86_400);
/// let mut authority = Authority::create(&directory, "five", year * 10, now)?;
/// let riley = authority.issue(&Role::Node("Riley".into()), year, now)?;
/// riley.store(&scratch.path().join("Riley.pem"))?;
///
/// authority.revoke(&Role::Node("Riley".into()), now)?;
/// assert!(riley.learn(authority.trust(), now)?.unwrap().check(now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    trust: TrustBundle,
    /// Keys of the roots, in their order.
    keys: Vec<KeyPair>,
    ledger: Ledger,
    /// Locked as long as it is open.
    _lock: File,
}

/// The authority cannot do what was asked. Its files are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory has no authority.
    #[error("{0} has no authority; make one with `herd certs init`, or name the directory of the one that there is")]
    Missing(PathBuf),
    /// The directory has an authority already. It is not replaced, because all certificates that it made would become useless.
    #[error("{0} has an authority already; `herd certs roll` replaces it step by step")]
    Exists(PathBuf),
    /// Another process holds the lock.
    #[error("another process uses {0}; try again when it has ended")]
    Locked(PathBuf),
    /// A file is damaged.
    #[error("{path}: {why}")]
    Damaged {
        /// File.
        path: PathBuf,
        /// Damage.
        why: String,
    },
    /// The name cannot be put in a certificate.
    #[error(transparent)]
    Name(#[from] SubjectError),
    /// The authority has expired, or its clock is wrong: peers would refuse what it signs.
    #[error("the authority is valid from {} to {}, and it is {} now; if that is right, a new one is needed: `herd certs init`",
        at(validity.not_before), at(validity.not_after), at(*now))]
    NotValid {
        /// Validity of its newest root.
        validity: Validity,
        /// Clock of this host, since the Unix epoch.
        now: Duration,
    },
    /// No certificate of this member is valid, so none can be revoked.
    #[error("{0} has no valid certificate of this authority; `herd certs show` lists those that there are")]
    NothingIssued(Role),
    /// Too many certificates are revoked, or valid, at once.
    #[error("more than {REVOKED_MAX} revoked or 10000 valid certificates; roll the authority over: `herd certs roll`")]
    Full,
    /// Too many roll-overs are under way.
    #[error("the herd has {ROOTS_MAX} authorities already; retire the old ones first: `herd certs retire`")]
    TooManyRoots,
    /// The library that makes certificates refused.
    #[error("cannot sign: {0}")]
    Sign(#[from] rcgen::Error),
    /// The parts that were just made, or read, do not hold together.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Authority {
    /// Makes an authority in a directory, which is created if it is missing. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// One exists already, or the name or the disk does not allow it.
    pub fn create(directory: &Path, herd: &str, lifetime: Duration, now: Duration) -> Result<Self, AuthorityError> {
        let subject = Subject::new(herd, Role::Authority)?;
        private_file::create_directory(directory)?;
        let lock = lock(directory)?;
        if Self::exists(directory) {
            return Err(AuthorityError::Exists(directory.into()));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let root = sign::root(&subject, &key, Validity::starting(now, lifetime))?;
        // An empty list from the start, so that a list always has a predecessor to compare with.
        let list = sign::list(&root, &key, 1, &[], now)?;
        let trust = TrustBundle::new(vec![root], vec![list])?;
        let authority =
            Self { directory: directory.into(), trust, keys: vec![key], ledger: Ledger::default(), _lock: lock };
        authority.store_ledger(&authority.ledger)?;
        authority.store(&authority.trust, &authority.keys)?;
        Ok(authority)
    }

    /// Opens the authority of a directory. Waits for another process that has it open, for at most [`LOCK_WAIT`]. Blocks on the file
    /// system.
    ///
    /// # Errors
    ///
    /// The authority is missing, damaged or in use.
    pub fn open(directory: &Path) -> Result<Self, AuthorityError> {
        if !Self::exists(directory) {
            return Err(AuthorityError::Missing(directory.into()));
        }
        let lock = lock(directory)?;
        let (path, ledger_path) = (directory.join(FILE), directory.join(LEDGER_FILE));
        let damaged = |path: &Path, why: &str| AuthorityError::Damaged { path: path.into(), why: why.into() };
        let content = private_file::read(&path, AUTHORITY_BYTES_MAX)?;
        let (mut certificates, mut lists, mut loose) = (Vec::new(), Vec::new(), Vec::new());
        for section in pem::sections(&content).map_err(|error| damaged(&path, &error.to_string()))? {
            match section {
                Section::Certificate(der) => certificates.push(Certificate::parse(&der).map_err(TrustError::from)?),
                Section::List(der) => lists.push(RevocationList::parse(&der).map_err(TrustError::from)?),
                Section::Key(der) => loose.push(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?),
            }
        }
        let trust = TrustBundle::new(certificates, lists)?;
        let mut keys = Vec::new();
        for root in trust.roots() {
            let key = loose.iter().position(|key| key.subject_public_key_info() == root.key());
            keys.push(loose.swap_remove(key.ok_or_else(|| damaged(&path, "the key of an authority is missing"))?));
        }
        let ledger = private_file::read(&ledger_path, LEDGER_BYTES_MAX)?;
        let ledger =
            Ledger::parse(&ledger).ok_or_else(|| damaged(&ledger_path, "not the list of issued certificates"))?;
        Ok(Self { directory: directory.into(), trust, keys, ledger, _lock: lock })
    }

    /// Returns whether a directory has an authority.
    #[must_use]
    pub fn exists(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    /// Returns the name of the herd.
    #[must_use]
    pub fn herd(&self) -> &str {
        self.trust.herd()
    }

    /// Returns whom members of the herd trust, as of now.
    #[must_use]
    pub fn trust(&self) -> &TrustBundle {
        &self.trust
    }

    /// Returns the certificates that have not expired, from the oldest to the newest.
    #[must_use]
    pub fn issued(&self) -> &[Issued] {
        self.ledger.issued()
    }

    /// Returns the newest root, which signs.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        self.newest().0
    }

    /// Makes a certificate with a new key, also for a member that has one: this is how certificates are renewed. The certificate ends
    /// with the authority at the latest. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// The name is none, the authority is not valid now, or the disk fails.
    pub fn issue(&mut self, role: &Role, lifetime: Duration, now: Duration) -> Result<Credentials, AuthorityError> {
        let subject = Subject::new(self.herd(), role.clone())?;
        let (root, signer) = self.valid(now)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut validity = Validity::starting(now, lifetime);
        validity.not_before = validity.not_before.max(root.validity().not_before);
        validity.not_after = validity.not_after.min(root.validity().not_after);
        let certificate = sign::member(&subject, &key, validity, root, signer)?;
        let mut ledger = Ledger::parse(self.ledger.encode().as_bytes()).unwrap_or_default();
        let is_listed =
            |serial: &Serial| self.trust.lists().any(|list| list.revoked().any(|(listed, _)| listed == serial));
        if !ledger.add(&certificate, root.serial(), now, is_listed) {
            return Err(AuthorityError::Full);
        }
        // Before the certificate exists anywhere else: what is not in the ledger cannot be revoked.
        self.store_ledger(&ledger)?;
        self.ledger = ledger;
        Ok(Credentials::new(certificate, &key, self.trust.clone()))
    }

    /// Revokes all certificates of a member, and returns how many. The lists are in [`trust`](Self::trust), and take effect where that
    /// is learned. Certificates that are issued to the member later are not concerned. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// The member has no valid certificate, too many are revoked, or the disk fails.
    pub fn revoke(&mut self, role: &Role, now: Duration) -> Result<usize, AuthorityError> {
        let mut lists = Vec::new();
        let mut count = 0;
        for (root, key) in self.trust.roots().zip(&self.keys) {
            let old = self.trust.list_of(root);
            let old_entries = old.map(|list| list.revoked().collect::<Vec<_>>()).unwrap_or_default();
            // A list that only grew would be full one day. An expired certificate is refused without it.
            let kept = old_entries.iter().filter(|(serial, _)| !self.ledger.has_expired(serial, now));
            let mut entries: Vec<(Serial, Duration)> =
                kept.map(|(serial, since)| ((*serial).clone(), *since)).collect();
            let issued = self.ledger.of(role, root.serial()).filter(|issued| now <= issued.validity.not_after);
            let known = |serial: &Serial| old_entries.iter().any(|(old, _)| *old == serial);
            let added: Vec<_> = issued.filter(|issued| !known(&issued.serial)).collect();
            if added.is_empty() {
                lists.extend(old.cloned());
                continue;
            }
            count += added.len();
            entries.extend(added.iter().map(|issued| (issued.serial.clone(), now)));
            if entries.len() > REVOKED_MAX {
                return Err(AuthorityError::Full);
            }
            lists.push(sign::list(root, key, old.map_or(0, RevocationList::number) + 1, &entries, now)?);
        }
        if count == 0 {
            return Err(AuthorityError::NothingIssued(role.clone()));
        }
        let trust = TrustBundle::new(self.trust.certificates().cloned().collect(), lists)?;
        self.store(&trust, &self.keys)?;
        self.trust = trust;
        Ok(count)
    }

    /// Rolls the authority over: makes a new root, to which the newest one hands on the trust in it. From now on the new root signs.
    /// Members that learn of it trust both; members that have not yet heard of it accept what it signs all the same. Blocks on the file
    /// system.
    ///
    /// # Errors
    ///
    /// The newest root is not valid now, too many roots are, or the disk fails.
    pub fn roll(&mut self, lifetime: Duration, now: Duration) -> Result<(), AuthorityError> {
        let (older, signer) = self.valid(now)?;
        // An expired root vouches for nothing, and would take the place of a new one.
        let live = || self.trust.roots().zip(&self.keys).filter(|(root, _)| now <= root.validity().not_after);
        if live().count() == ROOTS_MAX {
            return Err(AuthorityError::TooManyRoots);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let newer = sign::root(older.subject(), &key, Validity::starting(now, lifetime))?;
        let link = sign::link(&newer, &key, older, signer)?;
        let list = sign::list(&newer, &key, 1, &[], now)?;
        let lists = live().filter_map(|(root, _)| self.trust.list_of(root).cloned()).chain([list]).collect();
        let roots = live().map(|(root, _)| root.clone()).chain([newer]);
        let links = self.trust.links().iter().cloned().chain([link]);
        let trust = TrustBundle::new(roots.chain(links).collect(), lists)?;
        let mut keys = live().map(|(_, key)| copy_of(key)).collect::<Result<Vec<_>, _>>()?;
        keys.push(key);
        self.store(&trust, &keys)?;
        (self.trust, self.keys) = (trust, keys);
        Ok(())
    }

    /// Ends a roll-over: forgets all roots but the newest, with their keys. Members that get a file from now on trust the newest one only;
    /// certificates of the others are refused there. Returns how many roots were forgotten. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub fn retire(&mut self) -> Result<usize, AuthorityError> {
        let (root, key) = self.newest();
        let trust = TrustBundle::new(vec![root.clone()], self.trust.list_of(root).cloned().into_iter().collect())?;
        let keys = vec![copy_of(key)?];
        self.store(&trust, &keys)?;
        let retired = self.keys.len() - 1;
        (self.trust, self.keys) = (trust, keys);
        Ok(retired)
    }

    /// Returns the newest root and its key.
    fn newest(&self) -> (&Certificate, &KeyPair) {
        let newest = self.trust.roots().next_back().zip(self.keys.last());
        newest.expect("a trust bundle has a root, and there is a key for each")
    }

    /// Returns the newest root and its key, if it is valid now.
    fn valid(&self, now: Duration) -> Result<(&Certificate, &KeyPair), AuthorityError> {
        let (root, key) = self.newest();
        let validity = root.validity();
        if validity.contains(now) { Ok((root, key)) } else { Err(AuthorityError::NotValid { validity, now }) }
    }

    fn store(&self, trust: &TrustBundle, keys: &[KeyPair]) -> Result<(), FileError> {
        let mut text = format!(
            "Authority of herd {}.\nKeep this file secret, and a copy in a safe place: whoever has it can make members of the herd.\n",
            trust.herd().escape_debug()
        );
        text.push_str(&trust.encode());
        for key in keys {
            pem::write(&mut text, "PRIVATE KEY", &key.serialize_der());
        }
        private_file::write(&self.directory.join(FILE), text.as_bytes())
    }

    fn store_ledger(&self, ledger: &Ledger) -> Result<(), FileError> {
        private_file::write(&self.directory.join(LEDGER_FILE), ledger.encode().as_bytes())
    }
}

/// Copies a key, which has no `Clone`.
fn copy_of(key: &KeyPair) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_der_and_sign_algo(&key.serialize_der().into(), &PKCS_ECDSA_P256_SHA256)
}

/// Locks a directory until the file is dropped, or its process ends.
fn lock(directory: &Path) -> Result<File, AuthorityError> {
    let path = directory.join(LOCK_FILE);
    let io = |why| FileError::Io { path: path.clone(), why };
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    for _ in 0..LOCK_WAIT.as_millis() / LOCK_POLL.as_millis() {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => std::thread::sleep(LOCK_POLL),
            Err(error) => return Err(io(io::Error::from(error)).into()),
        }
    }
    Err(AuthorityError::Locked(directory.into()))
}

const FILE: &str = "authority.pem";
const LEDGER_FILE: &str = "issued.json";
const LOCK_FILE: &str = "lock";
/// Maximum length of the file, in bytes: the bundle, and a key of some 240 for each root.
const AUTHORITY_BYTES_MAX: usize = TRUST_BYTES_MAX + (8 << 10);
/// Maximum wait for another process. An operation takes milliseconds, and the nodes of a herd that start together queue up here.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// `flock` has no timeout, so the lock is tried again and again.
const LOCK_POLL: Duration = Duration::from_millis(10);
const _: () = assert!(REVOKED_MAX * 54 + 1024 <= LIST_BYTES_MAX);
