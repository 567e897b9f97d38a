//! `herd certs issue` and `herd certs renew`: make files for members, to be carried to their hosts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use herd_identity::{
    Authority, AuthorityStatus, CONFIGURATION_BYTES_MAX, IdentityStatus, MEMBER_LIFETIME, Role, Subject,
};

use super::super::configured_herd::ConfiguredHerd;
use super::super::numbers::days;
use super::identity_files::{AuthorityArgs, IdentityFiles, typed, whole_now};
use super::members::{MembersArgs, newest};
use super::output_file;
use super::shell_word::shell_word;

/// Arguments of `herd certs issue` and `herd certs renew`.
#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    #[command(flatten)]
    members: MembersArgs,
    /// File to write. Default: `NODE.pem` in the current directory.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Lifetime of the certificate, which ends with the authority at the latest. Default: 365.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    days: Option<Duration>,
    #[command(flatten)]
    authority: AuthorityArgs,
}

/// Issues certificates to nodes of the configuration, or to an operator.
pub(super) fn issue(config: &ConfiguredHerd, args: &IssueArgs) -> anyhow::Result<()> {
    let roles = args.members.roles();
    for role in &roles {
        if let Role::Node(name) = role {
            config.node(name)?;
        }
    }
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    make(config, &files, &mut files.open()?, &roles, args)
}

/// Renews certificates of members, whether or not the configuration has them.
pub(super) fn renew(config: &ConfiguredHerd, args: &IssueArgs) -> anyhow::Result<()> {
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    let mut authority = files.open()?;
    let status = AuthorityStatus::of(&authority, whole_now());
    let roles = args.members.roles();
    for role in &roles {
        let issue = files.command(&format!("issue {}", typed(role)));
        let is_configured = role.name().is_some_and(|name| config.nodes.contains_key(name));
        let certificate = match newest(&status, role) {
            Err(_) if is_configured && matches!(role, Role::Node(_)) => {
                bail!("{role} has no certificate of this authority to renew; its first: {issue}")
            }
            certificate => certificate?,
        };
        if certificate.is_revoked {
            bail!("{role} was revoked; if it is to come back with a new key: {issue}");
        }
    }
    make(config, &files, &mut authority, &roles, args)
}

/// Writes a file for each member, after all that could prevent one was checked.
fn make(
    config: &ConfiguredHerd,
    files: &IdentityFiles,
    authority: &mut Authority,
    roles: &[Role],
    args: &IssueArgs,
) -> anyhow::Result<()> {
    if roles.len() > 1 && args.out.is_some() {
        bail!("--out is one file, and each node has its own; leave it out, or name one node");
    }
    let now = whole_now();
    let path_of = |role: &Role| {
        let subject = Subject::new(files.herd(), role.clone())?;
        output_file::for_member(args.out.as_deref(), &subject)
    };
    let paths = roles.iter().map(path_of).collect::<anyhow::Result<Vec<PathBuf>>>()?;
    let before = AuthorityStatus::of(authority, now);
    let carried = config.text()?;
    if carried.as_ref().is_some_and(|text| text.len() > CONFIGURATION_BYTES_MAX) {
        bail!(
            "the configuration is longer than {CONFIGURATION_BYTES_MAX} bytes, and goes into the file of a node; shorten it"
        );
    }
    for (role, path) in roles.iter().zip(&paths) {
        let lifetime = args.days.unwrap_or(MEMBER_LIFETIME);
        let credentials = authority.issue(role, lifetime, now)?;
        match (&carried, role) {
            (Some(text), Role::Node(_)) => credentials.store_with_configuration(path, text)?,
            _ => credentials.store(path)?,
        }
        say!("{}", IdentityStatus::of(&credentials, now).own);
        say!("  in {}", path.display());
        if newest(&before, role).is_ok_and(|older| !older.is_revoked && older.validity.contains(now)) {
            say!(
                "  its older certificate stays valid; if that was stolen, revoke both and issue again: {}",
                files.command(&format!("revoke {}", typed(role)))
            );
        }
        if credentials.certificate().validity().not_after + Duration::from_secs(1) < now + lifetime {
            say!("  it ends with the authority; to make a new one: {}", files.command("roll"));
        }
    }
    say_next(config, files, roles, &paths)
}

/// Says how files get to where they are read.
fn say_next(config: &ConfiguredHerd, files: &IdentityFiles, roles: &[Role], paths: &[PathBuf]) -> anyhow::Result<()> {
    let [first, ..] = roles else { return Ok(()) };
    if let Role::Operator(_) = first {
        say!("whoever has the file may administer every node: give it to {first} only, over a safe way");
        say!("next, on the host from which {first} administers the herd, with its configuration:");
        return say_installs(paths, &config.option());
    }
    say!("whoever has a file is that node: carry it to the host of the node only, and delete it once it is installed");
    say!("next, on the host of the node, as the user who runs it:");
    // The file has the configuration.
    say_installs(paths, "")?;
    let node = first.name().unwrap_or_default();
    let installed = files.node_file(node);
    let installed = installed.strip_prefix(files.state()).unwrap_or(&installed);
    say!(
        "which puts it to {} in the state directory of the herd ({} on this host)",
        installed.display(),
        files.state().display()
    );
    if !config.option().is_empty() {
        say!("and the configuration, which is in the file too, to herd.toml in the current directory");
    }
    Ok(())
}

fn say_installs(paths: &[PathBuf], option: &str) -> anyhow::Result<()> {
    for path in paths {
        let name = path.file_name().map(Path::new).context("a file has a name")?;
        say!("    herd certs install {}{option}", shell_word(&name.to_string_lossy()));
    }
    Ok(())
}
