//! All transcripts of the line protocol on the default guest, with `herd test` as an author starts it.

use std::time::Instant;

use anyhow::{Result, ensure};
use herd_tests::{Bar, DEFAULT_GUEST, Herd, Reporter, Rounds, Row};

pub(crate) const ROW: Row = Row {
    name: "transcripts",
    figures: &[
        Bar { figure: "transcripts of the protocol that hold", bar: "all, every effect" },
        Bar { figure: "all of them, start of the program included", bar: "under 2 s" },
        Bar { figure: "instructions of two runs that differ", bar: "none" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one().as_for_users();
    let mut took_s = vec![];
    let mut sum = String::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let tested = herd.herd(&["test", DEFAULT_GUEST, "--effects"]);
        took_s.push(began.elapsed().as_secs_f64());
        let said = String::from_utf8_lossy(&tested.stdout).into_owned();
        sum = said.lines().last().unwrap_or_default().to_string();
        ensure!(tested.status.success(), "{said}");
    }
    let passed = sum.split(' ').next().and_then(|count| count.parse::<usize>().ok()).unwrap_or_default();
    let holds = passed >= TRANSCRIPTS_MIN && sum.contains(" passed, 0 failed ");
    reporter.show("transcripts of the protocol that hold", format!("{passed}, on warm and fresh instances"), holds);
    let took = Rounds::of(took_s);
    reporter.show("all of them, start of the program included", took.text(2, " s"), took.median() < 2.0);

    let costs = || -> Result<Vec<String>> {
        let tested = herd.herd(&["test", DEFAULT_GUEST, "--cost"]);
        let said = String::from_utf8_lossy(&tested.stdout).into_owned();
        ensure!(tested.status.success(), "{said}");
        // Command, lines, instructions and the most of them; memory is in pages, and time is another one each run.
        let row = |line: &str| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        Ok(said.lines().skip(1).map(row).collect())
    };
    let (first, second) = (costs()?, costs()?);
    for row in &first {
        reporter.tell("command, lines, instructions, most", row);
    }
    let differing = first.iter().zip(&second).filter(|(first, second)| first != second).count();
    let holds = differing == 0 && first.len() == second.len() && first.iter().any(|row| row.starts_with("IAMAT "));
    reporter.show("instructions of two runs that differ", format!("{differing} of {}", first.len()), holds);
    Ok(())
}

const RUNS: usize = 5;
/// Files of `tests/transcripts` when this was written: none may be lost.
const TRANSCRIPTS_MIN: usize = 27;
