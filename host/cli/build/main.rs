//! Builds the default guest and embeds it, so that one `cargo run` is a working herd. Embeds the files of `herd new` too.
//!
//! `HERD_DEFAULT_GUEST` names a component to embed in place of the one that it builds.
//!
//! With the feature `embedded-code` it compiles the guest for the target of the build, and packs component and code.
//! `HERD_BUILD_CODE_TARGET` names another target for builds for its processor; commas separate several.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(feature = "embedded-code")]
mod code;
mod files;
mod guest;

use self::guest::fail;

/// The workspace, as seen from this package.
const ROOT: &str = "../..";

fn main() {
    println!("cargo::rerun-if-env-changed=HERD_DEFAULT_GUEST");
    for input in ["guest/logic", "guest/component", "guest/sdk", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={ROOT}/{input}");
    }
    let guest = match env::var_os("HERD_DEFAULT_GUEST") {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            PathBuf::from(path)
        }
        // Not by its file, which is newer than the start of this script: the next build would run it again.
        None => guest::build(Path::new(ROOT), &["--package", "herd-guest"]).join("herd_guest.wasm"),
    };
    files::embed_transcripts();
    if cfg!(feature = "tools") {
        files::embed_projects();
    }
    #[cfg(feature = "embedded-code")]
    code::embed(&guest);
    describe_build();
    match guest.canonicalize() {
        Ok(guest) => println!("cargo::rustc-env=HERD_DEFAULT_GUEST={}", guest.display()),
        Err(error) => fail(&format!("{}: {error}", guest.display())),
    }
}

/// Passes on how the program is built, for `herd version --verbose`.
fn describe_build() {
    let compiler = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    let compiler = compiler.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    println!("cargo::rustc-env=HERD_BUILD_COMPILER={}", compiler.unwrap_or_else(|_| "unknown".into()));
    println!("cargo::rustc-env=HERD_BUILD_TARGET={}", env::var("TARGET").unwrap_or_else(|_| "unknown".into()));
}
