//! `herd certs revoke`: revokes the certificates of a member, and brings the list on its way.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use herd_identity::{AuthorityError, AuthorityStatus, Role};

use super::super::configured_herd::ConfiguredHerd;
use super::identity_files::{AuthorityArgs, IdentityFiles, typed, whole_now};
use super::members::{MemberArgs, in_a_row, newest};
use super::output_file::{for_trust, write_trust};
use super::shell_word::shell_word;

/// Arguments of `herd certs revoke`.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    member: MemberArgs,
    /// Write the revocation list to this file. Default: `HERD-trust.pem` in the current directory, if no node on this host takes it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    authority: AuthorityArgs,
}

/// Revokes all certificates of a member. If that was done before, only brings the list on its way again.
pub(super) fn revoke(config: &ConfiguredHerd, args: &RevokeArgs) -> anyhow::Result<()> {
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    let mut authority = files.open()?;
    let (role, now) = (args.member.role(), whole_now());
    let is_listed = newest(&AuthorityStatus::of(&authority, now), &role)?.is_revoked;
    if args.out.is_some() {
        // Before anything is revoked, so that the command can be typed again as a whole.
        for_trust(args.out.as_deref(), authority.trust())?;
    }
    match authority.revoke(&role, now) {
        Ok(1) => say!("{role} is revoked: 1 certificate"),
        Ok(count) => say!("{role} is revoked: {count} certificates"),
        Err(AuthorityError::NothingIssued(_)) if is_listed => say!("{role} is revoked already"),
        Err(AuthorityError::NothingIssued(_)) => {
            bail!("all certificates of {role} have expired, so none is to be revoked")
        }
        Err(error) => return Err(error.into()),
    }
    for list in AuthorityStatus::of(&authority, now).lists {
        say!("  {list}");
    }
    // The revoked node learns of it too, but nobody listens to it.
    let taught = files.teach(authority.trust(), now)?;
    let nodes = taught.iter().filter(|taught| matches!(taught, Role::Node(_)) && **taught != role);
    let taken: Vec<&str> = nodes.filter_map(Role::name).collect();
    if !taken.is_empty() {
        say!("the nodes on this host have the list: {}; a running one passes it on over its links", in_a_row(&taken));
    }
    if taken.is_empty() || args.out.is_some() {
        let path = write_trust(args.out.as_deref(), authority.trust())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        say!("the list is in {}, which contains no secret", path.display());
        say!(
            "running nodes take the list once one of them has it; carry the file to the host of any node that runs, and there:"
        );
        say!("    herd certs install {}{}", shell_word(&name), config.option());
    }
    say!("if it is to come back, with a new key:");
    say!("    {}", files.command(&format!("issue {}", typed(&role))));
    Ok(())
}
