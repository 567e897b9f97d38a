//! `herd new`: a project for a guest, from a template that is built into this binary.
//!
//! Owns the names of projects and the commands that it prints. The files are those of `templates/`, with copies of the contract and of the
//! sdk of the language (`build/files.rs`). It reads and writes nothing outside the new folder.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

mod projects {
    include!(concat!(env!("OUT_DIR"), "/projects.rs"));
}

/// Arguments of `herd new`.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Name of the guest, and of the folder to create here: lower-case letters, digits and hyphens, beginning with a letter.
    name: String,
    /// Language of the guest.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
}

/// Language of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Rust, with cargo.
    Rust,
    /// Python, with componentize-py from PyPI.
    #[value(alias = "py")]
    Python,
    /// JavaScript, with componentize-qjs from npm.
    #[value(alias = "javascript")]
    Js,
}

/// Creates the project, and prints what to type next.
pub(super) fn new(args: &NewArgs) -> anyhow::Result<ExitCode> {
    check_name(&args.name)?;
    let directory = Path::new(&args.name);
    let files = args.lang.files();
    // Fails if a file or folder has that name, so that nothing of a user's is overwritten.
    match std::fs::create_dir(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("`{}` is already here; choose another name, or remove it first", args.name)
        }
        Err(error) => return Err(error).with_context(|| format!("cannot create the folder `{}`", args.name)),
    }
    if let Err(error) = write(directory, files, &args.name) {
        // Half a project would only be in the way. The error of the writing says what went wrong.
        let _ = std::fs::remove_dir_all(directory);
        return Err(error);
    }
    say!("created {}, a guest in {}: {} files", args.name, args.lang.title(), files.len());
    say!("\n  cd {}", args.name);
    for (command, what) in args.lang.commands() {
        say!("  {:<56}  # {what}", filled(command, &args.name));
    }
    say!("\n{}/README.md has the rest.", args.name);
    Ok(ExitCode::SUCCESS)
}

impl Language {
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => projects::RUST,
            Self::Python => projects::PYTHON,
            Self::Js => projects::JS,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Js => "JavaScript",
        }
    }

    /// Returns the commands that lead from a new project to a running guest, with their purposes.
    fn commands(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[
                ("cargo guest", "build"),
                ("herd test target/wasm32-wasip2/release/{{snake}}.wasm transcripts", "test"),
                ("herd swap target/wasm32-wasip2/release/{{snake}}.wasm", "swap"),
            ],
            Self::Python => &[
                ("python3 -m venv .venv", "once"),
                (".venv/bin/pip install -r requirements.txt", "once"),
                (".venv/bin/python -m herd_sdk.build app {{name}}.wasm", "build"),
                ("herd test {{name}}.wasm transcripts", "test"),
                ("herd swap {{name}}.wasm", "swap"),
            ],
            Self::Js => &[
                ("npm install", "once"),
                ("npm run build", "build"),
                ("herd test {{name}}.wasm transcripts", "test"),
                ("herd swap {{name}}.wasm", "swap"),
            ],
        }
    }
}

/// Writes the files of a project into its folder.
fn write(directory: &Path, files: &[(&str, &str)], name: &str) -> anyhow::Result<()> {
    for (path, text) in files {
        let file = directory.join(path);
        let parent = file.parent().unwrap_or(directory);
        let text = if is_vendored(path) { (*text).to_string() } else { filled(text, name) };
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&file, text));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Returns whether a file is source code of the sdk, in which double braces are not placeholders.
fn is_vendored(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(OsStr::to_str);
    let is_code = matches!(extension, Some("rs" | "py" | "js"));
    is_code && (path.starts_with("vendor/") || path.starts_with("herd_sdk/"))
}

/// Fills in the name of a project.
fn filled(text: &str, name: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{snake}}", &name.replace('-', "_"))
        .replace("{{sdk_version}}", env!("CARGO_PKG_VERSION"))
}

/// Checks the name of a project, which is also the name of its folder, its package and its crate.
fn check_name(name: &str) -> anyhow::Result<()> {
    let mut letters = name.bytes();
    let is_valid = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-')
        && !name.ends_with('-')
        && name.len() <= NAME_BYTES_MAX;
    if !is_valid {
        bail!(
            "`{}` cannot be the name of a guest: use 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens, beginning with a letter and not \
             ending with a hyphen, such as `my-guest`",
            name.escape_debug()
        );
    }
    if RESERVED.contains(&name) {
        bail!(
            "`{name}` cannot be the name of a guest, because tools of its language use it; for example, `my-{name}` can"
        );
    }
    Ok(())
}

/// Limit of crates.io for the name of a package; npm and PyPI allow more.
const NAME_BYTES_MAX: usize = 64;

/// Keywords, and crates and modules that a project needs under their own names.
const RESERVED: [&str; 58] = [
    "abstract",
    "alloc",
    "app",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "herd-sdk",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "node-modules",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_says_which_names_are_allowed() {
        for name in ["a", "my-guest", "guest2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "My", "-a", "a-", "2a", "a/b", "..", "a b", "a_b", "naïve", "a\nb", &"a".repeat(65)] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains("lower-case letters, digits and hyphens") && error.lines().count() == 1, "{error}");
        }
        assert!(check_name("fn").unwrap_err().to_string().ends_with("`my-fn` can"));
    }

    #[test]
    fn new_project_of_each_language_has_its_parts() {
        for language in [Language::Rust, Language::Python, Language::Js] {
            let paths: Vec<&str> = language.files().iter().map(|(path, _)| *path).collect();
            for needed in
                ["README.md", ".gitignore", ".github/workflows/ci.yml", "transcripts/hello.herd", "wit/logic.wit"]
            {
                assert!(paths.contains(&needed), "{language:?}: {needed} is not in {paths:?}");
            }
            // A runner has no herd until somebody adds the step, and the first push must not fail for that.
            let of_ci = language.files().iter().find(|(path, _)| path.ends_with("ci.yml")).unwrap().1;
            let (before, transcripts) = of_ci.split_once("if command -v herd >/dev/null; then\n").unwrap();
            assert!(transcripts.trim_start().starts_with("herd test ") && !before.contains("run: herd"), "{of_ci}");
            let unfilled = |(path, text): &&(&str, &str)| !is_vendored(path) && filled(text, "x").contains("{{");
            assert_eq!(language.files().iter().find(unfilled).map(|(path, _)| *path), None, "{language:?}");
        }
    }
}
