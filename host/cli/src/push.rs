//! `herd push`: stores a guest in a registry, with its signatures and transcripts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueHint};
use herd_model::limits::GUEST_BYTES_MAX;
use herd_model::{Digest, GuestFiles};
use herd_registry::{Interfaces, Reference};
use herd_runtime::{Engine, Limits};
use herd_signing::SignatureFile;
use serde_json::json;

use super::client_runtime::block_on;
use super::guest_file::{read_guest, read_signatures, read_signatures_beside};
use super::guest_place::RegistryArgs;
use super::numbers::counted;
use super::transcript_file::{read_transcripts, transcripts_json};

/// Arguments of `herd push`.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// Component to push.
    #[arg(value_hint = ValueHint::FilePath)]
    guest: PathBuf,
    /// Where to: oci://HOST/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE", value_hint = ValueHint::Url)]
    reference: Reference,
    /// Transcript (*.herd), or directory of transcripts, that travels with the guest: `herd swap` sends it to the nodes. Repeatable.
    #[arg(long, value_name = "FILE")]
    transcripts: Vec<PathBuf>,
    /// File of signatures of the guest, in place of GUEST.minisig, which is pushed if it exists. Repeatable.
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Pushes a guest.
pub(super) fn push(args: &PushArgs) -> anyhow::Result<ExitCode> {
    let guest = read_guest(&args.guest)?;
    let named = || args.guest.display().to_string();
    if guest.len() > GUEST_BYTES_MAX {
        bail!("{} has {} bytes; a guest has at most {GUEST_BYTES_MAX}", named(), guest.len());
    }
    // Whoever pulls it can run it or not; whether it is a component at all shows here. Compiles it, as herd inspect does.
    let inspection = Engine::new(Limits::default())?.inspect(&guest).with_context(named)?;
    let signatures = match &*args.signature {
        [] => read_signatures_beside(&args.guest)?,
        files => Some(read_signatures(files)?),
    };
    let signed = signatures.as_deref().map(SignatureFile::parse).transpose();
    let signed = signed.context("the signatures cannot be read")?.map_or(0, |file| file.signatures().len());
    let transcripts = (!args.transcripts.is_empty()).then(|| transcripts_json(&args.transcripts)).transpose()?;
    let tested = if transcripts.is_some() { read_transcripts(&args.transcripts)?.len() } else { 0 };
    let files = GuestFiles { guest: &guest, transcripts: transcripts.as_deref(), signatures: signatures.as_deref() };
    let interfaces = Interfaces { imports: inspection.imports, exports: inspection.exports };
    let mut registry = args.registry.registry(&args.reference)?;
    let pushed = block_on(Box::pin(async { registry.push(files, &interfaces).await }))??;
    let digest = Digest::of(&guest);
    if args.json {
        let reference = pushed.to_string();
        say!("{}", json!({ "reference": reference, "digest": digest, "signatures": signed, "transcripts": tested }));
    } else {
        // The reference alone on standard output, for `herd swap $(herd push ...)`.
        eprintln!(
            "pushed {} with {} and {}; herd swap takes it as",
            digest.short(),
            counted(signed, "signature"),
            counted(tested, "transcript")
        );
        say!("{pushed}");
    }
    Ok(ExitCode::SUCCESS)
}
