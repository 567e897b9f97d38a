//! Components in the simulator: decisions that do not depend on the machine, replays, and bugs that are found and shrunk.

use std::process::{Command, Output};
use std::sync::Arc;

use herd_runtime::{ComponentDecider, Engine, Limits};
use herd_sdk::native::{Decider, MemoryRecords};
use herd_sdk::{Input, Mark, Moment, Records, Settings};
use herd_tests::{Fixture, Herd, RESP, Scratch};

/// Goal: a guest that never ends is cut off at the same place on every machine. Method: it is cut off by fuel, on an engine whose
/// deadline is too short for any call; a right call before and after it is decided all the same.
#[test]
fn simulation_engine_cuts_a_guest_off_by_fuel_and_not_by_time() {
    let limits = Limits { deadline: std::time::Duration::from_nanos(1), ..Limits::default() };
    let engine = Engine::for_simulation(limits, 1).unwrap();
    let guest = std::fs::read(Fixture::Forever.path()).unwrap();
    let records: Arc<dyn Records + Send + Sync> = Arc::new(MemoryRecords::default());
    let mut decider = ComponentDecider::load_all(&engine, &[&guest], &Settings::default(), &records).unwrap().remove(0);
    let mut ask = |line: &'static str| {
        let decided = decider.input(Moment::default(), Input { bytes: line.as_bytes(), mark: Mark::More });
        decided.map(|decision| String::from_utf8(decision.output).unwrap()).map_err(|fault| fault.to_string())
    };
    assert_eq!(ask("hello\n"), Ok("forever: hello\n".into()));
    assert_eq!(ask("BOOM\n"), Err("missed its deadline".into()));
    assert_eq!(ask("hello\n"), Ok("forever: hello\n".into()));
}

