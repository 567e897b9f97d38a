//! Planted guests: each has one bug of the kind that authors make, and `herd sim --guest` has to find it and shrink it to a few events.

use std::process::Command;

use anyhow::{Context, Result};
use herd_tests::{Bar, DEFAULT_GUEST, Fixture, Herd, Reporter, Row, Scratch};

pub(crate) const ROW: Row = Row {
    name: "planted-guests",
    figures: &[
        Bar { figure: "planted guests, found and shrunk", bar: "12 of 12" },
        Bar { figure: "planted guests, longest list of events", bar: "at most 12 lines" },
    ],
    measure,
};

/// Guests with one bug each.
const PLANTED: [Fixture; 12] = [
    Fixture::PlantedOldReports,
    Fixture::PlantedTimesAsText,
    Fixture::PlantedHiddenCounter,
    Fixture::PlantedOwnClock,
    Fixture::PlantedRefusedOthers,
    Fixture::PlantedLostFallback,
    Fixture::PlantedLostByte,
    Fixture::PlantedStaleWatch,
    Fixture::PlantedNodeRank,
    Fixture::PlantedLossyForm,
    Fixture::PlantedEarlyReply,
    Fixture::PlantedFetchLoop,
];

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let scratch = Scratch::default();
    let check = scratch.path("watch.check");
    std::fs::write(&check, WATCH_CHECK)?;
    let (mut found, mut longest) = (0, 0);
    for fixture in PLANTED {
        let mut command = Command::new(Herd::binary());
        let saved = scratch.path("scenario.toml");
        command.args(["sim", "--nodes", "4", "--for", "40s", "--seeds", "60", "--save"]).arg(&saved);
        if fixture == Fixture::PlantedLossyForm {
            // Records of another form are those of another guest.
            command.args(["--guest", DEFAULT_GUEST]);
        }
        command.arg("--guest").arg(fixture.path());
        if fixture == Fixture::PlantedStaleWatch {
            command.arg("--check").arg(&check);
        }
        let output = command.output().context("herd sim")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let shrunk = said.lines().find(|line| line.starts_with("shrunk from "));
        let events = said.lines().filter(|line| line.starts_with("  {")).count();
        let name = fixture.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match shrunk.filter(|_| output.status.code() == Some(1)) {
            Some(shrunk) => {
                found += 1;
                longest = longest.max(events);
                reporter.tell(&name, shrunk.chars().take(200).collect::<String>());
            }
            None => reporter.tell(&name, format!("NOT FOUND: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
    reporter.show("planted guests, found and shrunk", format!("{found} of {}", PLANTED.len()), found == PLANTED.len());
    let is_short = found > 0 && longest <= 12;
    reporter.show("planted guests, longest list of events", format!("{longest} lines"), is_short);
    Ok(())
}

/// `WATCH` is no command that clients of the simulation send by themselves.
const WATCH_CHECK: &str = "during\n> WATCH {client}\n\nat rest\n> WATCH {client}\n< OK\n";
