//! `herd certs roll` and `herd certs retire`: the roll-over of an authority.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use herd_identity::{AUTHORITY_LIFETIME, Authority, AuthorityStatus, CertificateStatus, Expiry, Role, Serial};

use super::super::configured_herd::ConfiguredHerd;
use super::super::numbers::days;
use super::identity_files::{AuthorityArgs, IdentityFiles, typed, whole_now};
use super::members::in_a_row;

/// Arguments of `herd certs roll`.
#[derive(Debug, Args)]
pub(super) struct RollArgs {
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Lifetime of the new authority. Default: ten years.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    days: Option<Duration>,
}

/// Arguments of `herd certs retire`.
#[derive(Debug, Args)]
pub(super) struct RetireArgs {
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Retire also if members have certificates of the old authority only, which lose their links then.
    #[arg(long)]
    force: bool,
}

/// Begins a roll-over.
pub(super) fn roll(config: &ConfiguredHerd, args: &RollArgs) -> anyhow::Result<()> {
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    let (mut authority, now) = (files.open()?, whole_now());
    authority.roll(args.days.unwrap_or(AUTHORITY_LIFETIME), now)?;
    for root in AuthorityStatus::of(&authority, now).authorities {
        say!("{root}");
    }
    say!("the last one signs from now on; certificates of the others stay valid until those are retired or expire");
    let taught = files.teach(authority.trust(), now)?;
    let nodes = taught.iter().filter(|taught| matches!(taught, Role::Node(_)));
    let taken: Vec<&str> = nodes.filter_map(Role::name).collect();
    if !taken.is_empty() {
        say!("the nodes on this host know it: {}", in_a_row(&taken));
    }
    let behind = behind(&authority, now);
    if !behind.is_empty() {
        say!("next, in any order, and each file installed on its host:");
        say_renew(&files, &behind);
        say!("then, once they are installed:");
    } else {
        say!("next:");
    }
    say!("    {}", files.command("retire"));
    Ok(())
}

/// Ends a roll-over.
pub(super) fn retire(config: &ConfiguredHerd, args: &RetireArgs) -> anyhow::Result<()> {
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    let (mut authority, now) = (files.open()?, whole_now());
    if authority.trust().roots().count() == 1 {
        bail!("the herd has one authority, and none to retire; to make a new one: {}", files.command("roll"));
    }
    let behind = behind(&authority, now);
    if let Some(first) = behind.first()
        && !args.force
    {
        let names: Vec<String> = behind.iter().map(ToString::to_string).collect();
        bail!(
            "{} of the old authority only: {}; make new files and install them first, as with {}; --force retires it all the same",
            if behind.len() == 1 { "a certificate" } else { "certificates" },
            in_a_row(&names),
            files.command(&format!("renew {}", typed(first)))
        );
    }
    match authority.retire()? {
        1 => say!("1 authority is retired; the one that is left:"),
        count => say!("{count} authorities are retired; the one that is left:"),
    }
    let status = AuthorityStatus::of(&authority, now);
    for root in &status.authorities {
        say!("  {root}");
    }
    say!("a node trusts those that are retired until they expire, or until it has a file that was made after this");
    let members: Vec<Role> = members(&status).cloned().collect();
    if !members.is_empty() {
        say!("next, in any order, and each file installed on its host:");
        say_renew(&files, &members);
    }
    Ok(())
}

/// Says how to renew members: nodes together, operators one by one.
fn say_renew(files: &IdentityFiles, roles: &[Role]) {
    let (nodes, operators): (Vec<&Role>, Vec<&Role>) = roles.iter().partition(|role| matches!(role, Role::Node(_)));
    let nodes: Vec<String> = nodes.into_iter().map(typed).collect();
    let together = (!nodes.is_empty()).then(|| nodes.join(" "));
    for words in together.into_iter().chain(operators.into_iter().map(typed)) {
        say!("    {}", files.command(&format!("renew {words}")));
    }
}

/// Returns the members whose newest certificate was not signed by the newest authority.
fn behind(authority: &Authority, now: Duration) -> Vec<Role> {
    let newest = authority.root().serial();
    let of_newest = authority.issued().iter().filter(|issued| issued.authority == *newest);
    let of_newest: HashSet<&Serial> = of_newest.map(|issued| &issued.serial).collect();
    let status = AuthorityStatus::of(authority, now);
    let counting = status.issued.iter().filter(|issued| counts(&status, issued) && !of_newest.contains(&issued.serial));
    counting.map(|issued| issued.subject.role.clone()).collect()
}

/// Returns the members that have a certificate, each once.
fn members(status: &AuthorityStatus) -> impl Iterator<Item = &Role> {
    status.issued.iter().filter(|issued| counts(status, issued)).map(|issued| &issued.subject.role)
}

/// Returns whether somebody relies on a certificate.
fn counts(status: &AuthorityStatus, issued: &CertificateStatus) -> bool {
    !issued.is_revoked && !status.is_replaced(issued) && !matches!(issued.expiry, Expiry::Expired(_))
}
