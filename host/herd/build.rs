//! Has the linker make the program small: it keeps one of several functions with the same code, which are 1.3 MB of the full program, and
//! leaves out tables that are of no use where a panic ends the process.
//!
//! For Linux and the linker that rustc brings alone: others may not know the options.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !is("CARGO_CFG_TARGET_OS", "linux") || flags.contains("linker") || flags.contains("fuse-ld") {
        return;
    }
    let linkers =
        Path::new(&sysroot()).join("lib/rustlib").join(env::var("HOST").unwrap_or_default()).join("bin/gcc-ld");
    let mut arguments = vec!["-Wl,--icf=all".to_string()];
    if is("CARGO_CFG_TARGET_ENV", "musl") && linkers.join("ld.lld").exists() {
        arguments.extend([format!("-B{}", linkers.display()), "-fuse-ld=lld".into()]);
    } else if !is("CARGO_CFG_TARGET_ENV", "gnu")
        || !is("CARGO_CFG_TARGET_ARCH", "x86_64")
        || env::var_os("RUSTC_LINKER").is_some()
    {
        // Not the linker that rustc uses by itself.
        return;
    }
    // cargo tells a build script nothing of `panic`, but the directory is named after the profile.
    if profile().is_some_and(|profile| profile == "edge") {
        let script = Path::new("no-unwind-tables.ld");
        println!("cargo::rerun-if-changed={}", script.display());
        match script.canonicalize() {
            Ok(script) => arguments.push(format!("-Wl,-T,{}", script.display())),
            Err(error) => println!("cargo::error={}: {error}", script.display()),
        }
    }
    for argument in arguments {
        println!("cargo::rustc-link-arg-bin=herd={argument}");
    }
}

/// The name of the profile's directory: OUT_DIR is `target/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn profile() -> Option<String> {
    let out = PathBuf::from(env::var_os("OUT_DIR")?);
    Some(out.ancestors().nth(3)?.file_name()?.to_str()?.to_string())
}

/// Where the compiler has its libraries and programs.
fn sysroot() -> String {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "sysroot"])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string())
        .unwrap_or_default()
}
