//! Files of identities of one herd on this host: the authority, and those of nodes in the state directory.
//!
//! Owns where they are, and that what an authority signed reaches all of them. Knows nothing of output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use herd_identity::{
    Authority, Certificate, Credentials, CredentialsError, Role, StateIdentities, TrustBundle, credentials_path,
    operator_path,
};
use herd_sys::clock::unix_now;
use herd_sys::state_directory;

use super::super::configured_herd::ConfiguredHerd;
use super::shell_word::shell_word;

/// Arguments of commands that use the authority.
#[derive(Debug, Args)]
pub(super) struct AuthorityArgs {
    /// Directory of the authority. Default: `authority` in the state directory of the herd.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

/// Where this host has the files of a herd.
pub(super) struct IdentityFiles {
    herd: String,
    state: PathBuf,
    authority: PathBuf,
    /// `--dir`, for the commands to type next.
    option: String,
    /// `--config`, for the same.
    config_option: String,
}

/// File of a node or of the operator in the state directory.
pub(super) struct MemberFile {
    pub(super) path: PathBuf,
    /// Its content, or its fault.
    pub(super) credentials: Result<Credentials, CredentialsError>,
}

impl IdentityFiles {
    /// Finds the files of the configured herd. Reads and makes nothing.
    pub(super) fn of(config: &ConfiguredHerd, authority: Option<&Path>) -> anyhow::Result<Self> {
        let state = state_directory(config.state_dir.as_deref(), &config.herd)?;
        let usual = StateIdentities::new(&state, &config.herd).authority_directory();
        let option = authority.map(|directory| format!(" --dir {}", shell_word(&directory.to_string_lossy())));
        Ok(Self {
            herd: config.herd.clone(),
            authority: authority.map_or(usual, Path::to_path_buf),
            option: option.unwrap_or_default(),
            config_option: config.option(),
            state,
        })
    }

    /// Returns the name of the herd.
    pub(super) fn herd(&self) -> &str {
        &self.herd
    }

    /// Returns the directory of the authority.
    pub(super) fn authority_directory(&self) -> &Path {
        &self.authority
    }

    /// Returns the directory with the files of nodes.
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// Returns a command that uses the same authority, to be typed next.
    pub(super) fn command(&self, words: &str) -> String {
        format!("herd certs {words}{}{}", self.option, self.config_option)
    }

    /// Opens the authority.
    ///
    /// # Errors
    ///
    /// The authority is missing, damaged or in use, or that of another herd.
    pub(super) fn open(&self) -> anyhow::Result<Authority> {
        let authority = Authority::open(&self.authority)?;
        if authority.herd() != self.herd {
            bail!(
                "{} has the authority of herd {}, and the configuration is of herd {}; name its configuration with --config",
                self.authority.display(),
                authority.herd().escape_debug(),
                self.herd.escape_debug()
            );
        }
        Ok(authority)
    }

    /// Opens the authority if this host has one.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open), but for a missing one.
    pub(super) fn open_if_here(&self) -> anyhow::Result<Option<Authority>> {
        Authority::exists(&self.authority).then(|| self.open()).transpose()
    }

    /// Returns the file of a node, which need not exist.
    pub(super) fn node_file(&self, node: &str) -> PathBuf {
        credentials_path(&self.state, node)
    }

    /// Returns the file of the operator whose state directory it is, which need not exist.
    pub(super) fn operator_file(&self) -> PathBuf {
        operator_path(&self.state)
    }

    /// Reads the file of the operator, if there is one.
    pub(super) fn operator(&self) -> Option<MemberFile> {
        let path = self.operator_file();
        path.is_file().then(|| MemberFile { credentials: Credentials::load(&path), path })
    }

