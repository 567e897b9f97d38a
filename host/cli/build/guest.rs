//! Builds guests, for the build scripts of this crate and of the tests.
//!
//! By a cargo of its own, into `guest` of the target directory: a build script cannot wait for the lock that the cargo around it holds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "wasm32-wasip2";

/// Builds the selected packages of a workspace, and returns the directory of the components.
pub(super) fn build(workspace: &Path, selection: &[&str]) -> PathBuf {
    add_target();
    let target_dir = target_dir();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .arg("build")
        .args(selection)
        .args(["--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .current_dir(workspace);
    // What the outer cargo was told is meant for the host.
    for (name, _) in env::vars() {
        let for_host = name.starts_with("CARGO_PROFILE_") || name.starts_with("CARGO_BUILD_");
        if for_host || FOR_HOST.contains(&&*name) {
            cargo.env_remove(name);
        }
    }
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(_) => fail("the guests do not build; the errors are above"),
        Err(error) => fail(&format!("cannot run cargo for the guests: {error}")),
    }
    target_dir.join(TARGET).join("guest")
}

/// Where the compiler has its libraries and programs.
fn sysroot() -> String {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "sysroot"])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string())
        .unwrap_or_default()
}

/// Adds the target if it is missing.
fn add_target() {
    if Path::new(&sysroot()).join("lib/rustlib").join(TARGET).exists() {
        return;
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if !added.is_ok_and(|status| status.success()) {
        fail(&format!("guests need a target that is not installed; type: rustup target add {TARGET}"));
    }
}

/// `guest` in the target directory, whatever that is: OUT_DIR is `target/PROFILE/build/PACKAGE/out`, or that in the directory of a triple,
/// for which the guest is the same.
fn target_dir() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let Some(directory) = out.ancestors().nth(4) else { fail("OUT_DIR is not in a target directory of cargo") };
    let triple = env::var_os("TARGET").unwrap_or_default();
    let of_triple = directory.file_name() == Some(&triple);
    directory.parent().filter(|_| of_triple).unwrap_or(directory).join("guest")
}

/// Ends the build with an error.
pub(super) fn fail(why: &str) -> ! {
    println!("cargo::error={why}");
    exit(1)
}

const FOR_HOST: [&str; 8] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "TARGET",
    "LLVM_PROFILE_FILE",
];
