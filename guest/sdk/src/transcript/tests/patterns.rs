//! Patterns and variables in transcripts, and what a recording keeps of them.

use super::*;

#[test]
fn variables_pass_from_an_effect_to_later_events_and_effects() {
    let text = "input \"put k 7 value-42\\n\"\n  keep \"k\", \"\\{word}-\\#\" form 1 rank * to *, *\n  reply * else *\n  \
                publish \"k\", \"\\{word}-\\*\" if kept\ninput \"put \\{word} 1 x\\n\"\n  keep \"\\{word}\", \"x\" form 1 rank 31 to *, *\n  \
                reply \"\\*\\n\" else \"n\\?\\n\"\n  publish \"value\", \"x\" if kept\ninput \"get \\{word}\\n\"\n  reply \"x\"\n";
    let run = run(text);
    assert!(run.passed(), "{run}");
    assert_eq!(run.actual(), text);
    assert_eq!(Transcript::parse("t", text).unwrap().not_live(), Some("holds patterns or variables"));
}

#[test]
fn variables_of_a_line_that_does_not_hold_stop_the_events_that_need_them() {
    let text = "input \"get k\\n\"\n  reply \"\\{a}!\"\ninput \"get \\{a}\\n\"\n  reply \"\"\n";
    let run = run(text);
    assert_eq!(
        run.to_string(),
        "t:2\n  input \"get k\\n\"\n-   reply \"\\{a}!\"\n+   reply \"\"\n\
         t:3\n  input \"get \\{a}\\n\"\n=   not performed: no value for \\{a}, since the line that captures it does not hold\n"
    );
    // The recording would not parse: nothing captures the variable. So it is not written.
    assert_eq!(run.actual(), "input \"get k\\n\"\n  reply \"\"\ninput \"get \\{a}\\n\"\n  reply \"\"\n");
    assert_eq!(Transcript::parse("t", run.actual()).unwrap_err().line, 3);
}

#[test]
fn difference_shows_the_values_of_variables() {
    let text = "input \"put k 1 v\\nget k\\n\"\n  keep \"k\", \"\\{a}\" form 1 rank * to *, *\n  reply * else *\n  \
                publish \"k\", \"v\" if kept\n  reply \"\\{a}\\{a}\"\n";
    let run = run(text);
    assert!(run.to_string().starts_with("t:5\n"), "{run}");
    assert!(run.to_string().ends_with("-   reply \"\\{a}\\{a}\"\n+   reply \"v\"\n=   \\{a} is \"v\"\n"), "{run}");
}

#[test]
fn recording_keeps_stars_patterns_and_variables_that_still_match() {
    let text = "input \"put k 1 v-7 \\nget k\\n\"\n  # The record.\n  keep \"K\", \"\\{a}-\\#\" form 1 rank * to *, *\n  \
                reply \"no \\*\\n\" else \"\\?o\\n\"\n  publish \"k\", \"v-7\" if kept\n  reply \"\\{a}-8\"\n";
    let recorded = run(text);
    assert_eq!(recorded.differences().len(), 1);
    assert_eq!(
        recorded.actual(),
        "input \"put k 1 v-7 \\nget k\\n\"\n  # The record.\n  keep \"k\", \"\\{a}-\\#\"\n    form 1 rank * to *, *\n  \
         reply \"kept\\n\"\n    else \"\\?o\\n\"\n  publish \"k\", \"v-7\" if kept\n  reply \"v-7\"\n"
    );
    let again = run(recorded.actual());
    assert!(again.passed(), "{again}");
}

#[test]
fn comparison_of_replies_matches_patterns_across_replies() {
    let joined = "input \"put k 1 v\\nget k\\nput l 1 w\\n\"\n  reply \"k\\*t\\n\\{v}kept\\n\"\ninput \"get \\{v}\\n\"\n  reply \"\"\n";
    assert!(replies(joined).passed(), "{}", replies(joined));
    let other = "input \"put k 1 v\\nget k\\n\"\n  reply \"k\\*t\\nw\"\n";
    assert!(!replies(other).passed());
}

#[test]
fn coverage_counts_commands_and_effects_of_a_run() {
    let run = run(EVERYTHING);
    let commands: Vec<(&[u8], u64)> = run.coverage().commands().collect();
    assert_eq!(commands[..4], [(&b"?"[..], 1), (b"abc", 1), (b"ask", 2), (b"bye", 1)]);
    let count = |kind| run.coverage().effects().find(|(other, _)| *other == kind).map(|(_, count)| count);
    assert_eq!((count("keep"), count("keep loses"), count("reply else")), (Some(2), Some(1), Some(2)));
    assert_eq!((count("fetch post"), count("verdict refuse"), count("unsubscribe")), (Some(2), Some(1), Some(0)));
}
