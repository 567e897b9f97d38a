//! A log that cannot be written: a full file system, errors of the device, a file system that became read-only.
//!
//! Promised in each case: new reports are answered with a `? ` copy, `WHATSAT` goes on, the node takes reports again without a
//! restart once it can, and what it acknowledged is there after kill -9.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Client, Clients, FileFault, Herd, Interposer, OpenLoad, Reporter, Row, WAIT_MAX};

use crate::nodes::Nodes;

pub(crate) const ROW: Row = Row {
    name: "disk-full",
    figures: &[
        Bar { figure: "os, file system full", bar: BAR },
        Bar { figure: "disk, file system full", bar: BAR },
        Bar { figure: "os, writes fail with EIO", bar: BAR },
        Bar { figure: "disk, syncs fail with EIO", bar: BAR },
        Bar { figure: "os, file system read-only", bar: BAR },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    for durability in ["os", "disk"] {
        let value = full(durability);
        show(reporter, &format!("{durability}, file system full"), value);
    }
    for (durability, fault, figure) in [
        ("os", FileFault::WriteError, "os, writes fail with EIO"),
        ("disk", FileFault::SyncError, "disk, syncs fail with EIO"),
        ("os", FileFault::ReadOnly, "os, file system read-only"),
    ] {
        let value = failing(durability, fault);
        show(reporter, figure, value);
    }
    Ok(())
}

fn show(reporter: &mut Reporter<'_>, figure: &str, value: Result<String>) {
    let holds = value.is_ok();
    let value = value.unwrap_or_else(|why| format!("{why:#}").chars().take(160).collect());
    reporter.show(figure, value, holds);
}

/// Fills a file system of a few MiB with reports beside a ballast, and then removes the ballast.
fn full(durability: &str) -> Result<String> {
    let herd = Herd::of_one().as_for_users().with(&format!("records.durability={durability:?}"));
    let directory = herd.node_directory("Riley");
    let _mounted = Mounted::at(&directory)?;
    let ballast = directory.join("ballast");
    std::fs::write(&ballast, vec![0; BALLAST_BYTES])?;
    let mut nodes = Nodes::start(&herd);
    broken_and_mended(&herd, &mut nodes, || {}, || Ok(std::fs::remove_file(&ballast)?))
}

/// Has calls on the files of the node fail for a while.
fn failing(durability: &str, fault: FileFault) -> Result<String> {
    let herd = Herd::of_one().as_for_users().with(&format!("records.durability={durability:?}"));
    let interposer = Interposer::build(herd.scratch())?;
    let mut nodes = Nodes::start_apart(&herd, &interposer);
    let directory = herd.node_directory("Riley");
    broken_and_mended(
        &herd,
        &mut nodes,
        || interposer.fail(fault, &directory),
        || {
            interposer.mend();
            Ok(())
        },
    )
}

fn broken_and_mended(
    herd: &Herd,
    nodes: &mut Nodes<'_>,
    breaking: impl FnOnce(),
    mending: impl FnOnce() -> Result<()>,
) -> Result<String> {
    let mut client = herd.client("Riley");
    ensure!(client.ask("IAMAT early +34-118 1").starts_with("AT Riley "), "the first report is refused");
    let load = OpenLoad {
        name: "full".into(),
        nodes: nodes.addresses(),
        connections_per_node: 4,
        rate: 5_000.0,
        clients: Clients::New { reports_each: 1 },
    };
    let load = load.start();
    load.await_acknowledged(1_000)?;
    breaking();
    let began = Instant::now();
    while load.unconfirmed() == 0 {
        ensure!(began.elapsed() < WAIT_MAX, "{} reports, and none is refused", load.acknowledged());
        std::thread::sleep(Duration::from_millis(10));
    }
    // Under load for a while, or the last free page would still take the line of this client.
    std::thread::sleep(Duration::from_millis(500));
    let line = "IAMAT late  +34-118 2 ";
    let answer = client.ask(line);
    ensure!(answer == format!("? {line}"), "while the log cannot be written, a report is answered with {answer:?}");
    ensure!(is_known(&mut client, "early"), "WHATSAT does not go on");
    let ledger = load.stop();
    ensure!(ledger.wrong.is_empty() && ledger.unanswered == 0, "{:?}, {} unanswered", ledger.wrong, ledger.unanswered);
    let lost = ledger.read_back(herd.address("Riley"))?;
    ensure!(lost.lost == 0, "{} of {} acknowledged are not shown: {:?}", lost.lost, lost.clients, lost.examples);
    mending()?;
    let mended = Instant::now();
    while !client.ask("IAMAT later +34-118 3").starts_with("AT Riley ") {
        ensure!(mended.elapsed() < RECOVERY_MAX, "reports are still refused {RECOVERY_MAX:?} after the cause is gone");
        std::thread::sleep(Duration::from_millis(20));
    }
    let recovered = mended.elapsed();
    nodes.kill("Riley");
    nodes.run(&["Riley"]);
    let mut client = herd.client("Riley");
    ensure!(is_known(&mut client, "early") && is_known(&mut client, "later"), "acknowledged, and lost by kill -9");
    let lost = ledger.read_back(herd.address("Riley"))?;
    ensure!(lost.lost == 0, "{} of {} lost by kill -9: {:?}", lost.lost, lost.clients, lost.examples);
    let (refused, kept) = (ledger.unconfirmed, ledger.acknowledged);
    Ok(format!("{refused} refused, {kept} kept, back after {} ms", recovered.as_millis()))
}

fn is_known(client: &mut Client, name: &str) -> bool {
    client.ask_places(&format!("WHATSAT {name} 0 0")).0.starts_with("AT ")
}

/// A file system of a few MiB in memory, unmounted on drop.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn at(directory: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={SIZE_BYTES},mode=0700"), "tmpfs"]).arg(directory);
        let output = command.output().context("mount")?;
        ensure!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(Self(directory))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily, because a node that is being killed may hold files for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

const BAR: &str = "`? ` copies, WHATSAT, recovery";
const SIZE_BYTES: usize = 12 << 20;
const BALLAST_BYTES: usize = 8 << 20;
const RECOVERY_MAX: Duration = Duration::from_secs(10);
