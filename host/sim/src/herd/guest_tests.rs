//! Guests in the simulator: right ones keep every invariant, and each planted bug breaks one, with few events.

use std::time::Duration;

use herd_logic::Herd as DefaultLogic;
use herd_sdk::Logic;
use herd_test_guests::planted::{
    Bug, EarlyReply, FetchLoop, HiddenCounter, LostByte, LostFallback, NodeRank, OldReports, OwnClock, Planted,
    RefusedOthers, StaleWatch, TimesAsText,
};

use crate::check_file::CheckFile;
use crate::guest::NativeGuest;
use crate::options::{Graph, SimOptions};
use crate::runner::run_seeds;
use crate::scenario::Scenario;
use crate::shrink::shrink;
use crate::simulation::Simulation;
use crate::violation::Violation;

fn options(seed: u64) -> SimOptions {
    SimOptions { nodes: 4, duration: Duration::from_secs(40), ..SimOptions::new(seed) }
}

/// Shrinks the first seed on which a planted bug breaks something, and returns what it breaks and with how many events.
fn found<B: Bug>(check: Option<&CheckFile>) -> (Violation, usize) {
    let guest = NativeGuest::<Planted<B>>::default();
    let simulation = |seed| {
        let simulation = Simulation::new(options(seed)).with_guests(&guest);
        check.map_or(simulation, |check| simulation.with_check(check))
    };
    let (seed, _) = run_seeds(0, 40, |seed| simulation(seed).run().map(drop), |_| ()).failed.expect("a bug");
    let run = simulation(seed).record();
    let replay = |scenario: &Scenario| simulation(scenario.seed).with_scenario(scenario).run().map(drop);
    let (scenario, shrunk) = shrink(run.scenario, 400, replay).expect("its events break it");
    // Of the same kind only: the counter of a native guest goes on between two runs.
    assert!(replay(&scenario).is_err_and(|again| again.is_like(&shrunk)), "it replays");
    println!("{}: seed {seed}, {} events: {shrunk}\n{:#?}", B::NAME, scenario.events.len(), scenario.events);
    (shrunk, scenario.events.len())
}

#[test]
fn guest_right_logic_holds_on_every_seed() {
    let guest = NativeGuest::<DefaultLogic>::default();
    for graph in [Graph::Random, Graph::Default] {
        let run = |seed| {
            let options = SimOptions { nodes: 10, graph, duration: Duration::from_secs(30), ..SimOptions::new(seed) };
            Simulation::new(options).with_guests(&guest).run().map(drop)
        };
        let seeds = run_seeds(0, 20, run, |_| ());
        assert_eq!((seeds.run, seeds.failed), (20, None));
    }
    let seeds = run_seeds(100, 60, |seed| Simulation::new(options(seed)).with_guests(&guest).run().map(drop), |_| ());
    assert_eq!((seeds.run, seeds.failed), (60, None));
}

#[test]
fn guest_run_of_a_seed_replays_and_so_does_its_scenario() {
    let guest = NativeGuest::<DefaultLogic>::default();
    let simulation = |seed| Simulation::new(options(seed)).with_guests(&guest);
    let first = simulation(3).record();
    let (report, again) = (first.outcome.unwrap(), simulation(3).run().unwrap());
    assert_eq!(report, again);
    assert!(report.asked > 0 && report.trace != simulation(4).run().unwrap().trace, "{report:?}");
    let replayed = simulation(3).with_scenario(&first.scenario).run().unwrap();
    assert_eq!((replayed.commands, replayed.crashes), (report.commands, report.crashes));
}

#[test]
fn guest_planted_bugs_of_ranks_and_answers_are_found_and_shrunk() {
    for (violation, events) in [found::<OldReports>(None), found::<TimesAsText>(None), found::<NodeRank>(None)] {
        assert!(matches!(violation, Violation::NotNewest { .. }) && events <= 12, "{violation} {events}");
    }
    for (violation, events) in [found::<OwnClock>(None), found::<RefusedOthers>(None)] {
        let is_wrong = matches!(violation, Violation::NotNewest { .. } | Violation::AnswersDiffer { .. });
        assert!(is_wrong && events <= 12, "{violation} {events}");
    }
}

#[test]
fn guest_planted_bugs_of_decisions_are_found_and_shrunk() {
    let (violation, events) = found::<HiddenCounter>(None);
    assert!(matches!(violation, Violation::HiddenState { .. }) && events <= 12, "{violation} {events}");
    let (violation, events) = found::<LostByte>(None);
    let is_wrong = matches!(violation, Violation::DependsOnCuts { .. } | Violation::WrongReply { .. });
    assert!(is_wrong && events <= 12, "{violation} {events}");
    let (violation, events) = found::<FetchLoop>(None);
    assert!(matches!(violation, Violation::FetchLoop { .. }) && events <= 12, "{violation} {events}");
}

#[test]
fn guest_planted_bugs_of_replies_are_found_and_shrunk() {
    let (violation, events) = found::<LostFallback>(None);
    // The next reply may be taken for the one that does not come.
    let is_lost = matches!(violation, Violation::Unanswered { .. } | Violation::WrongReply { .. });
    assert!(is_lost && events <= 12, "{violation} {events}");
    let (violation, events) = found::<EarlyReply>(None);
    let is_lost =
        matches!(violation, Violation::Lost { .. } | Violation::NotEverywhere { .. } | Violation::NotNewest { .. });
    assert!(is_lost && events <= 12, "{violation} {events}");
    let check = CheckFile::parse("during\n> WATCH {client}\n\nat rest\n> WATCH {client}\n< OK\n").unwrap();
    let (violation, events) = found::<StaleWatch>(Some(&check));
    assert!(matches!(violation, Violation::CheckFails { .. }) && events <= 12, "{violation} {events}");
}

#[test]
fn guest_without_a_check_of_its_command_is_right() {
    // The bug of this one is in a command that no client of the simulation sends by itself.
    assert!(Planted::<StaleWatch>::describe().commands.contains(&"IAMAT".to_string()));
    let guest = NativeGuest::<Planted<StaleWatch>>::default();
    assert!(Simulation::new(options(1)).with_guests(&guest).run().is_ok());
}
