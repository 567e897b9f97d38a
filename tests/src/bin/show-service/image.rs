//! The OCI image: run with a root that nothing can write to, stopped, and run again on its volume.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Reporter, Row, eventually};
use rustix::process::{Resource, getrlimit};

pub(crate) const ROW: Row = Row {
    name: "image",
    figures: &[
        Bar { figure: "size of the image", bar: "at most 80 MiB" },
        Bar { figure: "node in a container, read-only, no capabilities", bar: "answers" },
        Bar { figure: "end at a stop", bar: "drained, with 0" },
        Bar { figure: "record in the next container on the volume", bar: "kept" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let archive = Path::new("target/package/herd-image.tar");
    let bytes = archive.metadata().context("target/package/herd-image.tar (.ci/package --image makes it)")?.len();
    let mib = bytes as f64 / f64::from(1 << 20);
    reporter.show("size of the image", format!("{mib:.0} MiB"), mib <= 80.0);
    let loaded = podman(&["load", "--input", &archive.to_string_lossy()])?;
    let image = loaded.lines().find_map(|line| line.strip_prefix("Loaded image: ")).context("no image was loaded")?;
    let left = Left { container: format!("herd-show-{}", std::process::id()), image: image.into() };
    let name = left.container.as_str();
    start(&left)?;
    let status = exec(name, &["herd", "status"])?;
    let accepted = exec(name, &["herd", "send", "node-1", "IAMAT kiwi +34.068930-118.445127 1"])?;
    let answers = status.contains("\nnode-1 ") && accepted.starts_with("AT node-1 ");
    let value = if answers { "answers".into() } else { format!("{status} {accepted}") };
    reporter.show("node in a container, read-only, no capabilities", value, answers);
    podman(&["stop", "--time", "15", name])?;
    let code = podman(&["inspect", "--format", "{{.State.ExitCode}}", name])?;
    reporter.show("end at a stop", code.trim(), code.trim() == "0");
    podman(&["rm", name])?;
    start(&left)?;
    let known = exec(name, &["herd", "send", "node-1", "WHATSAT kiwi 10 0"])?;
    let kept = known.starts_with("AT node-1 ");
    reporter.show("record in the next container on the volume", if kept { "kept" } else { &known }, kept);
    Ok(())
}

/// Starts the container and waits until its node is ready.
fn start(left: &Left) -> Result<()> {
    let name = left.container.as_str();
    // Podman raises the limit to a million unless told, which root in a container of its own may not.
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20).min(1 << 20);
    let processes = getrlimit(Resource::Nproc).maximum.unwrap_or(1 << 15).min(1 << 15);
    let hardened = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none"];
    let run = ["run".into(), "--detach".into(), format!("--name={name}"), format!("--volume={name}:/var/lib/herd")];
    let limits = [format!("--ulimit=nofile={limit}:{limit}"), format!("--ulimit=nproc={processes}:{processes}")];
    let runtime = std::env::var("HERD_TESTS_OCI_RUNTIME").ok().map(|runtime| format!("--runtime={runtime}"));
    let arguments: Vec<String> = run
        .into_iter()
        .chain(runtime)
        .chain(limits)
        .chain(hardened.map(Into::into))
        .chain([left.image.clone()])
        .collect();
    podman(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    eventually("a ready node", || {
        let log = podman(&["logs", name]).map_err(|error| error.to_string())?;
        if log.contains("node-1 ready") { Ok(()) } else { Err(log) }
    });
    Ok(())
}

fn exec(container: &str, command: &[&str]) -> Result<String> {
    podman(&[&["exec", container][..], command].concat())
}

/// Runs podman and returns what it printed to standard output.
fn podman(arguments: &[&str]) -> Result<String> {
    let output = Command::new("podman").args(arguments).output().context("podman (apt-get install podman)")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "podman {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// What is removed at the end.
struct Left {
    container: String,
    image: String,
}

impl Drop for Left {
    fn drop(&mut self) {
        let _ = podman(&["rm", "--force", "--volumes", &self.container]);
        let _ = podman(&["volume", "rm", "--force", &self.container]);
        let _ = podman(&["rmi", "--force", &self.image]);
    }
}
