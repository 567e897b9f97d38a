//! Two guests that write records in different forms, swapped and rolled back under load, also halfway through a rollout.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::load::Load;
use herd_tests::{Bar, Behaviour, Fixture, Herd, Reporter, Row, WAIT_MAX, eventually};

pub(crate) const ROW: Row = Row {
    name: "forms",
    figures: &[
        Bar { figure: "forms: wrong or missing answers under load", bar: "0" },
        Bar { figure: "forms: sessions dropped", bar: "0" },
        Bar { figure: "forms: answers on a client of another node, right", bar: "all" },
        Bar { figure: "forms: records that a guest was not shown", bar: "0" },
        Bar { figure: "forms: nodes with the same digest afterwards", bar: "5 of 5" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five();
    herd.places().behave(Behaviour::Slow(Duration::from_millis(20)));
    let _up = herd.up();
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let running = Load { nodes, sessions_per_node: 16, askers_per_node: 2, rate: Some(RATE) }.start();
    let goes_on = || {
        let goal = running.answered() + ANSWERS_BETWEEN;
        eventually("the load goes on", || if running.answered() >= goal { Ok(()) } else { Err("it does not".into()) });
    };
    let mut asked = Asked { herd: &herd, told: Vec::new(), right: 0, of: 0 };
    goes_on();
    asked.everywhere("before");
    for round in 0..ROUNDS {
        let swap = || herd.swap(Fixture::SecondForm, &[]).map_err(anyhow::Error::msg);
        swap()?;
        asked.everywhere(&format!("new-{round}"));
        goes_on();
        for node in ["Jaquez", "Juzang"] {
            ensure!(herd.herd(&["rollback", "--node", node]).status.success(), "{node} does not roll back");
        }
        asked.everywhere(&format!("half-{round}"));
        goes_on();
        swap()?;
        asked.everywhere(&format!("whole-{round}"));
        goes_on();
        ensure!(herd.herd(&["rollback"]).status.success(), "the herd does not roll back");
        asked.everywhere(&format!("back-{round}"));
        goes_on();
    }
    let outcome = running.stop();
    let (of, wrong) = (outcome.answered, outcome.failed - outcome.dropped);
    reporter.show("forms: wrong or missing answers under load", format!("{wrong} of {of}"), wrong == 0);
    reporter.show("forms: sessions dropped", format!("{} of 90", outcome.dropped), outcome.dropped == 0);
    outcome.failures.iter().for_each(|failure| reporter.tell("  failure", failure));
    let Asked { right, of, .. } = asked;
    reporter.show(
        "forms: answers on a client of another node, right",
        format!("{right} of {of}"),
        right == of && of > 0,
    );
    let hidden: u64 =
        herd.names().iter().filter_map(|node| herd.status(node)["generations"]["unconvertible"].as_u64()).sum();
    reporter.show("forms: records that a guest was not shown", hidden, hidden == 0);
    let digest = herd.digest("Riley");
    let began = Instant::now();
    let same = || herd.names().iter().filter(|node| herd.digest(node) == digest).count();
    let mut equal = same();
    while equal < 5 && began.elapsed() < WAIT_MAX {
        equal = same();
    }
    reporter.show("forms: nodes with the same digest afterwards", format!("{equal} of 5"), equal == 5);
    Ok(())
}

/// Clients that reported, the `AT` lines they got, and a count of later answers that agree.
struct Asked<'a> {
    herd: &'a Herd,
    told: Vec<(String, String)>,
    right: usize,
    of: usize,
}

impl Asked<'_> {
    /// Reports a client at every node, then looks up all clients so far at every node.
    fn everywhere(&mut self, when: &str) {
        for node in self.herd.names() {
            let client = format!("{when}-{node}");
            let at = self.herd.client(node).ask(&format!("IAMAT {client} +34-118 1"));
            self.herd.await_known(&client, &self.herd.names());
            self.told.push((client, at));
        }
        for node in self.herd.names() {
            let mut session = self.herd.client(node);
            for (client, at) in &self.told {
                self.of += 1;
                self.right += usize::from(session.ask_places(&format!("WHATSAT {client} 1 1")).0 == *at);
            }
        }
    }
}

/// Answers per second: some load, with room for the lookups that are measured.
const RATE: f64 = 8_000.0;
const ANSWERS_BETWEEN: u64 = 4_000;
const ROUNDS: usize = 3;
