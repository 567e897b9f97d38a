//! Admin token: 256 random bits in a file. The first node of a herd on a machine creates it; the other nodes and the
//! command line read it.
//!
//! Owns the file and its permissions. A node reads the file for each request, so that a rotation needs no restart. Bound: [`DIGITS`]
//! hexadecimal digits.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use herd_sys::{accounts, create_atomically, write_atomically};
use subtle::ConstantTimeEq;

/// Bearer token of the admin API. Its holder may do everything that the API offers.
///
/// `Debug` does not show the token.
///
/// ```
/// use herd_admin::{Token, TokenError};
///
/// let directory = tempfile::tempdir()?;
/// assert!(matches!(Token::read(directory.path()), Err(TokenError::Missing(_))));
/// let created = Token::read_or_create(directory.path())?;
/// assert_eq!(Token::read(directory.path())?, created);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    digits: String,
    /// File that contains it.
    path: PathBuf,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The token cannot be read or created. A node does not start, or a command sends nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file or its directory cannot be read or created. The operator's system is at fault.
    #[error("{path}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Other users than the owner may read the file. The token may have leaked.
    #[error("{0} is readable by other users; it must have mode 0600: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The content of the file is not a token.
    #[error("{0} does not contain a token; remove it and start the herd again")]
    Malformed(PathBuf),
    /// The file does not exist: no node of this herd was started on this machine.
    #[error("{0} does not exist; has this user started the herd on this machine?")]
    Missing(PathBuf),
    /// The file belongs to another user, who could not read a new one. Nothing changed.
    #[error(
        "{path} belongs to {owner}, who could not read a new token; rotate it as that user: sudo -u {owner} herd token rotate"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Name of its owner, or `#` and the user id, as `sudo` takes it.
        owner: String,
    },
}

impl Token {
    /// Reads the token from the state directory of a herd, or creates it. Nodes that start together agree on one.
    ///
    /// Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Any [`TokenError`] but [`Missing`](TokenError::Missing).
    pub fn read_or_create(directory: &Path) -> Result<Self, TokenError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TokenError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let path = directory.join(FILE);
        if !path.exists() {
            // Of several nodes that start at the same time the first one wins.
            create_atomically(&path, &draft(directory), &[random_digits().as_bytes(), b"\n"]).map_err(io(&path))?;
        }
        Self::read(directory)
    }

    /// Replaces the token in the state directory of a herd by a new one, or creates it. Nodes that run refuse the old one from then on.
    ///
    /// Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`TokenError::Io`] and [`TokenError::Foreign`]. The old token is still valid, but after an error of the disk in the last step; then
    /// the next rotation decides.
    pub fn rotate(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(FILE);
        let io = |source| TokenError::Io { path: path.clone(), source };
        match path.metadata() {
            Ok(file) if file.uid() != rustix::process::geteuid().as_raw() => {
                let owner = accounts::user_name(file.uid()).unwrap_or_else(|| format!("#{}", file.uid()));
                return Err(TokenError::Foreign { path, owner });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::read_or_create(directory),
            Err(error) => return Err(io(error)),
        }
        write_atomically(&path, &draft(directory), &[random_digits().as_bytes(), b"\n"]).map_err(io)?;
        Self::read(directory)
    }

    /// Reads the token that is in the file of this one now. Blocks on the file system.
    pub(super) fn read_again(&self) -> Result<Self, TokenError> {
        Self::read_file(self.path.clone())
    }

    /// Reads the token from the state directory of a herd.
    ///
    /// Blocks on the file system.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn read(directory: &Path) -> Result<Self, TokenError> {
        Self::read_file(directory.join(FILE))
    }

    fn read_file(path: PathBuf) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.clone(), source };
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(TokenError::Missing(path)),
            text => text.map_err(io)?,
        };
        let mode = File::open(&path).and_then(|file| file.metadata()).map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed(path));
        }
        let token = text.trim();
        let is_token = token.len() == DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_token { Ok(Self { digits: token.into(), path }) } else { Err(TokenError::Malformed(path)) }
    }

    /// Returns the file from which the token was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares the `Authorization` header of a request with this token, in constant time: the time of a failure must not
    /// tell how many digits were right.
    pub(super) fn matches(&self, header: &str) -> bool {
        let Some(token) = header.strip_prefix("Bearer ") else { return false };
        token.as_bytes().ct_eq(self.digits.as_bytes()).into()
    }

    /// Returns the `Authorization` header that a request needs.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.digits)
    }
}

/// Path of a draft that no other process has, so that no reader sees half a token.
fn draft(directory: &Path) -> PathBuf {
    directory.join(format!("{FILE}.{}.{:016x}", std::process::id(), rand::random::<u64>()))
}

fn random_digits() -> String {
    let random: [u64; 4] = rand::random();
    random.iter().map(|part| format!("{part:016x}")).collect()
}

/// Name of the file in the state directory of a herd.
const FILE: &str = "admin.token";
/// 256 bits in hexadecimal.
const DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn token_is_created_once_and_must_be_private() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("herd");
        assert!(matches!(Token::read(&directory), Err(TokenError::Missing(_))));
        let created = Token::read_or_create(&directory).unwrap();
        assert_eq!(Token::read_or_create(&directory).unwrap(), created);
        assert!(created.matches(&created.header()));
        assert!(!created.matches("Bearer ") && !created.matches(&created.header()[..40]) && !created.matches("x"));
        let path = directory.join(FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Token::read(&directory), Err(TokenError::Exposed(_))));
    }

    #[test]
    fn token_rotation_makes_another_that_is_private_and_that_a_reader_of_the_file_has_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let old = Token::rotate(directory.path()).unwrap();
        assert_eq!(old.read_again().unwrap(), old);
        let new = Token::rotate(directory.path()).unwrap();
        assert_ne!(new, old);
        assert_eq!((old.read_again().unwrap(), Token::read(directory.path()).unwrap()), (new.clone(), new));
        let files: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, [FILE], "no draft is left");
        assert_eq!(old.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
