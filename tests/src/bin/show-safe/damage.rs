//! Flipped bytes in every file of a node: found and named, never served, and repaired by a peer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Clients, Herd, OpenLoad, Reporter, Row};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::kills::seed;
use crate::nodes::Nodes;

pub(crate) const ROW: Row = Row {
    name: "damage",
    figures: &[
        Bar { figure: "flipped bytes: wrong answers", bar: "0" },
        Bar { figure: "flipped bytes: losses that no log line names", bar: "0" },
        Bar { figure: "flipped bytes: lost once a peer has repaired", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])])
        .as_for_users()
        .with("records.durability=\"os\"")
        .with("records.log_mib_max=1");
    let mut nodes = Nodes::start(&herd);
    let load = OpenLoad {
        name: "damage".into(),
        nodes: nodes.addresses(),
        connections_per_node: 4,
        rate: 4_000.0,
        clients: Clients::New { reports_each: 1 },
    };
    let load = load.start();
    load.await_acknowledged(REPORTS)?;
    let ledger = load.stop();
    nodes.await_equal(Duration::from_secs(10))?;
    ["Riley", "Jaquez"].iter().for_each(|node| nodes.kill(node));
    let directory = herd.node_directory("Riley");
    let sound = files(&directory)?;
    let is_snapshot =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snapshot-"));
    ensure!(sound.iter().any(|(path, _)| is_snapshot(path)), "there is no snapshot in {}", directory.display());
    ensure!(
        sound.iter().any(|(_, bytes)| bytes.len() as u64 > REPORTS * 20),
        "there is no log in {}",
        directory.display()
    );
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let (mut damaged, mut wrong, mut unnamed, mut lost_in_all) = (0, vec![], vec![], 0);
    for (path, bytes) in sound.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for _ in 0..FLIPS {
            let mut flipped = bytes.clone();
            let at = random.random_range(0..flipped.len());
            flipped[at] ^= 1 << random.random_range(0..8);
            restore(&directory, &sound)?;
            std::fs::write(path, flipped)?;
            damaged += 1;
            let what = format!("{}, byte {at}", path.display());
            let before = log(&herd).len();
            nodes.run(&["Riley"]);
            let found = ledger.read_back_wrong(herd.address("Riley")).with_context(|| what.clone())?;
            wrong.extend(found.examples.into_iter().map(|example| format!("{what}: {example}")));
            let lost = ledger.read_back(herd.address("Riley"))?.lost;
            lost_in_all += lost;
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_named = log(&herd)[before..].lines().any(|line| line.contains(&file));
            if lost > 0 && !is_named {
                unnamed.push(format!("{what}: {lost} lost"));
            }
            nodes.kill("Riley");
        }
    }
    reporter.show(
        "flipped bytes: wrong answers",
        format!("{} in {damaged} damaged files", wrong.len()),
        wrong.is_empty(),
    );
    let value = format!("{} of {damaged}, {lost_in_all} records", unnamed.len());
    reporter.show("flipped bytes: losses that no log line names", value, unnamed.is_empty());
    wrong.iter().chain(&unnamed).take(5).for_each(|example| reporter.tell("  damage", example));
    // The last damage is still there.
    nodes.run(&["Riley", "Jaquez"]);
    herd.await_linked(&herd.names());
    nodes.await_equal(Duration::from_secs(30))?;
    let (clients, lost, _) = nodes.read_back(std::slice::from_ref(&ledger))?;
    reporter.show(
        "flipped bytes: lost once a peer has repaired",
        format!("{lost} of {clients}, seed {seed}"),
        lost == 0,
    );
    Ok(())
}

/// Every file below a directory.
fn files(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(directory).with_context(|| format!("{}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push((path.clone(), std::fs::read(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// Brings a directory back to these files.
fn restore(directory: &Path, sound: &[(PathBuf, Vec<u8>)]) -> Result<()> {
    for (path, _) in files(directory)? {
        std::fs::remove_file(path)?;
    }
    for (path, bytes) in sound {
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

fn log(herd: &Herd) -> String {
    std::fs::read_to_string(herd.scratch().path("Riley.log")).unwrap_or_default()
}

/// Enough for more than a MiB of log, after which a snapshot is written.
const REPORTS: u64 = 20_000;
/// Damaged bytes tried in each file, one at a time.
const FLIPS: usize = 4;
