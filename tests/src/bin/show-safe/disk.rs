//! Durability `disk` at 64 sessions, against the time that the device takes for a sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use herd_tests::{Bar, LoneNode, Reporter, Rounds, Row, SCENARIOS};

pub(crate) const ROW: Row = Row {
    name: "disk",
    figures: &[Bar { figure: "disk, 64 sessions: median reply", bar: "2 syncs of the device + 1 ms" }],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let node = LoneNode::of_durability("disk");
    let directory = node.herd.scratch().directory();
    ensure!(
        rustix::fs::statfs(directory)?.f_type != TMPFS,
        "{} is on tmpfs, which syncs nothing; set TMPDIR",
        directory.display()
    );
    let (mut syncs_ms, mut replies_ms) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        syncs_ms.extend(syncs(directory)?);
        replies_ms.push(node.load(&SCENARIOS[0], 2.0)?.p50_ms);
    }
    syncs_ms.extend(syncs(directory)?);
    let (sync, reply) = (Rounds::of(syncs_ms), Rounds::of(replies_ms));
    let value = format!("{}, a sync {:.2} ms", reply.text(2, " ms"), sync.median());
    reporter.show("disk, 64 sessions: median reply", value, reply.median() <= 2.0 * sync.median() + 1.0);
    Ok(())
}

/// Times of syncs after small appends, in milliseconds: what a log costs at least.
fn syncs(directory: &Path) -> Result<Vec<f64>> {
    let path = directory.join("syncs");
    let mut file = File::options().create(true).append(true).open(&path)?;
    let times = (0..SYNCS).map(|_| {
        file.write_all(&[0; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    });
    let times = times.collect();
    std::fs::remove_file(path)?;
    times
}

/// File system type of tmpfs, from linux/magic.h.
const TMPFS: i64 = 0x0102_1994;
const ROUNDS: usize = 5;
const SYNCS: usize = 100;
