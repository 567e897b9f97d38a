//! The token: 256 random bits, made by the first node of a herd on a machine, read by the others and by the command
//! line.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

/// Who holds it may do everything.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// There is no token. The node does not start, or the command cannot reach it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("{path}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read the file.
    #[error("{0} can be read by others; it must have mode 0600: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file is there and holds no token.
    #[error("{0} holds no token; remove it and start the herd again")]
    Malformed(PathBuf),
    /// No node of this herd was started on this machine.
    #[error("{0} is not there: has the herd been started on this machine, by this user?")]
    Missing(PathBuf),
}

impl Token {
    /// Reads the token of a herd, or makes it if there is none. Nodes that start together agree on one.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn read_or_create(directory: &Path) -> Result<Self, TokenError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TokenError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let path = directory.join(FILE);
        if !path.exists() {
            // A whole file under another name, then linked: nobody sees half a token, and the first one stays.
            let draft = directory.join(format!("{FILE}.{}.{:016x}", std::process::id(), rand::random::<u64>()));
            let written = Self::write_new(&draft);
            let linked = written.and_then(|()| match std::fs::hard_link(&draft, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            });
            let _ = std::fs::remove_file(&draft);
            linked.map_err(io(&path))?;
        }
        Self::read(directory)
    }

    /// Reads the token of a herd.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn read(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(FILE);
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
        let right = token.len() == DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if right { Ok(Self(token.into())) } else { Err(TokenError::Malformed(path)) }
    }

    /// Whether a request brought this token. Takes the same time wherever it differs.
    pub(super) fn matches(&self, header: &str) -> bool {
        let Some(token) = header.strip_prefix("Bearer ") else { return false };
        token.as_bytes().ct_eq(self.0.as_bytes()).into()
    }

    /// What a request has to bring.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    fn write_new(path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        let random: [u64; 4] = rand::random();
        let token: String = random.iter().map(|part| format!("{part:016x}")).collect();
        writeln!(file, "{token}")
    }
}

const FILE: &str = "admin.token";
const DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_node_makes_the_token_and_the_others_read_it() {
        let directory = std::env::temp_dir().join(format!("herd-token-{:x}", rand::random::<u64>()));
        assert!(matches!(Token::read(&directory), Err(TokenError::Missing(_))));
        let made = Token::read_or_create(&directory).unwrap();
        assert_eq!(Token::read_or_create(&directory).unwrap(), made);
        assert!(made.matches(&made.header()));
        assert!(!made.matches("Bearer ") && !made.matches(&made.header()[..40]) && !made.matches("x"));
        let path = directory.join(FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Token::read(&directory), Err(TokenError::Exposed(_))));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
