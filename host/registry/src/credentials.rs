//! Credentials where `docker login` and `podman login` store them.
//!
//! Reads their files and runs their helpers; stores nothing. Bounds: the size of a file, and the time and output of a helper.

mod helper;

use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use self::helper::ask_helper;
use crate::error::RegistryError;
use crate::reference::Reference;
use crate::secret::Secret;

/// Credential of an operator at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Password {
        user: String,
        password: Secret,
    },
    /// A refresh token, which the service for tokens takes.
    IdentityToken(Secret),
}

impl Credential {
    /// Reads a pair of a helper or a file: the user name `<token>` marks a token.
    fn of(user: &str, secret: &str) -> Self {
        match user {
            "<token>" => Self::IdentityToken(Secret::new(secret)),
            _ => Self::Password { user: user.into(), password: Secret::new(secret) },
        }
    }
}

/// Finds the credential for a registry: the first file that has one counts.
///
/// # Errors
///
/// A file exists and cannot be read, or a helper fails. None of their text is repeated.
pub(crate) fn find(reference: &Reference, files: &[PathBuf]) -> Result<Option<Credential>, RegistryError> {
    for file in files {
        let failed = |why| RegistryError::Credentials { place: file.display().to_string(), why };
        let Some(content) = read(file).map_err(|_| failed("it cannot be read"))? else { continue };
        let content: Value = serde_json::from_slice(&content).map_err(|_| failed("it is no JSON"))?;
        if let Some(credential) = in_file(reference, &content, &failed)? {
            return Ok(Some(credential));
        }
    }
    Ok(None)
}

/// Returns the files in which credentials may be, in the order in which they count. A file that the environment names is the only one.
pub(crate) fn files() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    if let Some(directory) = variable("DOCKER_CONFIG") {
        return vec![directory.join("config.json")];
    }
    let home = variable("HOME");
    let configured = variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    [variable("XDG_RUNTIME_DIR"), configured]
        .into_iter()
        .flatten()
        .map(|directory| directory.join("containers/auth.json"))
        .chain(home.map(|home| home.join(".docker/config.json")))
        .collect()
}

fn in_file(
    reference: &Reference,
    content: &Value,
    failed: &dyn Fn(&'static str) -> RegistryError,
) -> Result<Option<Credential>, RegistryError> {
    let names = names(reference);
    let server = names.last().map_or(reference.host(), String::as_str);
    if let Some(helper) = names.iter().find_map(|name| content["credHelpers"][name].as_str()) {
        return ask_helper(helper, server);
    }
    let entries = content["auths"].as_object();
    let entry = |wanted: &String| entries?.iter().find(|(name, _)| is_named(name, wanted)).map(|(_, entry)| entry);
    if let Some(entry) = names.iter().find_map(entry)
        && let Some(credential) = in_entry(entry).map_err(failed)?
    {
        return Ok(Some(credential));
    }
    // Docker leaves an empty entry beside what its store has.
    content["credsStore"].as_str().filter(|store| !store.is_empty()).map_or(Ok(None), |store| ask_helper(store, server))
}

fn in_entry(entry: &Value) -> Result<Option<Credential>, &'static str> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    if let Some(both) = text("auth") {
        let both = STANDARD.decode(both).ok().and_then(|both| String::from_utf8(both).ok());
        let both = both.as_deref().and_then(|both| both.split_once(':'));
        let (user, password) = both.ok_or("the entry for this registry is damaged")?;
        return Ok(Some(Credential::of(user, password.trim_end_matches('\0'))));
    }
    Ok(text("username").zip(text("password")).map(|(user, password)| Credential::of(user, password)))
}

/// Names under which a file may have the registry: the repository and the folders above it, as podman stores them, then the host.
fn names(reference: &Reference) -> Vec<String> {
    let whole = format!("{}/{}", reference.host(), reference.repository());
    let mut names: Vec<String> =
        std::iter::successors(Some(&*whole), |name| Some(name.rsplit_once('/')?.0)).map(Into::into).collect();
    if reference.host() == "docker.io" {
        names.extend(["index.docker.io".into(), "https://index.docker.io/v1/".into()]);
    }
    names
}

