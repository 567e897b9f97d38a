//! Programs that `tests/show/edge` builds, and what runs those of another processor.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use herd_tests::tool;

/// A program and how it is built.
pub(crate) struct Build {
    pub(crate) name: &'static str,
    /// In the target directory.
    path: &'static str,
    command: &'static str,
}

pub(crate) const FULL: Build = Build { name: "full, glibc", path: "release/herd", command: "cargo build --release" };
pub(crate) const EDGE: Build = Build {
    name: "edge, musl",
    path: "x86_64-unknown-linux-musl/edge/herd",
    command: "cargo build --profile edge --no-default-features --features edge --target x86_64-unknown-linux-musl",
};
pub(crate) const OTHERS: [Build; 2] = [
    Build {
        name: "full, musl",
        path: "x86_64-unknown-linux-musl/release/herd",
        command: "cargo build --release --target x86_64-unknown-linux-musl",
    },
    Build {
        name: "edge, glibc",
        path: "edge/herd",
        command: "cargo build --profile edge --no-default-features --features edge",
    },
];
pub(crate) const ARM: Build = Build {
    name: "edge, aarch64",
    path: "aarch64-unknown-linux-musl/edge/herd",
    command: "HERD_BUILD_CODE_TARGET=aarch64-linux+small cargo build --profile edge --no-default-features --features edge \
              --target aarch64-unknown-linux-musl",
};

impl Build {
    /// Returns the program, or how to build it.
    pub(crate) fn there(&self) -> Result<PathBuf> {
        let target = std::env::var_os("HERD_TESTS_TARGET").map_or_else(|| "target".into(), PathBuf::from);
        let path = target.join(self.path);
        if !path.exists() {
            bail!("not built; type: {}", self.command);
        }
        Ok(path.canonicalize()?)
    }
}

/// Returns the program that runs those for aarch64 on this processor.
pub(crate) fn emulator() -> Result<PathBuf> {
    tool("qemu-aarch64", "qemu-user").context("qemu-aarch64 is not there: apt install qemu-user")
}
