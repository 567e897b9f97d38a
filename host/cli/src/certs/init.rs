//! `herd certs init`: makes the authority of a herd.

use anyhow::bail;
use clap::Args;
use herd_identity::{AUTHORITY_LIFETIME, Authority, AuthorityStatus};

use super::super::configured_herd::ConfiguredHerd;
use super::super::numbers::days;
use super::identity_files::{AuthorityArgs, IdentityFiles, whole_now};
use super::shell_word::shell_word;

/// Arguments of `herd certs init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Lifetime of the authority. Default: ten years.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    days: Option<std::time::Duration>,
}

/// Makes the authority. Fails if there is one.
pub(super) fn init(config: &ConfiguredHerd, args: &InitArgs) -> anyhow::Result<()> {
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    let directory = files.authority_directory();
    if Authority::exists(directory) {
        // Another herd's is named as such.
        let authority = files.open()?;
        bail!(
            "{} has the authority of herd {} already; go on with: {}",
            directory.display(),
            authority.herd().escape_debug(),
            files.command("issue NODE")
        );
    }
    let now = whole_now();
    let lifetime = args.days.unwrap_or(AUTHORITY_LIFETIME);
    let authority = Authority::create(directory, files.herd(), lifetime, now)?;
    for root in AuthorityStatus::of(&authority, now).authorities {
        say!("{root}");
    }
    say!("  in {}", directory.display());
    say!("whoever has authority.pem can make members of the herd: keep a copy in a safe place, and show it to nobody");
    let names: Vec<String> = config.node_names().into_iter().map(shell_word).collect();
    say!("next, for all nodes or for some at a time:");
    say!("    {}", files.command(&format!("issue {}", names.join(" "))));
    Ok(())
}
