//! `herd sign`: adds a signature to the file beside a guest.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use herd_code::{Bundle, CompiledCode};
use herd_model::Digest;
use herd_signing::{PrivateKey, SignatureFile, beside};
use herd_sys::clock::unix_now;
use serde_json::json;

use super::guest_file::{read_guest, read_signatures, write_whole};
use super::numbers::counted;
use crate::default_guest;

/// Arguments of `herd sign`.
#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// Component to sign, or a bundle: then its code is signed too, and the signatures are in the bundle.
    #[arg(required_unless_present = "built_in")]
    guest: Option<PathBuf>,
    /// Sign the guest built into this binary, for nodes of another version of Herd. Needs --out.
    #[arg(long, conflicts_with = "guest", requires = "out")]
    built_in: bool,
    /// Private key, as `herd keygen` or `minisign -G -W` made it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of signatures. Signatures by other keys in it stay. Default: GUEST.minisig, or the bundle itself.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A line that is signed with the guest, and shown by herd inspect and minisign. Default: the time and the name of the file.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Signs a guest.
pub(super) fn sign(args: &SignArgs) -> anyhow::Result<ExitCode> {
    let guest = args.guest.as_deref().map_or_else(|| Ok(default_guest().to_vec()), read_guest)?;
    if let (Some(path), true) = (&args.guest, Bundle::is_one(&guest)) {
        return sign_bundle(args, path, &guest);
    }
    // What is no component at all is a slip of the pen; whether nodes can run it is for herd inspect.
    if !guest.starts_with(b"\0asm\x0d\0\x01\0") {
        let shown = args.guest.as_deref().unwrap_or(Path::new("the built-in guest")).display();
        bail!("{shown} is no component, so nothing was signed; herd inspect says what it is");
    }
    let out = match (&args.out, &args.guest) {
        (Some(out), _) => out.clone(),
        (None, Some(guest)) => beside(guest),
        (None, None) => bail!("--built-in needs --out"),
    };
    let mut file = match out.symlink_metadata() {
        Ok(_) => SignatureFile::parse(&read_signatures(std::slice::from_ref(&out))?)?,
        Err(_) => SignatureFile::default(),
    };
    let key = PrivateKey::load(&args.key).with_context(|| args.key.display().to_string())?;
    let name = args.guest.as_deref().and_then(Path::file_name).unwrap_or("the built-in guest".as_ref());
    let comment = args.comment.clone().unwrap_or_else(|| default_comment(&name.to_string_lossy()));
    file.add(key.sign(&guest, &comment)?)?;
    write_whole(&out, file.to_string().as_bytes())?;
    let (id, digest, count) = (key.public().id(), Digest::of(&guest), file.signatures().len());
    if args.json {
        say!("{}", json!({ "key_id": id, "digest": digest, "file": out, "signatures": count }));
    } else {
        say!("signed {} with key {id}; {} in {}", digest.short(), counted(count, "signature"), out.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Signs the component and all code of a bundle, in its file.
fn sign_bundle(args: &SignArgs, path: &Path, file: &[u8]) -> anyhow::Result<ExitCode> {
    let named = || path.display().to_string();
    let mut bundle = Bundle::decode(file).with_context(named)?;
    let key = PrivateKey::load(&args.key).with_context(|| args.key.display().to_string())?;
    let comment = args.comment.clone();
    let comment = comment.unwrap_or_else(|| default_comment(&path.file_name().unwrap_or_default().to_string_lossy()));
    let mut signatures = match bundle.signatures.is_empty() {
        true => SignatureFile::default(),
        false => SignatureFile::parse(&bundle.signatures).with_context(named)?,
    };
    signatures.add(key.sign(&bundle.guest, &comment)?)?;
    bundle.signatures = signatures.to_string().into_bytes();
    for code in &mut bundle.codes {
        code.sign(&key, &comment).with_context(named)?;
    }
    let out = args.out.as_deref().unwrap_or(path);
    write_whole(out, &bundle.encode())?;
    let (id, digest, count) = (key.public().id(), Digest::of(&bundle.guest), bundle.codes.len());
    if args.json {
        let signatures = signatures.signatures().len();
        let code = |code: &CompiledCode| json!({ "target": code.of.target, "digest": code.digest() });
        let code: Vec<_> = bundle.codes.iter().map(code).collect();
        say!(
            "{}",
            json!({ "key_id": id, "digest": digest, "file": out, "signatures": signatures, "codes": count, "targets": code })
        );
    } else {
        let targets = counted(count, "target");
        say!("signed {} and its code for {targets} with key {id}, in {}", digest.short(), out.display());
        for code in &bundle.codes {
            say!("  {}: {}", code.of.target, code.digest().short());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what minisign writes without `-t`.
fn default_comment(name: &str) -> String {
    let name: String = name.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect();
    format!("timestamp:{}\tfile:{name}\thashed", unix_now().as_secs())
}

/// Characters of the name of a file: its bytes fit into a comment whatever they are.
const NAME_CHARS_MAX: usize = 100;