/// Goal: a seed means one run. Method: two runs of a seed of the component print the same trace, and another seed prints another.
#[test]
fn simulation_of_a_component_replays_its_seed() {
    let run = |seed| text(&sim(&["--guest", "built-in", "--nodes", "10", "--for", "10s", "--seed", seed]));
    let trace = |text: &str| text.lines().find(|line| line.contains("trace: ")).unwrap().to_string();
    let (first, again, other) = (trace(&run("5")), trace(&run("5")), trace(&run("6")));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

/// Goal: what is found can be read and replayed. Method: a planted bug is shrunk, saved, and found again from the file.
#[test]
fn simulation_shrinks_a_planted_bug_to_a_scenario_that_replays() {
    let scratch = Scratch::default();
    let saved = scratch.path("saved.toml");
    let (guest, saved) = (Fixture::PlantedNodeRank.path().to_str().unwrap(), saved.to_str().unwrap());
    let found = sim(&["--guest", guest, "--nodes", "3", "--for", "20s", "--seeds", "20", "--save", saved]);
    let said = text(&found);
    assert_eq!(found.status.code(), Some(1), "{said}");
    assert!(said.contains("a client was told") && said.contains("shrunk from "), "{said}");
    let events = said.lines().filter(|line| line.starts_with("  {")).count();
    assert!((1..=12).contains(&events), "{said}");
    let replayed = sim(&["--guest", guest, "--scenario", saved]);
    assert!(replayed.status.code() == Some(1) && text(&replayed).contains("a client was told"), "{}", text(&replayed));
    // The same events are no fault of the right guest.
    let right = sim(&["--guest", "built-in", "--scenario", saved]);
    assert!(right.status.success(), "{}", text(&right));
}

/// Goal: the life of a report is shown. Method: text and picture of one run name every node.
#[test]
fn simulation_prints_and_draws_how_a_report_spread() {
    let scratch = Scratch::default();
    let svg = scratch.path("spread.svg");
    let shown = sim(&[
        "--graph",
        "line",
        "--nodes",
        "3",
        "--for",
        "10s",
        "--seed",
        "2",
        "--trace",
        "--svg",
        svg.to_str().unwrap(),
    ]);
    let (said, svg) = (text(&shown), std::fs::read_to_string(&svg).unwrap());
    for node in ["Riley", "Jaquez", "Juzang"] {
        assert!(said.contains(node) && svg.contains(node), "{said}");
    }
    assert!(said.contains("kept for a client") && said.contains(" from ") && said.contains("convergence: "), "{said}");
}

/// Goal: a guest of another protocol is checked by its own commands, and a run that compared nothing does not pass. Method: the redis guest,
/// on seeds of which records expire in some.
#[test]
fn simulation_checks_a_guest_of_another_protocol_and_says_if_nothing_was_asked() {
    let scratch = Scratch::default();
    let check = scratch.path("redis.check");
    std::fs::write(&check, "during\n> GET {client}\n\nat rest\n> PING\n< +PONG\n").unwrap();
    let check = check.to_str().unwrap();
    let run =
        |more: &[&str]| sim(&[&["--guest", RESP, "--check", check, "--nodes", "2", "--for", "2s"], more].concat());
    let lines = run(&["--seeds", "6", "--no-shrink"]);
    assert!(lines.status.code() == Some(1) && text(&lines).contains("answers `IAMAT"), "{}", text(&lines));
    let all = run(&["--protocol", "none", "--seeds", "6"]);
    assert!(all.status.success() && text(&all).contains("6 seeds hold"), "{}", text(&all));
    let refused =
        (0..6).map(|seed| run(&["--protocol", "none", "--seed", &seed.to_string()])).find(|run| !run.status.success());
    let refused = String::from_utf8_lossy(&refused.expect("records expire in one of the seeds").stderr).into_owned();
    assert!(refused.contains("no node was asked what is under `at rest`"), "{refused}");
}

/// Goal: `--trace` does not hide a failure. Method: no report of the client that it names is kept.
#[test]
fn simulation_shows_a_failure_whatever_its_trace_shows() {
    let guest = Fixture::PlantedNodeRank.path().to_str().unwrap();
    let options = ["--guest", guest, "--nodes", "3", "--for", "20s", "--no-shrink"];
    let found = text(&sim(&[&options[..], &["--seeds", "20"]].concat()));
    let seed = found.split_once("seed ").and_then(|(_, rest)| rest.split_once(':')).unwrap().0;
    let shown = sim(&[&options[..], &["--seed", seed, "--trace", "nobody"]].concat());
    let (said, error) = (text(&shown), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.status.code() == Some(1) && said.contains("a client was told"), "{said}{error}");
    assert!(error.contains("no report of `nobody` was kept"), "{error}");
}

/// Goal: a component is configured as on a node. Method: a setting that it refuses, and one by which it closes sessions.
#[test]
fn simulation_passes_the_settings_of_the_configuration_to_its_guests() {
    let run = |setting: &str| {
        let arguments = ["sim", "--set", setting, "--guest", "built-in", "--nodes", "2", "--for", "2s", "--seed", "1"];
        Command::new(Herd::binary()).args(arguments).output().unwrap()
    };
    let refused = run("logic.nonsense=1");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("nonsense"), "{error}");
    let trace = |output: &Output| text(output).lines().find(|line| line.contains("trace: ")).map(ToString::to_string);
    let (closing, staying) = (run("logic.close_after_reply=true"), run("logic.close_after_reply=false"));
    assert!(closing.status.success() && staying.status.success(), "{}", text(&closing));
    assert!(trace(&closing) != trace(&staying), "{}", text(&closing));
}

#[test]
fn simulation_says_what_is_wrong_with_its_options() {
    let scratch = Scratch::default();
    let (check, scenario, late) = (scratch.path("a.check"), scratch.path("a.toml"), scratch.path("late.toml"));
    std::fs::write(&check, "> PING\n").unwrap();
    std::fs::write(&scenario, "seed = 1\n").unwrap();
    std::fs::write(&late, LATE_SCENARIO).unwrap();
    let (check, scenario, late) = (check.to_str().unwrap(), scenario.to_str().unwrap(), late.to_str().unwrap());
    for (arguments, wrong) in [
        (&["--nodes", "11"][..], "from 2 to 10"),
        (&["--guest", "built-in", "--protocol", "none"], "add --check or --scenario"),
        (&["--trace"], "name it with --seed or --scenario"),
        (&["--guest", "built-in", "--check", check], "line 1: write `during` or `at rest`"),
        (&["--scenario", scenario], "not a scenario"),
        (&["--scenario", late], "at = 2: write a time in seconds from 0 to 1"),
        (&["--guest", check], "a.check"),
    ] {
        let refused = sim(arguments);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(wrong), "{arguments:?}: {said}");
    }
}

fn sim(arguments: &[&str]) -> Output {
    Command::new(Herd::binary()).arg("sim").args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Scenario with an event behind its end.
const LATE_SCENARIO: &str = r#"
    seed = 1
    nodes = 2
    graph = "line"
    for_ms = 1000
    events = [{ at = 2.0, do = "kill", node = "Riley", ms = 100 }]
"#;
