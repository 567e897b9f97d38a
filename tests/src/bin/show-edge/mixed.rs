//! A herd of full and edge nodes: three of the full program, one without a compiler, and one of another processor under an emulator. Swaps,
//! a canary, a rescue, a rollback and restarts, under load whose every answer is checked.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use herd_tests::load::{Load, Outcome};
use herd_tests::{Bar, Client, DEFAULT_GUEST, Fixture, HELLO, Herd, Process, Reporter, Row, WATCH};

use crate::builds::{ARM, EDGE, emulator};

pub(crate) const ROW: Row = Row {
    name: "mixed",
    figures: &[
        Bar { figure: "swaps, by digest on every node", bar: "all" },
        Bar { figure: "canary on every node, and promoted", bar: "all" },
        Bar { figure: "rollback of the herd", bar: "all" },
        Bar { figure: "rescues on every node", bar: "all" },
        Bar { figure: "restarts, served the guest of the herd again", bar: "5 of 5" },
        Bar { figure: "a node that was away during a swap", bar: "serves it" },
        Bar { figure: "wrong answers under load", bar: "0" },
        Bar { figure: "dropped sessions under load", bar: "0" },
    ],
    measure,
};

/// Programs of the five nodes.
struct Programs {
    edge: PathBuf,
    emulated: PathBuf,
    emulator: PathBuf,
}

impl Programs {
    fn find() -> Result<Self> {
        Ok(Self { edge: EDGE.there()?, emulated: ARM.there()?, emulator: emulator()? })
    }

    fn start(&self, herd: &Herd, node: &str) -> Process {
        match node {
            "Campbell" => herd.run_program_with(&self.edge, &[], node, &[]),
            // Reserving a terabyte takes an emulator seconds and gigabytes, and its processor is slow.
            "Bernard" => {
                let settings = ["runtime.reservation=small", "runtime.deadline_ms=200", "runtime.workers=1"];
                herd.run_program_with(&self.emulator, &[self.emulated.as_os_str()], node, &settings)
            }
            _ => herd.run(node),
        }
    }
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let programs = Programs::find()?;
    let herd = Herd::of_five().with("swap.compilers=[\"Juzang\", \"Jaquez\"]");
    let mut running: Vec<(&str, Process)> = Vec::new();
    for node in herd.names() {
        let began = Instant::now();
        running.push((node, programs.start(&herd, node)));
        reporter.tell(&format!("{node} ready"), format!("{:.1} s", began.elapsed().as_secs_f64()));
    }
    herd.await_linked(&herd.names());
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let load = Load { nodes, sessions_per_node: 2, askers_per_node: 0, rate: Some(RATE) };

    let under_load = load.start();
    let swaps = swaps(reporter, &herd);
    let canary = canary(reporter, &herd);
    let rolled_back = step(reporter, "rollback", &herd, &["rollback"]);
    let first = under_load.stop();
    reporter.show("swaps, by digest on every node", format!("{} of {}", swaps.0, swaps.1), swaps.0 == swaps.1);
    reporter.show("canary on every node, and promoted", if canary { "all" } else { "not all" }, canary);
    reporter.show("rollback of the herd", if rolled_back { "all" } else { "not all" }, rolled_back);

    let rescued = rescues(reporter, &herd)?;
    reporter.show("rescues on every node", format!("{rescued} of 5"), rescued == 5);
    ensure!(
        step(reporter, "back to the built-in guest", &herd, &["swap", "--built-in"]),
        "the herd is not on one guest"
    );

    let mut restarted = 0;
    for (node, process) in &mut running {
        let served = herd.serving(node);
        process.kill();
        *process = programs.start(&herd, node);
        herd.await_linked(&herd.names());
        let serves = herd.serving(node) == served;
        restarted += usize::from(serves);
        if !serves {
            reporter.tell("restarted on another guest", *node);
        }
    }
    reporter.show("restarts, served the guest of the herd again", format!("{restarted} of 5"), restarted == 5);

    let away = away(&herd, &programs, &mut running)?;
    reporter.show("a node that was away during a swap", if away { "serves it" } else { "does not" }, away);

