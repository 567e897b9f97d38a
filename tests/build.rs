//! Builds the guests that the tests serve and generates `Fixture`, an enum with a variant for each file in `guests/examples`.
//!
//! A match over `Fixture` does not compile until a new fixture is handled.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../host/cli/build/guest.rs"]
mod guest;

use self::guest::fail;

/// Working guests, each with the environment variable that holds the path of its component.
const GUESTS: [(&str, &str); 4] = [
    ("herd_guest", "HERD_TESTS_DEFAULT_GUEST"),
    ("herd_example_hello", "HERD_TESTS_HELLO"),
    ("herd_example_watch", "HERD_TESTS_WATCH"),
    ("herd_example_resp", "HERD_TESTS_RESP"),
];

fn main() {
    for input in ["guests", "../guest", "../wit", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let built = build_guests();
    for (name, variable) in GUESTS {
        println!("cargo::rustc-env={variable}={}", existing(&built.join(name)).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("fixture.rs");
    if let Err(error) = fs::write(&out, fixtures(&built.join("examples"))) {
        fail(&format!("{}: {error}", out.display()));
    }
}

/// Builds every guest and returns the directory of the components.
///
/// Each package by itself, as a user builds it: the features of dependencies are those that all packages of a build ask for, so built
/// together with others the default guest would have another digest than the one that the program embeds, in the same file.
fn build_guests() -> PathBuf {
    let workspace = Path::new("..");
    for package in ["herd-guest", "herd-example-hello", "herd-example-watch", "herd-example-resp"] {
        guest::build(workspace, &["--package", package]);
    }
    guest::build(workspace, &["--lib", "--examples", "--package", "herd-test-guests"])
}

/// Generates the source of the enum.
fn fixtures(built: &Path) -> String {
    let mut names: Vec<String> = fs::read_dir("guests/examples")
        .unwrap_or_else(|error| fail(&format!("guests/examples: {error}")))
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().strip_suffix(".rs")?.to_string()))
        .collect();
    names.sort();
    let (mut variants, mut all, mut paths) = (String::new(), String::new(), String::new());
    for name in &names {
        let (variant, path) = (camel(name), existing(&built.join(name)));
        let doc = first_line(&Path::new("guests/examples").join(name).with_extension("rs"));
        let _ = writeln!(variants, "    /// {doc}\n    {variant},");
        let _ = write!(all, "Self::{variant}, ");
        let _ = writeln!(paths, "            Self::{variant} => {path:?},");
    }
    format!(
        "/// A faulty guest, named after its fault.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n\
         pub enum Fixture {{\n{variants}}}\n\n\
         impl Fixture {{\n    /// Every faulty guest.\n    pub const ALL: [Self; {count}] = [{all}];\n\n    \
         fn location(self) -> &'static str {{\n        match self {{\n{paths}        }}\n    }}\n}}\n",
        count = names.len(),
    )
}

/// Path of the component, from a path without its ending.
fn existing(path: &Path) -> PathBuf {
    let path = path.with_extension("wasm");
    match path.canonicalize() {
        Ok(path) => path,
        Err(_) => fail(&format!("{} was not built; is it listed in tests/guests/Cargo.toml?", path.display())),
    }
}

fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// First line of a file, which documents the fixture.
fn first_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim_start_matches("//!").trim().to_string()
}
