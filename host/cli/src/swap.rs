//! `herd swap`: replaces the logic, or starts a candidate for a share of the sessions or calls.
//!
//! Only selects the guest and the request; the stages of a swap are the node's.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueHint};
use herd_admin::{AdminClient, Endpoint, ShareOptions, SwapOptions};
use herd_code::CompiledCode;
use herd_model::{GuestFiles, Share, SignedGuest};
use herd_registry::Artifact;
use serde_json::Value;

use super::admin_herd::AdminHerd;
use super::answers::print_herd_swap;
use super::cancellation::{Change, cancel_on_signal};
use super::format::Format;
use super::guest_file::{BroughtGuest, read_brought_guest, read_signatures};
use super::guest_place::{GuestPlace, RegistryArgs};
use super::nodes::{ask_each, ask_first};
use super::transcript_file::transcripts_json;
use super::watch::{RemoteHerd, follow};
use super::{canary, shadow};
use crate::default_guest;

/// Arguments of `herd swap`.
#[derive(Debug, Args)]
pub(super) struct SwapArgs {
    /// Component to swap to, built for wasm32-wasip2: a file, which may be a bundle of `herd compile`, or
    /// oci://HOST/REPOSITORY[:TAG]@sha256:DIGEST, as `herd push` prints it.
    #[arg(required_unless_present_any = ["report", "built_in"], value_parser = GuestPlace::parser(), value_hint = ValueHint::FilePath)]
    guest: Option<GuestPlace>,
    /// Swap to the guest built into this binary.
    #[arg(long, conflicts_with_all = ["guest", "watch"])]
    built_in: bool,
    /// Transcript (*.herd), or directory of transcripts, that the guest must pass before it serves, in place of those
    /// embedded in it or pulled with it. Repeatable.
    #[arg(long, value_name = "FILE")]
    transcripts: Vec<PathBuf>,
    /// File of signatures of the guest, in place of GUEST.minisig, which is sent along if it exists, or of those pulled with it. Repeatable.
    /// See `herd help signatures`.
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    signature: Vec<PathBuf>,
    /// Accept a guest that failed its probation before.
    #[arg(long)]
    again: bool,
    /// Skip the rehearsal on the recent decisions of the nodes.
    #[arg(long)]
    unrehearsed: bool,
    /// Refuse a guest whose records the active generation cannot read, so that a rollback loses nothing.
    #[arg(long)]
    reversible: bool,
    /// Swap to a guest that nodes would refuse otherwise: one that failed its probation or that fails the rehearsal on recent
    /// decisions, or that cannot read the form of some records. Those records stay, and are unknown to clients until a guest
    /// that reads them serves. Only a guest that does not load, or lacks the signatures that a node requires, is refused.
    #[arg(long, conflicts_with_all = ["reversible", "canary", "shadow"])]
    force: bool,
    /// Start a canary: the guest decides for this share of the sessions, 1% to 100%, each for as long as it lasts. See
    /// `herd canary`.
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow")]
    canary: Option<Share>,
    /// Start a shadow: the guest also decides this share of the calls, 1% to 100%, without effect, and differences are
    /// counted. See `herd shadow report`.
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "100%")]
    shadow: Option<Share>,
    /// With --shadow and no guest: print the report of the current shadow, as `herd shadow report` does.
    #[arg(long, requires = "shadow", conflicts_with_all = ["guest", "built_in"])]
    report: bool,
    /// Swap now and whenever the content of the file changes, until interrupted.
    #[arg(long, conflicts_with_all = ["transcripts", "canary", "shadow", "node", "json"])]
    watch: bool,
    /// Swap only this node, until the next swap of the herd. Repeatable. Default: every node of the herd or none; an absent
    /// node applies the swap when it is back.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print the answers of the nodes as JSON.
    #[arg(long)]
    json: bool,
}

/// Swaps to a guest, or starts it as a canary or a shadow.
pub(super) fn swap(config: &AdminHerd, args: &SwapArgs) -> anyhow::Result<ExitCode> {
    let format = Format::of_flag(args.json);
    if args.report {
        return shadow::report(config, &args.node, format);
    }
    let SwapArgs { again, unrehearsed, reversible, force, .. } = *args;
    let options = SwapOptions { again, unrehearsed, reversible, force };
    if let (Some(GuestPlace::File(path)), true) = (&args.guest, args.watch) {
        follow(path, RemoteHerd::new(config, options)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (Artifact { guest, signatures, transcripts }, codes) = artifact(args)?;
    let (transcripts, signatures) = (transcripts.as_deref(), signatures.as_deref());
    let files = GuestFiles { guest: &guest, transcripts, signatures };
    if !codes.is_empty() {
        bring_code(config, &args.node, &codes)?;
    }
    if let Some(share) = args.shadow {
        return shadow::begin(config, &args.node, files, ShareOptions { share, swap: options }, format);
    }
    if let Some(share) = args.canary {
        return canary::begin(config, &args.node, files, ShareOptions { share, swap: options }, format);
    }
    if args.node.is_empty() {
        let answer = ask_first(config, async |client, node| {
            cancel_on_signal(client, node, Change::Swap, client.herd_swap(node, files, options)).await
        })?;
        return print_herd_swap(&answer, format, "serving");
    }
    let answers = ask_each(config, &args.node, async |client, node| {
        cancel_on_signal(client, node, Change::Swap, client.swap(node, files, options)).await
    })?;
    answers.print_swaps(format, "serving")
}

/// Gives nodes the code of a bundle, before its guest is swapped in: the named ones of this host, or else one that answers. The others get it from
/// there.
///
/// # Errors
///
/// No node took it.
fn bring_code(config: &AdminHerd, nodes: &[String], codes: &[CompiledCode]) -> anyhow::Result<()> {
    let bring = async |client: &AdminClient, node: &Endpoint| {
        for code in codes {
            client.store_code(node, &code.encode()).await?;
        }
        Ok(Value::Null)
    };
    if nodes.is_empty() {
        return ask_first(config, bring).map(drop);
    }
    let answers = ask_each(config, nodes, bring)?.0;
    if answers.iter().any(|(_, answer)| answer.is_ok()) {
        return Ok(());
    }
    let failures = answers.into_iter().filter_map(|(node, answer)| Some(format!("{node}: {}", answer.err()?)));
    bail!("no node took the compiled code: {}", failures.collect::<Vec<_>>().join("; "))
}

/// Reads or pulls the guest with what is beside it, and the code of a bundle. Files that the command line names replace what is beside it.
fn artifact(args: &SwapArgs) -> anyhow::Result<(Artifact, Vec<CompiledCode>)> {
    let (mut artifact, codes) = match &args.guest {
        Some(GuestPlace::Registry(_)) if args.watch => bail!("--watch follows a file; a digest never changes"),
        Some(GuestPlace::Registry(reference)) => (args.registry.pull(reference)?, Vec::new()),
        Some(GuestPlace::File(path)) => {
            let BroughtGuest { guest: SignedGuest { guest, signatures }, codes } = read_brought_guest(path)?;
            let signatures = signatures.map(|signatures| signatures.to_vec());
            (Artifact { guest: guest.to_vec(), signatures, transcripts: None }, codes)
        }
        None => (Artifact { guest: default_guest().into(), signatures: None, transcripts: None }, Vec::new()),
    };
    if !args.signature.is_empty() {
        artifact.signatures = Some(read_signatures(&args.signature)?);
    }
    if !args.transcripts.is_empty() {
        artifact.transcripts = Some(transcripts_json(&args.transcripts)?);
    }
    Ok((artifact, codes))
}
