//! Halves of a herd with a million records, of which a tenth changed while they were cut.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::{Bar, Extent, FILL_S, Herd, Interposer, MILLION, ROOM, Reporter, Row, fill, fill_at};

use crate::firewall::{Cut, Firewall};
use crate::nodes::{Nodes, number};

pub(crate) const ROW: Row = Row {
    name: "million",
    figures: &[Bar { figure: "a million records, 10 % changed: equal", bar: "within 10 s of healing" }],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    if reporter.extent() == Extent::Portion {
        reporter.leave_out("a million records, 10 % changed: equal");
        return Ok(());
    }
    let herd = ROOM.iter().fold(Herd::of_five().apart().as_for_users(), |herd, setting| herd.with(setting));
    let interposer = Interposer::build(herd.scratch())?;
    let firewall = Firewall::create(&herd)?;
    let nodes = Nodes::start_apart(&herd, &interposer);
    fill(herd.address("Riley"), "million", 0, MILLION)?;
    nodes.await_equal(Duration::from_secs(120))?;
    let (side, rest) = (["Riley", "Jaquez"], ["Juzang", "Campbell", "Bernard"]);
    let pairs: Vec<(&str, &str)> =
        side.iter().flat_map(|&one| rest.iter().flat_map(move |&other| [(one, other), (other, one)])).collect();
    firewall.cut(Cut::Silent, &pairs)?;
    // A twentieth on each side reports again, a second later.
    fill_at(herd.address("Riley"), "million", 0, MILLION / 20, FILL_S + 1)?;
    fill_at(herd.address("Campbell"), "million", MILLION / 2, MILLION / 20, FILL_S + 1)?;
    // Long enough for both ends to give up the links.
    std::thread::sleep(Duration::from_secs(15));
    firewall.heal()?;
    let healed = Instant::now();
    nodes.await_equal(Duration::from_secs(120))?;
    let equal = healed.elapsed();
    let keys = number(&nodes.status("Bernard")?, "/records/keys")?;
    ensure!(keys == MILLION, "{keys} records");
    let value = format!("{:.1} s", equal.as_secs_f64());
    reporter.show("a million records, 10 % changed: equal", value, equal <= Duration::from_secs(10));
    Ok(())
}
