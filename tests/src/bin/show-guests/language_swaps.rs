//! Swaps from Rust to Python to JavaScript and back, under load in which every answer is checked.

use std::time::Duration;

use anyhow::Result;
use herd_tests::load::Load;
use herd_tests::{Bar, Behaviour, Herd, Reporter, Row, eventually};

use crate::languages::guest;

pub(crate) const ROW: Row = Row {
    name: "language-swaps",
    figures: &[
        Bar { figure: "rust, python, javascript, rust: answers wrong, lost, doubled", bar: "0" },
        Bar { figure: "rust, python, javascript, rust: sessions dropped", bar: "0" },
        Bar { figure: "rust, python, javascript, rust: faults", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one().with_guest(guest("rust")?);
    herd.places().behave(Behaviour::Slow(Duration::from_millis(20)));
    let _up = herd.up();
    let nodes = vec![("Riley".to_string(), herd.address("Riley"))];
    let running = Load { nodes, sessions_per_node: 32, askers_per_node: 4, rate: Some(RATE) }.start();
    let mut faults = 0;
    for language in ["python", "javascript", "rust"] {
        let before = running.answered();
        herd.swap(guest(language)?, &[]).map_err(anyhow::Error::msg)?;
        let during = running.answered() - before;
        // Some thousand answers by each, after those of the swap.
        let from = running.answered();
        eventually("answers by the new guest", || match running.answered() - from {
            answered if answered > 2_000 => Ok(()),
            answered => Err(format!("{answered} answers")),
        });
        reporter.tell(&format!("answers while {language} was swapped in"), during);
        let status = herd.status("Riley");
        let generations = &status["generations"];
        faults += generations["active"]["faults"].as_u64().unwrap_or(0)
            + generations["previous"]["faults"].as_u64().unwrap_or(0);
    }
    let outcome = running.stop();
    let failed = format!("{} of {}, and {} with places", outcome.failed, outcome.answered, outcome.places);
    reporter.show("rust, python, javascript, rust: answers wrong, lost, doubled", failed, outcome.failed == 0);
    reporter.show("rust, python, javascript, rust: sessions dropped", outcome.dropped, outcome.dropped == 0);
    reporter.show("rust, python, javascript, rust: faults", faults, faults == 0);
    outcome.failures.iter().for_each(|failure| reporter.tell("  failure", failure));
    Ok(())
}

/// Commands per second: a fraction of the rate of the slowest language, so that answers stay in time while a guest is compiled.
const RATE: f64 = 2_000.0;
