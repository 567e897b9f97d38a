//! Transcripts of several nodes.

use super::*;

fn run(text: &str) -> Run {
    let transcript = Transcript::parse("t", text).unwrap();
    let run = transcript.run_herd(|settings, records| Toy::configure(settings).map(|toy| Native::new(toy, records)));
    run.unwrap_or_else(|bad| panic!("{bad}"))
}

/// `put` at one node, without the lines that do not matter here.
fn put(words: &str, rest: &str) -> String {
    let key = words.split(' ').next().unwrap();
    let record = words.split(' ').nth(2).unwrap();
    format!(
        "input \"put {words}\\n\"\n  keep \"{key}\", \"{record}\" form 1 rank * to \"Jaquez\", \"Juzang\"{rest}\n  \
         reply \"kept\\n\" else \"no\\n\"\n  publish \"{key}\", \"{record}\" if kept\n"
    )
}

#[test]
fn herd_floods_along_a_line_in_the_order_of_the_events() {
    let text = format!(
        "node A\n{}{}node B\nflood from A\n  verdict keep\n  verdict keep\n  publish \"t\", \"news\" if kept report 1\n\
         flood from A\nnode C\nflood from A\n  verdict keep\n  verdict keep\n  publish \"t\", \"news\" if kept report 1\n\
         # From B come the same reports.\nflood from B\n  duplicate\n  duplicate\ninput \"get k\\n\"\n  reply \"new\"\n",
        put("k 1 old", ""),
        put("k 2 new", "")
    );
    let run = run(&text);
    assert!(run.passed(), "{run}");
    assert_eq!(run.actual(), text);
}

#[test]
fn herd_floods_nothing_back_and_nothing_that_lost() {
    let text = format!(
        "node A\n{}node B\nflood from A\n  verdict keep\n  publish \"t\", \"news\" if kept report 1\n{}\
         node A\n# B has kept nothing that A lacks.\nflood from B\ninput \"get k\\n\"\n  reply \"new\"\n",
        put("k 2 new", ""),
        put("k 1 old", " loses"),
    );
    let run = run(&text);
    assert!(run.passed(), "{run}");
}

#[test]
fn herd_floods_a_refused_report_to_the_nodes_behind() {
    let text = format!(
        "node A\n{}node B\nflood from A\n  verdict refuse\n  publish \"t\", \"news\" if kept report 1\n\
         input \"get k\\n\"\n  reply \"\"\nnode C\nflood from B\n  verdict refuse\n  publish \"t\", \"news\" if kept report 1\n",
        put("k 1 odd", "")
    );
    let run = run(&text);
    assert!(run.passed(), "{run}");
}

#[test]
fn herd_has_sessions_and_records_for_each_node() {
    let text = "input \"get\"\n  waits\nnode B\ninput \" k\\n\"\n  note warn \"what?\"\nnode Riley\ninput \" k\\n\"\n  reply \"\"\n";
    let run = run(text);
    assert!(run.passed(), "{run}");
    assert_eq!(Transcript::parse("t", text).unwrap().not_live(), Some("has several nodes"));
}

#[test]
fn herd_of_one_loaded_node_faults_at_the_others() {
    let text = "node A\nnode B\ninput \"get k\\n\"\n  reply \"\"\n";
    let records = Arc::new(MemoryRecords::default());
    let run = Transcript::parse("t", text).unwrap().run(&mut Native::new(Toy, records.clone()), &records);
    assert!(run.to_string().contains("+   fault \"the transcript has several nodes"), "{run}");
}