    /// Reads the files of all nodes on this host, in the order of their names.
    ///
    /// # Errors
    ///
    /// The directory cannot be read. A directory that is missing has no files.
    pub(super) fn nodes(&self) -> anyhow::Result<Vec<MemberFile>> {
        let any = self.node_file("any");
        let directory = any.parent().unwrap_or(&self.state);
        if !directory.exists() {
            return Ok(Vec::new());
        }
        let entries = directory.read_dir().with_context(|| directory.display().to_string())?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| directory.display().to_string())?.path();
            if path.extension().is_some_and(|extension| extension == "pem") && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        Ok(paths.into_iter().map(|path| MemberFile { credentials: Credentials::load(&path), path }).collect())
    }

    /// Merges what an authority signed into the files of the nodes and the operator on this host that know it, and returns whose these are.
    /// Damaged files are left alone.
    ///
    /// # Errors
    ///
    /// The disk fails. Some files may have it.
    pub(super) fn teach(&self, trust: &TrustBundle, now: Duration) -> anyhow::Result<Vec<Role>> {
        let mut taught = Vec::new();
        for MemberFile { path, credentials } in self.nodes()?.into_iter().chain(self.operator()) {
            let Ok(credentials) = credentials else { continue };
            if !share_root(credentials.trust(), trust) {
                continue;
            }
            let learned = credentials.learn(trust, now).with_context(|| path.display().to_string())?;
            if let Some(learned) = learned {
                // A node that runs may store what it learned from a peer in between. It reads this file then and merges the two.
                learned.store(&path)?;
            }
            taught.push(credentials.certificate().subject().role.clone());
        }
        Ok(taught)
    }

    /// Returns credentials with all that is known on this host of authorities and revocations.
    ///
    /// # Errors
    ///
    /// A file of this host and the credentials contradict one another, or the authority of this host is damaged.
    pub(super) fn with_all_known(&self, credentials: &Credentials, now: Duration) -> anyhow::Result<Credentials> {
        let mut known = credentials.clone();
        let authority = self.open_if_here()?;
        let files: Vec<MemberFile> = self.nodes()?.into_iter().chain(self.operator()).collect();
        let of_members =
            files.iter().filter_map(|file| Some((&*file.path, &**file.credentials.as_ref().ok()?.trust())));
        let of_authority = authority.as_ref().map(|authority| (&*self.authority, authority.trust()));
        for (path, trust) in of_authority.into_iter().chain(of_members) {
            if trust.herd() == self.herd
                && let Some(learned) = known.learn(trust, now).with_context(|| path.display().to_string())?
            {
                known = learned;
            }
        }
        Ok(known)
    }
}

/// Returns the time since the Unix epoch in whole seconds, as certificates have it: one for 365 days expires in 365 days then, and not in 364.
pub(super) fn whole_now() -> Duration {
    Duration::from_secs(unix_now().as_secs())
}

/// Returns whether two bundles have an authority in common.
pub(super) fn share_root(one: &TrustBundle, other: &TrustBundle) -> bool {
    one.roots().any(|root| has_root(other, root))
}

/// Returns whether a bundle has this authority.
pub(super) fn has_root(trust: &TrustBundle, root: &Certificate) -> bool {
    trust.roots().any(|known| known.serial() == root.serial())
}

/// Reads the file of a member that a person named, with this content.
///
/// # Errors
///
/// It is no such file, or others than its owner may read it.
pub(super) fn read_member(path: &Path, content: &[u8]) -> anyhow::Result<Credentials> {
    // Before the mode is looked at: that of a file of another kind is no matter.
    Credentials::parse(content).and_then(|_| Credentials::load(path)).map_err(|error| wrong_file(path, error))
}

/// Returns what is wrong with a file, with its name.
pub(super) fn wrong_file(path: &Path, error: CredentialsError) -> anyhow::Error {
    match error {
        // These name it already.
        CredentialsError::File(error) => error.into(),
        error => anyhow::Error::msg(format!("{}: {error}", path.display())),
    }
}

/// Returns what stands behind `herd certs COMMAND` for a member.
pub(super) fn typed(role: &Role) -> String {
    let name = shell_word(role.name().unwrap_or_default());
    if matches!(role, Role::Operator(_)) { format!("--operator {name}") } else { name }
}
