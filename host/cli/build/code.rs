//! Embeds the guest and its machine code, both packed, for programs without a compiler.

use std::env;
use std::path::{Path, PathBuf};

use super::guest::fail;

/// Embeds the guest and its machine code.
pub(super) fn embed(guest: &Path) {
    println!("cargo::rerun-if-env-changed=HERD_BUILD_CODE_TARGET");
    let processor = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let default = match processor.as_str() {
        // What every processor has since 2009, those of small hosts too, which often lack the next level.
        "x86_64" => "x86_64-linux+v2",
        _ => &format!("{processor}-linux"),
    };
    let parse = |target: &str| -> herd_runtime::CodeTarget {
        target.parse().unwrap_or_else(|error| fail(&format!("HERD_BUILD_CODE_TARGET: {error}")))
    };
    // All are parsed, so that a misspelt one is refused and not ignored.
    let named = env::var("HERD_BUILD_CODE_TARGET").unwrap_or_default();
    let named = named.split(',').filter(|target| !target.is_empty());
    let targets: Vec<_> = named.chain([default]).map(parse).collect();
    let target = targets.iter().find(|target| target.to_string().split('-').next() == Some(&processor));
    let target = target.unwrap_or_else(|| fail(&format!("cannot compile the guest for {processor}")));
    let component = std::fs::read(guest).unwrap_or_else(|error| fail(&format!("{}: {error}", guest.display())));
    let code = herd_runtime::precompile(&component, target, herd_runtime::Limits::default());
    let code = code.unwrap_or_else(|error| fail(&format!("{}: {error}", guest.display())));
    for (name, unpacked) in [("guest.wasm.zst", component), ("guest.code.zst", code)] {
        let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(name);
        if let Err(error) = pack(&unpacked).and_then(|packed| std::fs::write(&out, packed)) {
            fail(&format!("{}: {error}", out.display()));
        }
    }
    println!("cargo::rustc-env=HERD_BUILD_CODE={target}");
}

/// Packs with a window of 128 KiB, which the node has in memory while it unpacks.
fn pack(unpacked: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(*zstd::compression_level_range().end())?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::WindowLog(17))?;
    compressor.compress(unpacked)
}
