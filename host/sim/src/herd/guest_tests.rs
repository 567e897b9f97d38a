//! Guests in the simulator: right ones keep every invariant, and each planted bug breaks one, with few events.

use std::time::Duration;

use herd_logic::Herd as DefaultLogic;
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Outcome, Progress, Reports, Settings};
use herd_test_guests::planted::{
    Bug, EarlyReply, FetchLoop, HiddenCounter, LostByte, LostFallback, NodeRank, OldReports, OwnClock, Planted,
    RefusedOthers, StaleWatch, TimesAsText,
};

use crate::check_file::CheckFile;
use crate::guest::NativeGuest;
use crate::options::{Graph, SimOptions};
use crate::runner::run_seeds;
use crate::scenario::{Action, Scenario, TimedAction};
use crate::shrink::shrink;
use crate::simulation::{Protocol, Simulation};
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

/// Answers `PING`, and refuses every other line as the line protocol does, or as no guest of it does.
struct Ping<const IS_LINE_PROTOCOL: bool>;

impl<const IS_LINE_PROTOCOL: bool> Logic for Ping<IS_LINE_PROTOCOL> {
    fn describe() -> Description {
        Description { name: "ping".into(), version: "1".into(), commands: vec!["PING".into()] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| match line.strip_prefix(b"PING ") {
            Some(name) => context.reply(&[b"+PONG ", name, b"\n"].concat()),
            None if IS_LINE_PROTOCOL => context.reply(&[b"? ", line, b"\n"].concat()),
            None => context.reply(b"-ERR unknown command\n"),
        })
    }
}

/// Goal: a guest of another protocol can be checked, and a check that nothing was compared with does not pass for one that holds. Method:
/// guests that keep no report of `IAMAT`, with a right check and a wrong one.
#[test]
fn guest_of_another_protocol_is_asked_at_rest_and_nothing_else_is_checked() {
    let [right, wrong] = ["PONG", "PANG"].map(|reply| {
        CheckFile::parse(&format!("during\n> PING {{client}}\n\nat rest\n> PING {{client}}\n< +{reply} {{client}}\n"))
            .unwrap()
    });
    let (other, refusing) = (NativeGuest::<Ping<false>>::default(), NativeGuest::<Ping<true>>::default());
    let simulation = |seed| Simulation::new(SimOptions { duration: Duration::from_secs(5), ..options(seed) });
    let asked = |check, protocol| -> Vec<Result<u64, Violation>> {
        let run = |seed| simulation(seed).with_guests(&other).with_protocol(protocol).with_check(check).run();
        (0..6).map(|seed| run(seed).map(|report| report.asked)).collect()
    };
    let counts = asked(&right, Protocol::None);
    assert!(counts.iter().any(|asked| matches!(asked, Ok(12..))), "{counts:?}");
    assert!(asked(&wrong, Protocol::None).iter().any(|asked| matches!(asked, Err(Violation::CheckFails { .. }))));
    assert!(asked(&right, Protocol::Line).iter().all(|asked| matches!(asked, Err(Violation::WrongReply { .. }))));
    // No client was told that a report is kept, so there is nobody to ask about, and the run says so.
    let report = simulation(1).with_guests(&refusing).with_check(&wrong).run().unwrap();
    assert!(report.commands > 0 && report.asked == 0, "{report:?}");
}

/// The default logic as a node has it that closes sessions after their first reply.
struct Closing(DefaultLogic);

impl Logic for Closing {
    fn describe() -> Description {
        DefaultLogic::describe()
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        let table = vec![("close_after_reply".into(), "true".into())];
        DefaultLogic::configure(&Settings { table, ..settings.clone() }).map(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        self.0.input(input, context)
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        self.0.reports(reports, context);
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        self.0.answer(token, otherwise, outcome, context);
    }
}

#[test]
fn guest_that_ends_its_sessions_owes_no_reply_to_what_is_behind() {
    let guest = NativeGuest::<Closing>::default();
    let run = |seed| Simulation::new(options(seed)).with_guests(&guest).run().map(drop);
    assert_eq!(run_seeds(0, 8, run, |_| ()).failed, None);
}

/// Keeps each line in a form, and replies to none.
struct InForm<const FORM: u32>;

impl<const FORM: u32> Logic for InForm<FORM> {
    fn describe() -> Description {
        Description { name: "form".into(), version: "1".into(), commands: vec!["KEEP".into()] }
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        input.lines(|line| {
            let _ = context.keep(line.trim_ascii(), b"\x01", FORM, |out| out.extend(b"kept"));
        })
    }
}

/// Goal: `trace` is of whole decisions, also of processes that ended. Method: two guests whose effects differ in a form alone, on a node
/// that loses power after it has decided all that it decides.
#[test]
fn guest_trace_is_of_all_effects_of_all_processes() {
    fn trace<const FORM: u32>(ends: bool) -> u64 {
        let options = SimOptions { nodes: 2, duration: Duration::from_secs(5), ..SimOptions::new(1) };
        let (node, text) = ("Riley".into(), "KEEP kiwi\n".into());
        let send = Action::Send { client: 0, node, worker: 0, text, cuts: Vec::new() };
        let end = Action::PowerLoss { nodes: vec!["Riley".into()], ms: 100 };
        let mut events = vec![TimedAction { at: 1.0, action: send }];
        if ends {
            events.push(TimedAction { at: 2.0, action: end });
        }
        let (scenario, guest) = (Scenario::of(options, events), NativeGuest::<InForm<FORM>>::default());
        let simulation = Simulation::new(options).with_guests(&guest).with_protocol(Protocol::None);
        simulation.with_scenario(&scenario).run().unwrap().trace
    }
    assert_eq!(trace::<1>(false), trace::<1>(false));
    assert_ne!(trace::<1>(false), trace::<2>(false));
    assert_ne!(trace::<1>(true), trace::<2>(true));
}

/// Goal: with a check file, only its own clients are not held to the line protocol. Method: the next one sends what a guest of another
/// protocol answers.
#[test]
fn guest_replies_to_clients_of_a_scenario_are_checked_beside_a_check_file() {
    let check = CheckFile::parse("during\n> PING {client}\n").unwrap();
    let guest = NativeGuest::<Ping<false>>::default();
    let send = |client| {
        let (node, text) = ("Riley".into(), "PING kiwi\n".into());
        TimedAction { at: 1.0, action: Action::Send { client, node, worker: 0, text, cuts: Vec::new() } }
    };
    let run = |client| {
        let options = SimOptions { nodes: 2, duration: Duration::from_secs(5), ..SimOptions::new(1) };
        let scenario = Scenario::of(options, vec![send(client)]);
        Simulation::new(options).with_guests(&guest).with_check(&check).with_scenario(&scenario).run().map(drop)
    };
    assert_eq!(run(12), Ok(()));
    for client in [11, 13] {
        let broken = run(client).unwrap_err();
        assert!(matches!(broken, Violation::WrongReply { .. } | Violation::Unanswered { .. }), "{client}: {broken}");
    }
}

#[test]
fn guest_without_a_check_of_its_command_is_right() {
    // The bug of this one is in a command that no client of the simulation sends by itself.
    assert!(Planted::<StaleWatch>::describe().commands.contains(&"IAMAT".to_string()));
    let guest = NativeGuest::<Planted<StaleWatch>>::default();
    assert!(Simulation::new(options(1)).with_guests(&guest).run().is_ok());
}
