//! `herd certs`: the authority of a herd, and the files of its members.
//!
//! Works on files alone, on the host of the authority or on that of a node, and needs no running node and no network. What is
//! made, and what is checked, is up to `herd_identity`; here is which files are meant, and what to type next.
//!
//! Bounds: those of `herd_identity`.

mod bounded_read;
mod carried_file;
mod identity_files;
mod init;
mod install;
mod issue;
mod members;
mod output_file;
mod revoke;
mod roll;
mod show;
mod show_json;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::global_options::GlobalOptions;
use super::shell_word;

/// Arguments of `herd certs`.
#[derive(Debug, Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Make the authority of the herd, once for a herd.
    ///
    /// Its directory may be on a host or a medium of its own, offline: nodes never need it. A herd whose links are all on loopback
    /// makes an authority by itself, and all commands work on that one too.
    Init(init::InitArgs),
    /// Make a file with certificate and private key for a node, to be carried to its host and installed there.
    ///
    /// The file of `--config` goes into it, so that its host needs no other one. Earlier certificates of the node stay valid. If the key
    /// of one was stolen, `herd certs revoke` it first.
    Issue(issue::IssueArgs),
    /// Make a new file for a node that has one, with a new key.
    ///
    /// The old certificate stays valid until it expires, so that no link is dropped.
    Renew(issue::IssueArgs),
    /// Revoke all certificates of a node, for example because its key was stolen.
    ///
    /// Nodes on this host have the list at once, and running nodes pass it on. Where there is none, the list is written to a file that
    /// `herd certs install` takes on the host of any node. Repeated, the command writes the file again.
    Revoke(revoke::RevokeArgs),
    /// Replace the key of the authority: make a new one, which signs from now on, and which the old one vouches for.
    ///
    /// Certificates of both are valid until the old one is retired or expires.
    Roll(roll::RollArgs),
    /// End a roll-over: forget all keys of the authority but the newest.
    ///
    /// Refused while a member has certificates of an old key only.
    Retire(roll::RetireArgs),
    /// Show who has certificates, until when, and what to do: of the authority, if it is here, and of the nodes on this host.
    Show(show::ShowArgs),
    /// Put a file that was carried here to where the node of this host reads it, or the commands of its operator; or take a revocation list
    /// for all of them.
    ///
    /// A host without a configuration gets the one in the file, as `herd.toml` in the current directory or to `--config`. Refused if the
    /// file could not be used, if it is of another herd, or if the nodes here know that it was revoked. A running node
    /// takes it without a restart.
    Install(install::InstallArgs),
}

/// Performs one operation on files of the herd.
pub(super) fn certs(options: &GlobalOptions, args: &CertsArgs) -> anyhow::Result<ExitCode> {
    let config = || options.configured();
    match &args.command {
        CertsCommand::Init(args) => init::init(&config()?, args),
        CertsCommand::Issue(args) => issue::issue(&config()?, args),
        CertsCommand::Renew(args) => issue::renew(&config()?, args),
        CertsCommand::Revoke(args) => revoke::revoke(&config()?, args),
        CertsCommand::Roll(args) => roll::roll(&config()?, args),
        CertsCommand::Retire(args) => roll::retire(&config()?, args),
        CertsCommand::Show(args) => return show::show(&config()?, args),
        // Its file may carry the configuration, which the other commands find here.
        CertsCommand::Install(args) => install::install(options, args),
    }
    .map(|()| ExitCode::SUCCESS)
}
