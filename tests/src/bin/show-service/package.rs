//! The Debian package, on a machine of its own: installed, upgraded, removed and purged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Reporter, Row};

use super::machine::Machine;

pub(crate) const ROW: Row = Row {
    name: "package",
    figures: &[
        Bar { figure: "node after the installation", bar: "active, answers" },
        Bar { figure: "exposure of the unit (systemd-analyze security)", bar: "at most 2" },
        Bar { figure: "record after an upgrade", bar: "kept" },
        Bar { figure: "process of the node after an upgrade", bar: "the same" },
        Bar { figure: "record after a kill of the process", bar: "kept" },
        Bar { figure: "configuration and records after a removal", bar: "kept" },
        Bar { figure: "files, users and units after a purge", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let package = built()?;
    let machine = Machine::boot(&PathBuf::from("target/show-service/root"))?;
    let before = files(&machine)?;
    install(&machine, &package)?;
    let active = machine.run(&["systemctl", "is-active", UNIT])?;
    let status = machine.run(&["herd", "status", "--config", CONFIG])?;
    let answers = status.lines().any(|line| line.starts_with("node-1 "));
    let said = if answers { "status answers" } else { status.trim() };
    reporter.show("node after the installation", format!("{}, {said}", active.trim()), active == "active\n" && answers);

    let security = machine.run(&["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT_FILE])?;
    let exposure = security
        .lines()
        .find_map(|line| line.split_once("exposure level for ")?.1.split(' ').nth(1)?.parse::<f64>().ok());
    let exposure = exposure.with_context(|| security.clone())?;
    reporter.show("exposure of the unit (systemd-analyze security)", format!("{exposure:.1}"), exposure <= 2.0);

    let report = "IAMAT kiwi +34.068930-118.445127 1";
    let accepted = machine.done(&["herd", "send", "node-1", report, "--config", CONFIG])?;
    ensure!(accepted.starts_with("AT node-1 "), "{accepted}");
    let process = || machine.run(&["systemctl", "show", "--property", "MainPID", UNIT]);
    let pid = process()?;
    ensure!(pid != "MainPID=0\n", "no process");
    install(&machine, &newer(&package)?)?;
    reporter.show("record after an upgrade", kept(&machine)?, knows(&machine)?);
    let same = process()? == pid && machine.run(&["systemctl", "is-active", UNIT])? == "active\n";
    let audit = machine.run(&["herd", "audit", "--wide", "--config", CONFIG])?;
    // A restart would be another process; without either the old program would go on.
    let upgraded = audit.lines().any(|line| line.contains("upgraded") && !line.contains("refused"));
    let value = format!(
        "{}, {}",
        if same { "the same" } else { "another one" },
        if upgraded { "upgraded" } else { "not upgraded" }
    );
    reporter.show("process of the node after an upgrade", value, same && upgraded);

    machine.done(&["systemctl", "kill", "--signal=KILL", UNIT])?;
    herd_tests::eventually("the node is back", || {
        let state = machine.run(&["systemctl", "is-active", UNIT]).map_err(|error| error.to_string())?;
        let pid_now = process().map_err(|error| error.to_string())?;
        if state == "active\n" && pid_now != pid { Ok(()) } else { Err(state) }
    });
    reporter.show("record after a kill of the process", kept(&machine)?, knows(&machine)?);

    machine.done(&["dpkg", "--remove", "herd"])?;
    let stays = machine.path(CONFIG).exists() && machine.path("/var/lib/herd/herd/nodes").exists();
    reporter.show("configuration and records after a removal", if stays { "kept" } else { "gone" }, stays);
    machine.done(&["dpkg", "--purge", "herd"])?;
    let left: Vec<String> = files(&machine)?.difference(&before).cloned().collect();
    reporter.show(
        "files, users and units after a purge",
        format!("{} {}", left.len(), left.join(" ")),
        left.is_empty(),
    );
    Ok(())
}

/// Returns the package that `.ci/package` has built.
fn built() -> Result<PathBuf> {
    let built = std::fs::read_dir("target/package").context("target/package (.ci/package makes it)")?;
    let mut packages = built.filter_map(|entry| Some(entry.ok()?.path()));
    packages
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("no .deb in target/package")
}

/// Makes a package of a later version with another program: a byte at its end changes its digest and nothing else.
fn newer(package: &Path) -> Result<PathBuf> {
    let newer = PathBuf::from("target/show-service/newer.deb");
    let script = r#"set -e
rm -rf "$1.d"
dpkg-deb --raw-extract "$0" "$1.d"
printf x >>"$1.d/usr/bin/herd"
sed -i 's/^Version: .*/Version: 99.0.0/' "$1.d/DEBIAN/control"
rm -f "$1.d/DEBIAN/md5sums"
dpkg-deb --root-owner-group --build "$1.d" "$1" >/dev/null
rm -rf "$1.d""#;
    let made = Command::new("bash").args(["-c", script]).arg(package).arg(&newer).status()?;
    ensure!(made.success(), "no later package");
    Ok(newer)
}

fn install(machine: &Machine, package: &Path) -> Result<()> {
    std::fs::copy(package, machine.path("/root/herd.deb"))?;
    machine.done(&["dpkg", "--install", "/root/herd.deb"])?;
    std::fs::remove_file(machine.path("/root/herd.deb"))?;
    Ok(())
}

fn answer(machine: &Machine) -> Result<String> {
    machine.run(&["herd", "send", "node-1", "WHATSAT kiwi 10 0", "--config", CONFIG])
}

fn knows(machine: &Machine) -> Result<bool> {
    Ok(answer(machine)?.starts_with("AT node-1 "))
}

fn kept(machine: &Machine) -> Result<String> {
    Ok(if knows(machine)? { "kept".into() } else { answer(machine)? })
}

/// Returns the files of the machine, users and groups, and units that are loaded; without logs and what dpkg and systemd note for
/// themselves.
fn files(machine: &Machine) -> Result<BTreeSet<String>> {
    let list = "find / -xdev -not -path '/var/log/*' -not -path '/var/lib/dpkg/*' -not -path '/var/cache/*' -not -path '/proc/*' \
        -not -path '/var/lib/systemd/*' -not -path '/var/tmp/systemd-private-*' -not -name '*-' -not -name '.pwd.lock'; \
        find /run -name '*herd*'; getent passwd; getent group; systemctl list-units --all --plain --no-legend 'herd*'";
    Ok(machine.done(&["sh", "-c", list])?.lines().map(Into::into).collect())
}

const UNIT: &str = "herd@node-1.service";
const UNIT_FILE: &str = "/usr/lib/systemd/system/herd@.service";
const CONFIG: &str = "/etc/herd/herd.toml";
