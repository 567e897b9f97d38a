//! Embeds files of the repository: the transcripts of the line protocol, and projects for guests.

use std::env;
use std::path::{Path, PathBuf};

use super::guest::fail;

/// Embeds the transcripts of the line protocol, so that `herd test` has something to run against any guest.
pub(super) fn embed_transcripts() {
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
pub(super) fn embed_projects() {
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
