//! `herd swap`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use herd_admin::{ShareOptions, SwapOptions};
use herd_model::Share;
use herd_runtime::with_transcripts;

use super::answers::{print_herd_swap, print_swaps};
use super::guest_file::read_guest;
use super::nodes::{ask_each, ask_first};
use super::transcript_file::read_transcripts;
use super::watch::{RemoteHerd, follow};
use super::{canary, shadow};
use crate::DEFAULT_GUEST;
use crate::config::HerdConfig;

/// Arguments of `herd swap`.
#[derive(Debug, Args)]
pub(super) struct SwapArgs {
    /// The component, built for wasm32-wasip2.
    #[arg(required_unless_present_any = ["report", "built_in"])]
    guest: Option<PathBuf>,
    /// The guest that is built into this binary, in place of a file.
    #[arg(long, conflicts_with_all = ["guest", "watch"])]
    built_in: bool,
    /// Transcripts (*.herd) that it has to hold before it serves, or directories of them, in place of those inside it.
    #[arg(long, value_name = "FILE")]
    transcripts: Vec<PathBuf>,
    /// Also if this guest failed its probation before.
    #[arg(long)]
    again: bool,
    /// Without rehearsing on the last decisions of the nodes.
    #[arg(long)]
    unrehearsed: bool,
    /// Only if the logic before it can read the records that this guest writes, so that there is a way back.
    #[arg(long)]
    reversible: bool,
    /// Serves a share of the sessions, 1% to 100%, and the same ones for as long as they last. See `herd canary`.
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow")]
    canary: Option<Share>,
    /// Serves nobody yet: decides this share of the calls too, 1% to 100%, and counts what it would have decided in
    /// another way. See `herd shadow report`.
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "100%")]
    shadow: Option<Share>,
    /// With --shadow and no guest: shows what the shadow that is on has found, as `herd shadow report` does.
    #[arg(long, requires = "shadow", conflicts_with_all = ["guest", "built_in"])]
    report: bool,
    /// Swaps now and whenever the content of the file changes, until it is interrupted.
    #[arg(long, conflicts_with_all = ["transcripts", "canary", "shadow", "node", "json"])]
    watch: bool,
    /// Only this node, for as long as the herd does not swap. May be given several times. Without it: every node of the herd
    /// or none; one that is absent takes it up when it is back.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Prints what the nodes say, as JSON.
    #[arg(long)]
    json: bool,
}

/// Replaces the logic.
pub(super) fn swap(config: &HerdConfig, args: &SwapArgs) -> anyhow::Result<ExitCode> {
    if args.report {
        return shadow::report(config, &args.node, args.json);
    }
    let options = SwapOptions { again: args.again, unrehearsed: args.unrehearsed, reversible: args.reversible };
    let mut guest = match &args.guest {
        Some(path) if args.watch => {
            follow(path, RemoteHerd::new(config, options)?);
            return Ok(ExitCode::SUCCESS);
        }
        Some(path) => read_guest(path)?,
        None => DEFAULT_GUEST.into(),
    };
    if !args.transcripts.is_empty() {
        let texts = read_transcripts(&args.transcripts)?.into_iter().map(|(name, _, text)| (name, text));
        guest = with_transcripts(&guest, &texts.collect());
    }
    if let Some(share) = args.shadow {
        return shadow::begin(config, &args.node, &guest, ShareOptions { share, swap: options }, args.json);
    }
    if let Some(share) = args.canary {
        return canary::begin(config, &args.node, &guest, ShareOptions { share, swap: options }, args.json);
    }
    if args.node.is_empty() {
        let swapped = ask_first(config, async |client, node| client.herd_swap(node, guest.clone(), options).await)?;
        return print_herd_swap(&swapped, args.json, "serving");
    }
    let answers = ask_each(config, &args.node, async |client, node| client.swap(node, guest.clone(), options).await)?;
    print_swaps(&answers, args.json, "serving")
}
