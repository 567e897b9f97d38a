//! `herd keygen`: makes a key that signs guests.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use herd_signing::PrivateKey;
use herd_sys::file_name;
use serde_json::json;

use super::guest_file::write_whole;

/// Arguments of `herd keygen`.
#[derive(Debug, Args)]
pub(super) struct KeygenArgs {
    /// Name of the key, such as release: of its files, and in the configuration of nodes that trust it.
    name: String,
    /// Directory for the files NAME.key and NAME.pub. Default: the current one.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the public key as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes a key, and says how nodes come to trust it. Never replaces a file.
pub(super) fn keygen(args: &KeygenArgs) -> anyhow::Result<ExitCode> {
    let KeygenArgs { name, out, json } = args;
    if name.is_empty() || file_name::of(name) != *name || name.starts_with('.') {
        bail!("`{}` is no name for a key; use letters, digits, and any of - _ .", name.escape_debug());
    }
    let directory = out.as_deref().unwrap_or(Path::new(""));
    let [private, public] = ["key", "pub"].map(|ending| directory.join(format!("{name}.{ending}")));
    for path in [&private, &public] {
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} exists; what it signed would be worth nothing with another key: name another one, or another directory with --out",
                path.display()
            );
        }
    }
    let key = PrivateKey::generate()?;
    if !directory.as_os_str().is_empty() {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    key.store(&private)?;
    write_whole(&public, key.public().file().as_bytes())?;
    let (id, key) = (key.public().id(), key.public().to_string());
    if *json {
        say!("{}", json!({ "name": name, "key_id": id, "key": key, "private_file": private, "public_file": public }));
        return Ok(ExitCode::SUCCESS);
    }
    say!("made key {id}\n");
    say!("{}   for whoever signs: keep it secret, and no copy on the nodes", private.display());
    say!("{}   for everybody; herd sign GUEST --key {} signs a guest\n", public.display(), private.display());
    say!(
        "Nodes that take no guest without its signature have this in their configuration, and are restarted with it:\n"
    );
    say!("[swap.require_signature.keys]\n{} = {{ key = \"{key}\" }}", toml_key(name));
    Ok(ExitCode::SUCCESS)
}

/// Returns a name as a key of TOML.
fn toml_key(name: &str) -> String {
    let is_bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare { name.into() } else { format!("\"{name}\"") }
}
