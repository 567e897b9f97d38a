//! Secrets of upstreams: their sources, and their removal from everything that is shown.
//!
//! Owns the text of a secret. Knows nothing about requests; see `resolve` for the placement.
//!
//! Bounds: a secret has 4 to 4096 bytes, and at most twice that is read.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Source of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A credential of systemd (`LoadCredential=`), by name: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The configuration itself, which is refused. The text is not kept.
    Literal,
}

/// A secret. Never shown: `Debug` prints a placeholder, and `Display` is not implemented.
#[derive(Clone)]
pub(super) struct Secret {
    text: String,
    /// The secret percent-encoded, as in the query of a URL.
    encoded: String,
}

/// A secret that could not be read. Never contains any of its text. The configuration or the environment is at fault.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable {name} is not set")]
    NotSet {
        /// Name of the variable.
        name: String,
    },

    /// The file is missing or cannot be read.
    #[error("secret file {} cannot be read", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        error: io::Error,
    },

    /// The process has no credentials of systemd.
    #[error(
        "credential {name} is missing: $CREDENTIALS_DIRECTORY is not set; systemd sets it for `LoadCredential={name}:PATH`"
    )]
    NoCredentials {
        /// Name of the credential.
        name: String,
    },

    /// The name of the credential is a path.
    #[error("credential {name:?} is not a plain file name")]
    CredentialName {
        /// Name of the credential.
        name: String,
    },

    /// The text is empty, too short or too long, or contains characters that a request cannot carry.
    #[error("secret from {place} is not {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} printable ASCII characters")]
    NotASecret {
        /// Source of the text.
        place: String,
    },

    /// The configuration contains the secret itself.
    #[error("the configuration contains the secret itself")]
    Literal,
}

impl SecretSource {
    /// Reads the secret, without the white space around it.
    ///
    /// # Errors
    ///
    /// See [`SecretError`].
    pub(super) fn read(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, SecretError> {
        let (bytes, place) = match self {
            Self::Env(name) => {
                let value = environment(name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
                (value.into_encoded_bytes(), format!("environment variable {name}"))
            }
            Self::File(path) => (read_file(path)?, path.display().to_string()),
            Self::Credential(name) => {
                if name.contains('/') || matches!(&**name, "" | "." | "..") {
                    return Err(SecretError::CredentialName { name: name.clone() });
                }
                let directory = environment("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                (read_file(&Path::new(&directory).join(name))?, format!("credential {name}"))
            }
            Self::Literal => return Err(SecretError::Literal),
        };
        Secret::new(&bytes).ok_or(SecretError::NotASecret { place })
    }
}

/// Accepts a table with one key, and also a string, whose text is dropped. Rejecting a string here would make the parser
/// quote it in its error, and it may be a secret.
impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Table {
            Env(String),
            File(PathBuf),
            Credential(String),
        }

        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"{ env = "NAME" }, { file = "PATH" } or { credential = "NAME" }"#)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Literal)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
                Ok(match Table::deserialize(MapAccessDeserializer::new(map))? {
                    Table::Env(name) => SecretSource::Env(name),
                    Table::File(path) => SecretSource::File(path),
                    Table::Credential(name) => SecretSource::Credential(name),
                })
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

impl Secret {
    fn new(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?.trim();
        let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return None;
        }
        // Encoded by the code that encodes it in requests, so that `scrub` finds exactly those bytes.
        let mut url = Url::parse("http://localhost").ok()?;
        url.query_pairs_mut().append_key_only(text);
        Some(Self { text: text.into(), encoded: url.query()?.into() })
    }

    /// Returns the text, which may only go into a request to its own upstream.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }

    /// Replaces the secret, plain or percent-encoded, by [`PLACEHOLDER`].
    pub(super) fn scrub(&self, bytes: Vec<u8>) -> Vec<u8> {
        replace(replace(bytes, self.text.as_bytes()), self.encoded.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PLACEHOLDER)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, SecretError> {
    let mut bytes = Vec::new();
    File::open(path)
        // More than the limit, to leave room for white space and to detect a file that is too long.
        .and_then(|file| file.take(2 * SECRET_BYTES_MAX as u64).read_to_end(&mut bytes))
        .map_err(|error| SecretError::Unreadable { path: path.into(), error })?;
    Ok(bytes)
}

fn replace(bytes: Vec<u8>, needle: &[u8]) -> Vec<u8> {
    let find = |from: usize| bytes[from..].windows(needle.len()).position(|window| window == needle);
    let Some(mut found) = find(0) else { return bytes };
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut from = 0;
    loop {
        replaced.extend_from_slice(&bytes[from..from + found]);
        replaced.extend_from_slice(PLACEHOLDER.as_bytes());
        from += found + needle.len();
        match find(from) {
            Some(next) => found = next,
            None => break,
        }
    }
    replaced.extend_from_slice(&bytes[from..]);
    replaced
}

/// Text in the place of a secret.
const PLACEHOLDER: &str = "***";

/// Minimum length: the text of a shorter secret would occur in answers by chance and be replaced there.
const SECRET_BYTES_MIN: usize = 4;

/// Maximum length: four times the longest tokens in common use.
const SECRET_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &SecretSource, variables: &[(&str, &str)]) -> Result<Secret, SecretError> {
        source.read(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn secret_is_read_from_each_source() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, " from-file\n").unwrap();
        let variables = [("KEY", "from-environment"), ("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap())];
        for (source, expected) in [
            (SecretSource::Env("KEY".into()), "from-environment"),
            (SecretSource::File(file), "from-file"),
            (SecretSource::Credential("key".into()), "from-file"),
        ] {
            assert_eq!(read(&source, &variables).unwrap().expose(), expected);
        }
    }

    #[test]
    fn secret_error_names_the_source_and_never_repeats_the_text() {
        for (source, expected) in [
            (SecretSource::Env("NONE".into()), "environment variable NONE is not set"),
            (SecretSource::Env("EMPTY".into()), "secret from environment variable EMPTY is not 4 to 4096"),
            (SecretSource::Env("SHORT".into()), "secret from environment variable SHORT is not"),
            (SecretSource::Env("ODD".into()), "secret from environment variable ODD is not"),
            (SecretSource::File("/nowhere/key".into()), "secret file /nowhere/key cannot be read"),
            (SecretSource::File("/dev/zero".into()), "secret from /dev/zero is not"),
            (SecretSource::Credential("key".into()), "$CREDENTIALS_DIRECTORY is not set"),
            (SecretSource::Credential("../key".into()), "not a plain file name"),
            (SecretSource::Literal, "contains the secret itself"),
        ] {
            let variables = [("EMPTY", " \n"), ("SHORT", "qqq"), ("ODD", "qqq\nqqq")];
            let problem = read(&source, &variables).unwrap_err();
            assert!(problem.to_string().contains(expected), "{problem}");
            assert!(!format!("{problem:?}").contains("qqq"), "{problem:?}");
        }
    }

    #[test]
    fn secret_is_scrubbed_wherever_it_occurs() {
        let secret = Secret::new(b"a+b/c=").unwrap();
        for (text, expected) in [
            ("", ""),
            ("a+b", "a+b"),
            ("a+b/c=", "***"),
            ("<a+b/c=a+b/c=>", "<******>"),
            ("?key=a%2Bb%2Fc%3D&x", "?key=***&x"),
        ] {
            assert_eq!(secret.scrub(text.into()), expected.as_bytes());
        }
        assert_eq!(format!("{secret:?}"), "***");
    }
}
