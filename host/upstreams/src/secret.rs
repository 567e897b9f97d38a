//! Secrets of upstreams: where they come from, and how they are kept out of sight.
//!
//! Bounds: a secret has 4 to 4096 bytes; no more is read.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use reqwest::Url;

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A credential of systemd (`LoadCredential=`), by name: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The configuration itself, which is refused. What was written there is not kept.
    Literal,
}

/// A secret. Never shown: `Debug` prints a placeholder, and there is no `Display`.
#[derive(Clone)]
pub(super) struct Secret {
    text: String,
    /// As it stands in the query of a URL.
    encoded: String,
}

/// Why a secret cannot be had. Never contains any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment does not have it.
    #[error("environment variable {name} is not set")]
    NotSet {
        /// The name of the variable.
        name: String,
    },

    /// The file is not there or cannot be read.
    #[error("secret file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },

    /// There are no credentials of systemd at all.
    #[error(
        "credential {name} is not there: $CREDENTIALS_DIRECTORY is not set, which `LoadCredential={name}:PATH` does"
    )]
    NoCredentials {
        /// The name of the credential.
        name: String,
    },

    /// The name of the credential is a path.
    #[error("credential {name:?} is not a plain file name")]
    CredentialName {
        /// The name of the credential.
        name: String,
    },

    /// What is there is no secret: empty, very short or long, or with characters that no request can carry.
    #[error("secret from {place} is not {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} printable ASCII characters")]
    NotASecret {
        /// Where it was read.
        place: String,
    },

    /// It is in the configuration.
    #[error("the secret is written into the configuration")]
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

/// Takes a table with one key. A string is taken too, but not kept: refused later, it is not repeated by an error of
/// the parser.
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
        let mut url = Url::parse("http://localhost").ok()?;
        url.query_pairs_mut().append_key_only(text);
        Some(Self { text: text.into(), encoded: url.query()?.into() })
    }

    /// The secret itself, for the one request it belongs to.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }

    /// Replaces the secret, plain or as it stands in a URL, by [`PLACEHOLDER`].
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
        // One more than may be there and the space around it, so that a longer one is seen to be longer.
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

/// What stands where a secret stood.
const PLACEHOLDER: &str = "***";

/// A shorter one would be found, and replaced, all over an innocent answer.
const SECRET_BYTES_MIN: usize = 4;

/// Four times the longest tokens in use.
const SECRET_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &SecretSource, variables: &[(&str, &str)]) -> Result<Secret, SecretError> {
        source.read(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_secret_is_read_from_where_it_is_said_to_be() {
        let directory = std::env::temp_dir().join(format!("herd-secret-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("key"), " from-file\n").unwrap();
        let variables = [("KEY", "from-environment"), ("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())];
        for (source, expected) in [
            (SecretSource::Env("KEY".into()), "from-environment"),
            (SecretSource::File(directory.join("key")), "from-file"),
            (SecretSource::Credential("key".into()), "from-file"),
        ] {
            assert_eq!(read(&source, &variables).unwrap().expose(), expected);
        }
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_missing_secret_is_named_and_a_malformed_one_is_not_repeated() {
        for (source, expected) in [
            (SecretSource::Env("NONE".into()), "environment variable NONE is not set"),
            (SecretSource::Env("EMPTY".into()), "secret from environment variable EMPTY is not 4 to 4096"),
            (SecretSource::Env("SHORT".into()), "secret from environment variable SHORT is not"),
            (SecretSource::Env("ODD".into()), "secret from environment variable ODD is not"),
            (SecretSource::File("/nowhere/key".into()), "secret file /nowhere/key cannot be read"),
            (SecretSource::File("/dev/zero".into()), "secret from /dev/zero is not"),
            (SecretSource::Credential("key".into()), "$CREDENTIALS_DIRECTORY is not set"),
            (SecretSource::Credential("../key".into()), "not a plain file name"),
            (SecretSource::Literal, "written into the configuration"),
        ] {
            let variables = [("EMPTY", " \n"), ("SHORT", "qqq"), ("ODD", "qqq\nqqq")];
            let problem = read(&source, &variables).unwrap_err();
            assert!(problem.to_string().contains(expected), "{problem}");
            assert!(!format!("{problem:?}").contains("qqq"), "{problem:?}");
        }
    }

    #[test]
    fn a_secret_is_scrubbed_wherever_it_stands() {
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
