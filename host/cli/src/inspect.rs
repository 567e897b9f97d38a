//! `herd inspect`: what a guest is, who signed it, and whether this host can run it.
//!
//! Runs no code of the guest but the call for its form, as the engine does. Bounds: the size of a guest, and the time of one request to a
//! node for what the herd serves.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueHint};
use herd_audit::sanitize;
use herd_model::{Digest, SignedGuest};
use herd_runtime::{Engine, GuestBefore, Inspection, Rescue, Stage};
use herd_sys::clock::unix_now;
use serde_json::{Value, json};

use super::admin_herd::AdminHerd;
use super::code_report::CodeReport;
use super::guest_file::{BroughtGuest, read_brought_guest, read_signatures};
use super::guest_place::{GuestPlace, RegistryArgs};
use super::json_text::{short, text};
use super::nodes::ask_first_with;
use super::signature_report::SignatureReport;
use crate::default_guest;

/// Arguments of `herd inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Component to inspect: a file, which may be a bundle, or oci://HOST/REPOSITORY:TAG, with or without a digest.
    #[arg(value_parser = GuestPlace::parser(), value_hint = ValueHint::FilePath)]
    guest: GuestPlace,
    /// File of signatures, in place of GUEST.minisig or those pulled with the guest. Repeatable.
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// Compare it with this component, in place of the guest that the herd serves.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print the inspection as JSON.
    #[arg(long)]
    json: bool,
}

/// Inspects a guest. Fails if this host cannot run it, or the configuration would not accept it.
pub(super) fn inspect(config: &AdminHerd, args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let named = || args.guest.to_string();
    let (BroughtGuest { mut guest, codes }, place) = read_or_pull(args)?;
    if !args.signature.is_empty() {
        guest.signatures = Some(read_signatures(&args.signature)?.into());
    }
    let engine = Engine::new(config.runtime.limits())?;
    let policy = config.swap.policy(Digest::of(default_guest()));
    let signatures = SignatureReport::of(&policy, guest.files(), unix_now());
    let codes: Vec<CodeReport> = codes.iter().map(|code| CodeReport::of(&policy, code, unix_now())).collect();
    let inspection = match engine.inspect(&guest.guest) {
        // It has a size and signatures all the same, and this build may have no compiler.
        Err(error) if error.stage == Stage::Compiled => {
            let verdict = if engine.compiles() { "this host cannot run it" } else { "unknown" };
            let (digest, size) = (guest.digest(), guest.guest.len());
            if args.json {
                let json = json!({ "digest": digest.to_string(), "size_bytes": size, "problems": [error.to_string()],
                    "signature": signatures.json(), "code": codes, "reference": place });
                say!("{}", serde_json::to_string_pretty(&json)?);
            } else {
                if let Some(place) = &place {
                    say!("from     {place}");
                }
                say_on!("digest   {digest}\nsize     {size} bytes\n{signatures}");
                codes.iter().for_each(|code| say!("{code}"));
                say!("verdict  {verdict}: {error}");
            }
            return Ok(ExitCode::FAILURE);
        }
        inspected => inspected.with_context(named)?,
    };
    let rescue = rescue(config, &engine, &inspection, args)?;
    if args.json {
        let mut json = json!(inspection);
        json["signature"] = signatures.json();
        json["rescue"] = json!(rescue);
        json["code"] = json!(codes);
        json["reference"] = json!(place);
        say!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        // The verdict of the host last, because it is what most people look for.
        if let Some(place) = &place {
            say!("from     {place}");
        }
        say_on!("{}{signatures}", inspection.facts());
        codes.iter().for_each(|code| say!("{code}"));
        if let Some(Rescue { verdict, .. }) = &rescue {
            say!("rescue   {verdict}");
        }
        say!("{}", inspection.verdict());
    }
    let is_good = inspection.problems.is_empty() && signatures.refused.is_none();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the guest, or pulls it, with the reference that has its digest.
fn read_or_pull(args: &InspectArgs) -> anyhow::Result<(BroughtGuest, Option<String>)> {
    match &args.guest {
        GuestPlace::File(path) => Ok((read_brought_guest(path)?, None)),
        GuestPlace::Registry(reference) => {
            let (reference, artifact) = args.registry.pull_current(reference)?;
            Ok((BroughtGuest { guest: artifact.files().into(), codes: Vec::new() }, Some(reference.to_string())))
        }
    }
}

/// Compares a guest with the one before it. None for a component that is no guest.
fn rescue(
    config: &AdminHerd,
    engine: &Engine,
    inspection: &Inspection,
    args: &InspectArgs,
) -> anyhow::Result<Option<Rescue>> {
    if inspection.contracts.is_empty() {
        return Ok(None);
    }
    let before = match &args.before {
        Some(path) => {
            let SignedGuest { guest, .. } = read_brought_guest(path)?.guest;
            let before = engine.inspect(&guest).with_context(|| path.display().to_string())?;
            before.form.map(|form| GuestBefore { name: sanitize(&path.display().to_string()), form })
        }
        None => Some(
            serving(config).unwrap_or_else(|| GuestBefore { name: "the built-in guest".into(), form: BUILT_IN_FORM }),
        ),
    };
    Ok(before.and_then(|before| inspection.rescue_by(&before)))
}

/// Returns what the first node that answers serves. None without one.
fn serving(config: &AdminHerd) -> Option<GuestBefore> {
    let client = herd_admin::AdminClient::new().ok()?;
    let asked = ask_first_with(&client, config, async |client, node| client.status(node).await);
    let status: Value = super::client_runtime::block_on(Box::pin(asked)).ok()?.ok()?;
    let active = &status["generations"]["active"];
    let form = u32::try_from(active["form"].as_u64()?).ok()?;
    let (name, node) = (sanitize(&text(&active["name"])), sanitize(&text(&status["node"])));
    Some(GuestBefore { name: format!("{name} ({}), which {node} serves,", short(&active["digest"])), form })
}

/// The guest inside this program exports no `forms`. A test holds it to that.
const BUILT_IN_FORM: u32 = 1;

#[cfg(test)]
mod tests {
    use herd_runtime::Limits;

    use super::*;

    #[test]
    fn inspect_knows_the_form_of_the_built_in_guest() {
        let built_in = Engine::new(Limits::default()).unwrap().inspect(default_guest()).unwrap();
        assert_eq!(built_in.form, Some(BUILT_IN_FORM));
        assert_eq!(built_in.verdict(), "verdict  this host can run it");
        let facts = built_in.facts().to_string();
        assert!(facts.starts_with("digest   ") && facts.ends_with('\n'), "{facts}");
        assert!(facts.contains("\nspeaks   herd:logic@0.1.0\n") && facts.contains("\nmemory   "), "{facts}");
    }
}
