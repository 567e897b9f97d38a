//! Builds the default guest and embeds it, so that one `cargo run` is a working herd. Embeds the files of `herd new` too.
//!
//! The guest is built by a cargo of its own into `guest` of the target directory: a build script cannot wait for
//! the lock that the cargo around it holds. `HERD_DEFAULT_GUEST` names a component to embed instead.
//!
//! With the feature `embedded-code` it compiles the guest for the target of the build, and packs component and code.
//! `HERD_BUILD_CODE_TARGET` names another target for builds for its processor; commas separate several.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// The workspace, as seen from this package.
const ROOT: &str = "../..";
const TARGET: &str = "wasm32-wasip2";

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
        None => build_guest(),
    };
    embed_transcripts();
    if cfg!(feature = "tools") {
        embed_projects();
    }
    #[cfg(feature = "embedded-code")]
    embed_code(&guest);
    describe_build();
    match guest.canonicalize() {
        Ok(guest) => println!("cargo::rustc-env=HERD_DEFAULT_GUEST={}", guest.display()),
        Err(error) => fail(&format!("{}: {error}", guest.display())),
    }
}

/// Embeds the guest and its machine code, both packed.
#[cfg(feature = "embedded-code")]
fn embed_code(guest: &Path) {
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
#[cfg(feature = "embedded-code")]
fn pack(unpacked: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(*zstd::compression_level_range().end())?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::WindowLog(17))?;
    compressor.compress(unpacked)
}

/// Embeds the transcripts of the line protocol, so that `herd test` has something to run against any guest.
fn embed_transcripts() {
    const DIRECTORY: &str = "../../tests/transcripts";
    println!("cargo::rerun-if-changed={DIRECTORY}");
    let Ok(entries) = std::fs::read_dir(DIRECTORY) else { fail("tests/transcripts is not there") };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "herd"));
    paths.sort();
    let mut list = String::from("[\n");
    for path in &paths {
        let name = path.file_stem().unwrap_or_default().display();
        match path.canonicalize() {
            Ok(path) => list.push_str(&format!("    ({:?}, include_str!({path:?})),\n", name.to_string())),
            Err(error) => fail(&format!("{}: {error}", path.display())),
        }
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("transcripts.rs");
    if let Err(error) = std::fs::write(&out, list) {
        fail(&format!("{}: {error}", out.display()));
    }
}

/// Embeds the files of new projects: for each language its template, and copies of the contract and of the sdk.
fn embed_projects() {
    let common = [("templates/common", ""), ("../../wit", "wit")];
    // In the sdk for Rust the contract is a link, as its package has it.
    let rust =
        [("templates/rust", ""), ("../../wit", "vendor/herd-sdk/wit"), ("../../guest/sdk/src", "vendor/herd-sdk/src")];
    let python = [("templates/python", ""), ("../../guest/sdk-python/herd_sdk", "herd_sdk")];
    let js = [("templates/js", ""), ("../../guest/sdk-javascript/herd-sdk", "vendor/herd-sdk")];
    let languages: [(&str, &[(&str, &str)]); 3] = [("RUST", &rust), ("PYTHON", &python), ("JS", &js)];
    let mut code = String::new();
    for (language, trees) in languages {
        let mut files = Vec::new();
        for (directory, target) in common.iter().chain(trees) {
            println!("cargo::rerun-if-changed={directory}");
            list_files(Path::new(directory), Path::new(target), &mut files);
        }
        files.sort();
        code.push_str(&format!("pub(super) const {language}: &[(&str, &str)] = &[\n"));
        for (target, path) in files {
            code.push_str(&format!("    ({target:?}, include_str!({path:?})),\n"));
        }
        code.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("projects.rs");
    if let Err(error) = std::fs::write(&out, code) {
        fail(&format!("{}: {error}", out.display()));
    }
}

/// Lists the files below a directory, each with its path in a project. Leaves out what tools write beside sources.
fn list_files(directory: &Path, target: &Path, files: &mut Vec<(String, PathBuf)>) {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => fail(&format!("{}: {error}", directory.display())),
    };
    for entry in entries.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        if ["__pycache__", "node_modules", "target"].iter().any(|written| name == *written) {
            continue;
        }
        let target = target.join(&name);
        match path.canonicalize() {
            Ok(path) if path.is_dir() => list_files(&path, &target, files),
            Ok(path) => files.push((target.display().to_string(), path)),
            Err(error) => fail(&format!("{}: {error}", path.display())),
        }
    }
}

/// Passes on how the program is built, for `herd version --verbose`.
fn describe_build() {
    let compiler = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    let compiler = compiler.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    println!("cargo::rustc-env=HERD_BUILD_COMPILER={}", compiler.unwrap_or_else(|_| "unknown".into()));
    println!("cargo::rustc-env=HERD_BUILD_TARGET={}", env::var("TARGET").unwrap_or_else(|_| "unknown".into()));
}

fn build_guest() -> PathBuf {
    add_target();
    let target_dir = target_dir();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--package", "herd-guest", "--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .current_dir(ROOT);
    // What the outer cargo was told is meant for the host.
    for (name, _) in env::vars() {
        let for_host = name.starts_with("CARGO_PROFILE_") || name.starts_with("CARGO_BUILD_");
        if for_host || FOR_HOST.contains(&&*name) {
            cargo.env_remove(name);
        }
    }
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(_) => fail("the default guest does not build; its errors are above"),
        Err(error) => fail(&format!("cannot run cargo for the default guest: {error}")),
    }
    target_dir.join(TARGET).join("guest/herd_guest.wasm")
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
        fail(&format!("the guest needs a target that is not installed; type: rustup target add {TARGET}"));
    }
}

/// `guest` in the target directory, whatever that is: OUT_DIR is `target/PROFILE/build/PACKAGE/out`, or that in the directory of a triple,
/// for which the guest is the same.
fn target_dir() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let directory = out.ancestors().nth(4).unwrap_or(Path::new("../../target"));
    let triple = env::var_os("TARGET").unwrap_or_default();
    let of_triple = directory.file_name() == Some(&triple);
    directory.parent().filter(|_| of_triple).unwrap_or(directory).join("guest")
}

fn fail(why: &str) -> ! {
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
