//! Released versions of the contract stay frozen, because guests in the field were built against them.

use std::path::Path;

use herd_runtime::Digest;

/// Goal: `herd:logic@0.1.0` is not changed by accident. Method: a digest of the WIT files without comments and blank lines, so
/// that comments may improve. Any other change belongs in a new version beside this one.
#[test]
fn contract_of_a_released_version_does_not_change() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut files: Vec<_> = std::fs::read_dir(wit).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut contract = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        for line in lines {
            contract.push_str(line);
            contract.push('\n');
        }
    }
    assert!(contract.contains("package herd:logic@0.1.0;"));
    assert_eq!(Digest::of(contract.as_bytes()).to_string(), FROZEN, "{contract}");
}

const FROZEN: &str = "492fce301c359326eeaa13560bdbd4263bfa4de65235fcb01ba60e0b51a32b97";
