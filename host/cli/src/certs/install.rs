//! `herd certs install`: puts a file that was carried here to where the node of this host reads it, or the commands of its operator.
//!
//! A file may have lain about. Revocations and authorities that this host knows of go into what is installed, so that no file brings a
//! revoked node or a retired authority back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use herd_identity::{CREDENTIALS_BYTES_MAX, Credentials, IdentityStatus, PeerError, Role, TrustBundle, TrustError};

use super::super::configured_herd::ConfiguredHerd;
use super::super::global_options::GlobalOptions;
use super::bounded_read;
use super::carried_file;
use super::identity_files::{IdentityFiles, has_root, read_member, share_root, typed, whole_now};
use super::members::in_a_row;
use super::shell_word::shell_word;

/// Arguments of `herd certs install`.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// File that `herd certs issue`, `renew` or `revoke` wrote.
    file: PathBuf,
}

/// Installs a file.
pub(super) fn install(options: &GlobalOptions, args: &InstallArgs) -> anyhow::Result<()> {
    let path = &args.file;
    let content = bounded_read::read(path, CREDENTIALS_BYTES_MAX)?;
    let carried = carried_file::configuration(options, path, &content)?;
    let config = &carried.config;
    let files = IdentityFiles::of(config, None)?;
    match TrustBundle::parse(&content) {
        Ok(trust) => install_trust(&files, path, &trust, whole_now()),
        // Something else is in it: the certificate or key of a member, or nothing at all.
        Err(TrustError::Foreign | TrustError::Roots | TrustError::TooLong) => {
            let credentials = read_member(path, &content)?;
            install_credentials(config, &files, path, &credentials, whole_now())
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }?;
    carried.keep();
    Ok(())
}

fn install_credentials(
    config: &ConfiguredHerd,
    files: &IdentityFiles,
    path: &Path,
    credentials: &Credentials,
    now: Duration,
) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let subject = credentials.certificate().subject();
    check_herd(files, path, &subject.herd)?;
    let target = match &subject.role {
        Role::Node(node) => {
            config.node(node).with_context(|| format!("{} is of {subject}", path.display()))?;
            files.node_file(node)
        }
        Role::Operator(_) => files.operator_file(),
        Role::Authority => bail!("{} is of {subject}, which is installed nowhere", path.display()),
    };
    // Without a file, or with a damaged one, there is nothing to go back to.
    let installed = Credentials::load(&target).ok();
    if let (Role::Operator(_), Some(installed)) = (&subject.role, &installed)
        && installed.expect(subject).is_err()
    {
        bail!(
            "{} is of {}; for another one: rm {}, or name the file in each command with --identity",
            target.display(),
            installed.certificate().subject(),
            shell_word(&target.to_string_lossy())
        );
    }
    if let Some(installed) = &installed
        && brings_retired_root_back(credentials.trust(), installed.trust())
    {
        bail!(
            "{} was made before an authority of the herd was retired, and trusts it; make a new file where the authority is: herd certs renew {}",
            path.display(),
            typed(&subject.role)
        );
    }
    let known = files.with_all_known(credentials, now).with_context(named)?;
    known.check(now).map_err(|error| useless(path, &subject.role, error))?;
    known.store(&target)?;
    say!("{}", IdentityStatus::of(&known, now).own);
    say!("  in {}", target.display());
    if installed.is_some_and(|installed| !share_root(installed.trust(), known.trust())) {
        say!("  of another authority than the file before: it has no links to nodes with files of that one");
    }
    if target.canonicalize().ok() != path.canonicalize().ok() {
        say!("{} is needed no longer: rm {}", path.display(), shell_word(&path.to_string_lossy()));
    }
    // Other nodes on this host may know less than the new file.
    files.teach(known.trust(), now)?;
    match &subject.role {
        Role::Node(node) => {
            say!("next, unless the node runs: a running one takes the file without a restart");
            say!("    herd run {}{}", shell_word(node), config.option());
        }
        _ => {
            say!("commands use it for nodes that have no admin socket here; next:");
            say!("    herd status{}", config.option());
        }
    }
    Ok(())
}

fn install_trust(files: &IdentityFiles, path: &Path, trust: &TrustBundle, now: Duration) -> anyhow::Result<()> {
    check_herd(files, path, trust.herd())?;
    let taught = files.teach(trust, now)?;
    if taught.is_empty() {
        bail!(
            "neither a node nor an operator on this host has a certificate of this authority, so none takes the list of {}; `herd certs show` lists those that there are",
            path.display()
        );
    }
    for list in trust.lists() {
        let certificates = list.revoked().len();
        say!(
            "revocation list {} with {certificates} certificate{}",
            list.number(),
            if certificates == 1 { "" } else { "s" }
        );
    }
    let names: Vec<String> = taught.iter().map(|role| role.name().unwrap_or_default().to_string()).collect();
    say!("  in the files of {}", in_a_row(&names));
    if taught.iter().any(|role| matches!(role, Role::Node(_))) {
        say!("a running node takes it without a restart, and passes it on over its links");
    } else {
        say!("no node on this host takes it: carry the file to the host of one");
    }
    Ok(())
}

fn check_herd(files: &IdentityFiles, path: &Path, herd: &str) -> anyhow::Result<()> {
    if herd == files.herd() {
        return Ok(());
    }
    bail!(
        "{} is of herd {}, and the configuration is of herd {}; name its configuration with --config",
        path.display(),
        herd.escape_debug(),
        files.herd().escape_debug()
    )
}

/// Returns whether a file trusts an authority that is older than all that the installed one has: one that was retired.
fn brings_retired_root_back(new: &TrustBundle, installed: &TrustBundle) -> bool {
    // Authorities stand from the oldest to the newest. Without one in common it is another authority, which is no step back.
    share_root(new, installed) && new.roots().next().is_some_and(|oldest| !has_root(installed, oldest))
}

/// Says why a member could not use a file, and what to type.
fn useless(path: &Path, role: &Role, error: PeerError) -> anyhow::Error {
    let node = typed(role);
    let path = path.display();
    match error {
        PeerError::Revoked { serial, .. } => anyhow::Error::msg(format!(
            "{path} was revoked (serial {}); if it is to come back, make a new file where the authority is: herd certs issue {node}",
            serial.short()
        )),
        PeerError::Expired { .. } => {
            anyhow::Error::msg(format!("{path}: {error}; where the authority is: herd certs renew {node}"))
        }
        error => anyhow::Error::msg(format!("{path}: {error}")),
    }
}
