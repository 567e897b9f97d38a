//! Files that `herd certs` writes for people to carry: never over a file of another kind or of another member.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use herd_identity::{Credentials, Role, Subject, TRUST_BYTES_MAX, TrustBundle};
use herd_sys::{file_name, write_atomically};

use super::bounded_read;

/// Returns the file for a member: the one that was asked for, or `NAME.pem` in the current directory.
///
/// # Errors
///
/// Something else has this name.
pub(super) fn for_member(asked: Option<&Path>, subject: &Subject) -> anyhow::Result<PathBuf> {
    let name = || format!("{}.pem", file_name::of(subject.role.name().unwrap_or_default()));
    let path = asked.map_or_else(|| PathBuf::from(name()), Path::to_path_buf);
    let is_of_member = || Credentials::load(&path).is_ok_and(|credentials| credentials.expect(subject).is_ok());
    if path.symlink_metadata().is_ok() && !is_of_member() {
        bail!("{} exists and is no file of {subject}; name another one with --out", path.display());
    }
    Ok(path)
}

/// Returns the file for what an authority signed: the one that was asked for, or `HERD-trust.pem` in the current directory.
///
/// # Errors
///
/// Something else has this name.
pub(super) fn for_trust(asked: Option<&Path>, trust: &TrustBundle) -> anyhow::Result<PathBuf> {
    let name = || format!("{}-trust.pem", file_name::of(trust.herd()));
    let path = asked.map_or_else(|| PathBuf::from(name()), Path::to_path_buf);
    let is_of_herd = || {
        let content = bounded_read::read(&path, TRUST_BYTES_MAX).ok()?;
        Some(TrustBundle::parse(&content).ok()?.herd() == trust.herd())
    };
    if path.symlink_metadata().is_ok() && is_of_herd() != Some(true) {
        bail!(
            "{} exists and has no revocation list of herd {}; name another file with --out",
            path.display(),
            trust.herd().escape_debug()
        );
    }
    Ok(path)
}

/// Writes what an authority signed, without any secret, to its file ([`for_trust`]).
///
/// # Errors
///
/// Something else has its name, or the disk fails.
pub(super) fn write_trust(asked: Option<&Path>, trust: &TrustBundle) -> anyhow::Result<PathBuf> {
    let path = for_trust(asked, trust)?;
    let head =
        format!("{} of herd {}, and revocation lists. No secret.\n", Role::Authority, trust.herd().escape_debug());
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", std::process::id()));
    write_atomically(&path, Path::new(&draft), &[head.as_bytes(), trust.encode().as_bytes()])
        .with_context(|| path.display().to_string())?;
    Ok(path)
}
