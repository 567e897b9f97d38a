//! From `herd new` to a changed answer in a running herd, in each language. The installation of its tools does not count.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Herd, Reporter, Row, Scratch};

use crate::languages::{self, LANGUAGES};

pub(crate) const ROW: Row = Row {
    name: "language-new",
    figures: &[
        Bar { figure: "rust: from `herd new` to a changed answer", bar: "at most 60 s" },
        Bar { figure: "rust: from a saved file to its answer", bar: "at most 500 ms" },
        Bar { figure: "python: from `herd new` to a changed answer", bar: "measured" },
        Bar { figure: "python: from a saved file to its answer", bar: "measured" },
        Bar { figure: "javascript: from `herd new` to a changed answer", bar: "at most 60 s" },
        Bar { figure: "javascript: from a saved file to its answer", bar: "measured" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    for language in LANGUAGES {
        let herd = Herd::of_one();
        let _up = herd.up();
        let scratch = Scratch::new();
        let project = Project::of(language, &scratch);
        let began = Instant::now();
        let made = herd.command(&["new", "shown", "--lang", language]).current_dir(scratch.directory()).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        project.run(&project.once)?;
        project.serve(&herd)?;
        let changed = herd.client("Riley").ask("HELLO kiwi");
        ensure!(changed == "hello, kiwi", "{language} answers {changed}");
        let seconds = began.elapsed().as_secs_f64();
        let figure = format!("{language}: from `herd new` to a changed answer");
        reporter.show(&figure, format!("{seconds:.1} s"), seconds <= 60.0 || language == "python");

        let source = project.directory.join(project.source);
        let edited = std::fs::read_to_string(&source)?.replace("hello, ", "welcome, ");
        let began = Instant::now();
        std::fs::write(&source, edited)?;
        project.serve(&herd)?;
        let changed = herd.client("Riley").ask("HELLO kiwi");
        ensure!(changed == "welcome, kiwi", "{language} answers {changed}");
        let seconds = began.elapsed().as_secs_f64();
        let figure = format!("{language}: from a saved file to its answer");
        reporter.show(&figure, format!("{seconds:.2} s"), seconds <= 0.5 || language != "rust");
    }
    Ok(())
}

/// A project, and the commands of its language.
struct Project {
    directory: PathBuf,
    source: &'static str,
    guest: &'static str,
    once: String,
    build: String,
}

impl Project {
    fn of(language: &str, scratch: &Scratch) -> Self {
        let directory = scratch.path("shown");
        // The tools are installed already, which the installation of a user would do once.
        let python = languages::directory().join("venv/bin/python").display().to_string();
        let (source, guest, once, build) = match language {
            "rust" => {
                ("src/lib.rs", "target/wasm32-wasip2/release/shown.wasm", String::new(), "cargo guest --quiet".into())
            }
            "python" => ("app.py", "shown.wasm", String::new(), format!("{python} -m herd_sdk.build app shown.wasm")),
            _ => (
                "app.js",
                "shown.wasm",
                "npm install --no-audit --no-fund --silent --prefer-offline".into(),
                "npm run -s build".into(),
            ),
        };
        Self { directory, source, guest, once, build }
    }

    /// Builds the guest, and swaps it in.
    fn serve(&self, herd: &Herd) -> Result<()> {
        self.run(&self.build)?;
        herd.swap(self.directory.join(self.guest), &[]).map_err(anyhow::Error::msg)
    }

    fn run(&self, command: &str) -> Result<()> {
        let mut shell = Command::new("bash");
        shell.args(["-c", command]).current_dir(&self.directory).env("CARGO_TARGET_DIR", "target");
        let output = shell.output().with_context(|| command.to_string())?;
        ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
