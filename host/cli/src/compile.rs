//! `herd compile`: compiles a guest ahead into a bundle, for nodes that do not compile.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use herd_code::{Bundle, CompiledCode, Wanted};
use herd_model::Digest;
use herd_runtime::{CodeTarget, Limits, compiler, precompile};
use serde_json::json;

use super::guest_file::{read_guest, read_signatures_beside, write_whole};
use super::numbers::counted;
use crate::default_guest;

/// Arguments of `herd compile`.
#[derive(Debug, Args)]
pub(super) struct CompileArgs {
    /// Component to compile. Its signatures in GUEST.minisig come into the bundle.
    #[arg(required_unless_present = "built_in")]
    guest: Option<PathBuf>,
    /// Compile the guest built into this binary. Needs --out.
    #[arg(long, conflicts_with = "guest", requires = "out")]
    built_in: bool,
    /// Machine to compile for: a platform, then `+` and each level or feature of its processor, such as `x86_64-linux+v3` or `aarch64-linux`;
    /// `+small` for nodes with `runtime.reservation = "small"`. Triples of Rust are understood. Repeatable. Default: machines like this one.
    #[arg(long, value_name = "TARGET")]
    target: Vec<CodeTarget>,
    /// Bundle to write. Default: the name of the guest with `.bundle` in place of `.wasm`.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Compiles a guest.
pub(super) fn compile(args: &CompileArgs) -> anyhow::Result<ExitCode> {
    let guest = args.guest.as_deref().map_or_else(|| Ok(default_guest().to_vec()), read_guest)?;
    let signatures = args.guest.as_deref().map(read_signatures_beside).transpose()?.flatten().unwrap_or_default();
    let out = match (&args.out, &args.guest) {
        (Some(out), _) => out.clone(),
        (None, Some(guest)) => guest.with_extension("bundle"),
        (None, None) => anyhow::bail!("--built-in needs --out"),
    };
    let own = [CodeTarget::of_this_machine(Default::default()).rounded()];
    let mut targets = if args.target.is_empty() { own.to_vec() } else { args.target.clone() };
    targets.sort_by_key(ToString::to_string);
    targets.dedup();
    let digest = Digest::of(&guest);
    let named = || args.guest.as_deref().map_or("the built-in guest".into(), |path| path.display().to_string());
    let mut codes = Vec::new();
    for target in &targets {
        let code = precompile(&guest, target, Limits::default()).with_context(named)?;
        let of = Wanted { guest: digest, target: target.to_string(), compiler: compiler(Limits::default()) };
        codes.push(CompiledCode { of, code, signatures: Vec::new() });
    }
    let bundle = Bundle { guest, signatures, codes };
    let file = bundle.encode();
    // As nodes will read it: not too many targets, and not too large.
    Bundle::decode(&file).with_context(named)?;
    write_whole(&out, &file)?;
    if args.json {
        let code = |code: &CompiledCode| json!({ "target": code.of.target, "compiler": code.of.compiler, "bytes": code.code.len(), "digest": code.digest() });
        let codes: Vec<_> = bundle.codes.iter().map(code).collect();
        say!("{}", json!({ "digest": digest, "file": out, "code": codes }));
        return Ok(ExitCode::SUCCESS);
    }
    say!("compiled {} for {}, into {}", digest.short(), counted(bundle.codes.len(), "target"), out.display());
    for code in &bundle.codes {
        say!("  {}: {} KiB, {}", code.of.target, code.code.len() >> 10, code.digest().short());
    }
    say!("nodes take it once a key of theirs has signed it: herd sign {} --key FILE", out.display());
    Ok(ExitCode::SUCCESS)
}