/// Tests whether an entry is of a name: docker once stored URLs.
fn is_named(entry: &str, wanted: &str) -> bool {
    let bare = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
    let bare = bare.trim_end_matches('/');
    entry == wanted || bare == wanted || ["/v1", "/v2"].iter().any(|path| bare.strip_suffix(path) == Some(wanted))
}

fn read(file: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    opened.take(FILE_BYTES_MAX).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Room for thousands of registries. A longer file is cut and thereby no JSON.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { user: user.into(), password: Secret::new(password) })
    }

    fn found(reference: &str, content: &Value) -> Result<Option<Credential>, RegistryError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        fs::write(&file, content.to_string()).unwrap();
        find(&reference.parse().unwrap(), &[directory.path().join("missing"), file])
    }

    #[test]
    fn credentials_are_found_as_docker_and_podman_store_them() {
        let auth = |text: &str| json!({ "auth": STANDARD.encode(text) });
        let content = json!({ "auths": {
            "h:5000": auth("ada:a:b"),
            "h:5000/team": auth("team:c"),
            "https://index.docker.io/v1/": auth("hub:d"),
            "https://old.example/v2/": { "username": "old", "password": "e" },
            "token.example": { "identitytoken": "f" },
            "empty.example": {},
        }});
        for (reference, expected) in [
            ("oci://h:5000/r:1", password("ada", "a:b")),
            ("oci://h:5000/team/r:1", password("team", "c")),
            ("oci://docker.io/ada/r:1", password("hub", "d")),
            ("oci://old.example/r:1", password("old", "e")),
            ("oci://token.example/r:1", Some(Credential::IdentityToken(Secret::new("f")))),
            ("oci://empty.example/r:1", None),
            ("oci://h/r:1", None),
            ("oci://h:5001/r:1", None),
        ] {
            assert_eq!(found(reference, &content).unwrap(), expected, "{reference}");
        }
    }

    #[test]
    fn damaged_credentials_are_refused_without_their_text() {
        for content in [
            json!({ "auths": { "h": { "auth": "hunter2" } } }),
            json!({ "auths": { "h": { "auth": STANDARD.encode("hunter2") } } }),
        ] {
            let error = found("oci://h/r:1", &content).unwrap_err();
            assert!(error.to_string().ends_with("the entry for this registry is damaged"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        let shown = format!("{:?}", password("ada", "hunter2"));
        assert!(shown.contains("ada") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn credential_helper_is_asked_and_its_failure_shows_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let helper = |name: &str, script: &str| {
            let path = directory.path().join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        // By its path, so that no test changes the variable PATH of its process.
        let good = helper("good", r#"read server; echo "{\"Username\":\"$1 $server\",\"Secret\":\"s\"}""#);
        let none = helper("none", "echo credentials not found in native keychain; exit 1");
        let bad = helper("bad", "echo hunter2; echo hunter2 >&2; exit 1");
        let asked = |program: &Path| helper::run(program, "h:5000");
        assert_eq!(asked(&good).unwrap(), password("get h:5000", "s"));
        assert_eq!(asked(&none).unwrap(), None);
        // It leaves a process behind that holds its output. Whoever waits for that one reads what is no answer.
        let leaves = helper("leaves", r#"(sleep 20; echo late) & echo "{\"Username\":\"u\",\"Secret\":\"s\"}""#);
        assert_eq!(asked(&leaves).unwrap(), password("u", "s"));
        let error = asked(&bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let missing = found("oci://h/r:1", &json!({ "credHelpers": { "h": "of-nobody" } })).unwrap_err();
        assert!(missing.to_string().contains("docker-credential-of-nobody"), "{missing}");
        let path = found("oci://h/r:1", &json!({ "credsStore": "../x" })).unwrap_err();
        assert!(path.to_string().contains("no name of a helper"), "{path}");
    }
}