    // Again, after all of it.
    let under_load = load.start();
    std::thread::sleep(LOAD_TIME);
    let outcomes = [first, under_load.stop()];
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let (failed, dropped) = (sum(|outcome| outcome.failed), sum(|outcome| outcome.dropped));
    let answered: u64 = outcomes.iter().map(|outcome| outcome.answered).sum();
    let wrong = failed - dropped;
    reporter.show("wrong answers under load", format!("{wrong} of {answered}"), wrong == 0 && answered > 0);
    reporter.show("dropped sessions under load", format!("{dropped} of 10"), dropped == 0);
    outcomes.iter().flat_map(|outcome| &outcome.failures).for_each(|failure| reporter.tell("  failure", failure));
    Ok(())
}

/// Runs a command of the whole herd, and returns whether it succeeded and all nodes serve one guest then.
fn step(reporter: &mut Reporter<'_>, what: &str, herd: &Herd, arguments: &[&str]) -> bool {
    let began = Instant::now();
    let ran = herd.herd(arguments);
    reporter.tell(what, format!("{:.2} s", began.elapsed().as_secs_f64()));
    let mut served: Vec<String> = herd.names().into_iter().map(|node| herd.serving(node)).collect();
    served.dedup();
    let holds = ran.status.success() && served.len() == 1;
    if !holds {
        reporter.tell("  failed", format!("{served:?} {}", String::from_utf8_lossy(&ran.stderr)));
    }
    holds
}

fn swaps(reporter: &mut Reporter<'_>, herd: &Herd) -> (usize, usize) {
    let guests = [WATCH, DEFAULT_GUEST, WATCH];
    let swapped = guests.iter().filter(|guest| step(reporter, "swap of the herd", herd, &["swap", guest])).count();
    (swapped, guests.len())
}

fn canary(reporter: &mut Reporter<'_>, herd: &Herd) -> bool {
    let began = herd.herd(&["swap", DEFAULT_GUEST, "--canary", "50%"]);
    let is_everywhere = herd.names().iter().all(|node| !herd.status(node)["generations"]["canary"].is_null());
    let holds = began.status.success() && is_everywhere;
    if !holds {
        reporter.tell("  failed", String::from_utf8_lossy(&began.stderr));
    }
    step(reporter, "canary promoted", herd, &["canary", "promote"]) && holds
}

/// Swaps in a guest that traps on one line, has every node decide that line, and returns the number of nodes that answered it as the
/// generation before does.
fn rescues(reporter: &mut Reporter<'_>, herd: &Herd) -> Result<usize> {
    let swapped = herd.swap_with(Fixture::Trap, &["--unrehearsed"]);
    swapped.map_err(anyhow::Error::msg)?;
    let mut rescued = 0;
    for node in herd.names() {
        let mut client = Client::connect(herd.address(node));
        let answer = client.ask("BOOM");
        let is_counted = herd.status(node)["generations"]["active"]["faults"].as_u64() >= Some(1);
        let holds = answer == "? BOOM" && is_counted;
        rescued += usize::from(holds);
        if !holds {
            reporter.tell("not rescued", format!("{node}: {answer:?}"));
        }
    }
    Ok(rescued)
}

/// Swaps the herd while the node without a compiler is down, and returns whether it serves that guest soon after its start.
fn away(herd: &Herd, programs: &Programs, running: &mut [(&str, Process)]) -> Result<bool> {
    let (node, process) = running.iter_mut().find(|(node, _)| *node == "Campbell").context("no Campbell")?;
    process.kill();
    herd.swap(HELLO, &[]).map_err(anyhow::Error::msg)?;
    let hello = herd.serving("Riley");
    *process = programs.start(herd, node);
    herd.await_serving(&hello, &[node]);
    herd.swap_with(DEFAULT_GUEST, &[]).map_err(anyhow::Error::msg)?;
    Ok(herd.serving(node) == herd.serving("Riley"))
}

/// Commands per second on all nodes together: the emulated one is slow.
const RATE: f64 = 200.0;
const LOAD_TIME: Duration = Duration::from_secs(5);
