//! Protocol cases of `tests/cases`: one test per topic, each with its own herd.

use herd_tests::cases::{self, RunningHerd};

macro_rules! topics {
    ($($test:ident: $topic:literal,)*) => {
        $(#[test]
        fn $test() {
            run($topic);
        })*

        #[test]
        fn cases_have_a_test_for_every_topic() {
            assert_eq!(cases::topics(), [$($topic),*]);
        }
    };
}

topics! {
    connections: "connections",
    failures: "failures",
    flood: "flood",
    iamat: "iamat",
    invalid: "invalid",
    order: "order",
    peers: "peers",
    topologies: "topologies",
    upstream: "upstream",
    whatsat: "whatsat",
    white_space: "white-space",
}

/// Runs all cases of a topic and reports every failure, not only the first.
fn run(topic: &str) {
    let cases = cases::of(topic);
    assert!(!cases.is_empty(), "{topic} has no cases");
    let mut herd = RunningHerd::new();
    let mut failed = 0;
    for case in &cases {
        if let Err(what) = case.run(&mut herd) {
            failed += 1;
            eprintln!("{}: {}\n{what}\nbecause: {}\n", case.place(), case.name, case.why);
        }
    }
    // A process that is dropped during a panic prints its log. The failures are already printed, so drop the processes first.
    herd.clear();
    assert_eq!(failed, 0, "of {} cases of {topic}", cases.len());
}
