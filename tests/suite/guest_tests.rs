//! `herd test`: selection, exit codes, blessing, reports for build servers, watching, and costs.

use std::fs;
use std::path::{Path, PathBuf};

use herd_tests::{DEFAULT_GUEST, HELLO, Herd, WATCH};

/// Runs `herd test`. Returns its exit code, and what it said.
fn run(herd: &Herd, arguments: &[&str]) -> (i32, String) {
    let tested = herd.herd(&[&["test"], arguments].concat());
    let said = [tested.stdout, tested.stderr].concat();
    (tested.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

/// Writes a transcript for the example that greets.
fn transcript(herd: &Herd, name: &str, text: &str) -> (PathBuf, String) {
    let path = herd.scratch().write(name, text);
    let name = path.to_string_lossy().into_owned();
    (path, name)
}

const HOLDS: &str = "input \"you\\n\"\n  reply \"hello, you\\n\"\n";

#[test]
fn herd_test_selects_transcripts_by_name() {
    let herd = Herd::of_one();
    let (code, said) = run(&herd, &[DEFAULT_GUEST, "--only", "places-*", "--only", "iam"]);
    assert!(code == 0 && said.contains("ok        places-google\n") && said.contains("ok        iamat\n"), "{said}");
    assert!(!said.contains("whatsat") && said.contains(" 0 failed, ") && said.contains(" left out (replies"), "{said}");
    let (code, said) = run(&herd, &[DEFAULT_GUEST, "--only", "iammat"]);
    assert!(code == 2 && said.contains("--only selects none of ") && said.contains("client-ids, "), "{said}");
}

#[test]
fn herd_test_exits_with_2_for_what_it_cannot_read_and_1_for_what_fails() {
    let herd = Herd::of_one();
    let (_, holds) = transcript(&herd, "holds.herd", HOLDS);
    let (_, fails) = transcript(&herd, "fails.herd", "input \"you\\n\"\n\n  reply \"hullo, you\\n\"\n");
    let (_, broken) = transcript(&herd, "broken.herd", "input you\n");
    assert_eq!(run(&herd, &[HELLO, &holds]).0, 0);
    let (code, said) = run(&herd, &[HELLO, &holds, &fails]);
    assert!(code == 1 && said.contains(&format!("{fails}:3\n")) && said.contains("1 passed, 1 failed"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours when the output is not a terminal");
    // The others run all the same, in the order of the command line.
    let (code, said) = run(&herd, &[HELLO, &broken, &fails, &holds]);
    assert!(code == 2 && said.contains("1 passed, 1 failed, 1 unreadable"), "{said}");
    let places = [&broken, &fails, &holds].map(|name| said.find(&**name).unwrap());
    assert!(places.is_sorted() && said.contains("broken.herd:1: expected bytes"), "{said}");
    assert_eq!(run(&herd, &[&holds, &holds]).0, 2, "the guest is none");
    assert_eq!(run(&herd, &[HELLO, "missing.herd"]).0, 2);
    assert_eq!(run(&herd, &[HELLO, "--bless"]).0, 2, "built-in transcripts do not change");
    assert_eq!(run(&herd, &[HELLO, "--nonsense"]).0, 2);
}

/// Goal: blessing mends what differs and leaves the rest, also where a mended line captures a variable of a later event.
#[test]
fn herd_test_blesses_only_what_differs() {
    let herd = Herd::of_one();
    let (path, name) = transcript(
        &herd,
        "old.herd",
        "# Greetings.\ninput \"you\\n\"\n  # As before.\n  reply \"hello, \\{who}\\n\"   # stays\ninput \"a b\\n\"\n  \
         reply \"hullo, \\{first} b\\n\"\ninput \"\\{first}\\n\"\n  reply \"hi\\n\"\n",
    );
    let (code, said) = run(&herd, &[HELLO, &name]);
    assert!(code == 1 && said.contains("=   not performed: no value for \\{first}"), "{said}");
    let (code, said) = run(&herd, &[HELLO, &name, "--bless"]);
    assert!(code == 0 && said.contains(&format!("blessed   {name}\n")) && said.contains("1 blessed: review"), "{said}");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "# Greetings.\ninput \"you\\n\"\n  # As before.\n  reply \"hello, \\{who}\\n\"   # stays\ninput \"a b\\n\"\n  \
         reply \"hello, \\{first} b\\n\"\ninput \"\\{first}\\n\"\n  reply \"hello, a\\n\"\n"
    );
    assert_eq!(run(&herd, &[HELLO, &name]).0, 0);
    // A recording that would lose the capture is not written.
    let lost = "input \"you\\n\"\n  reply \"\\{a} \\{b} \\{c} x\\n\"\ninput \"\\{c}\\n\"\n";
    let (path, name) = transcript(&herd, "lost.herd", lost);
    let (code, said) = run(&herd, &[HELLO, &name, "--bless"]);
    assert!(
        code == 1 && said.contains("not blessed") && said.contains("no expectation above captures \\{c}"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(path).unwrap(), lost);
}

#[test]
fn herd_test_writes_junit_xml_and_coverage() {
    let herd = Herd::of_one();
    let (_, holds) = transcript(&herd, "holds.herd", HOLDS);
    let (_, fails) = transcript(&herd, "fails.herd", "input \"<you>\\n\"\n  reply \"hullo\\n\"\n");
    let xml = herd.scratch().path("results.xml");
    let (code, said) = run(&herd, &[HELLO, &holds, &fails, "--coverage", "--junit", &xml.to_string_lossy()]);
    assert!(code == 1 && said.contains("\nyou      1\n") && said.contains("\nreply   2\n"), "{said}");
    assert!(said.contains("never occurred: reply else, keep,"), "{said}");
    let xml = fs::read_to_string(xml).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(
        xml.contains("-   reply &quot;hullo\\n&quot;") && xml.contains("+   reply &quot;hello, &lt;you&gt;"),
        "{xml}"
    );
    assert!(xml.contains(&format!("message=\"differs at {fails}:2\"")) && xml.contains("line=\"2\""), "{xml}");
    let (code, said) = run(&herd, &[WATCH, "--coverage"]);
    assert!(code == 0 && said.contains("never sent: ") && said.contains("WATCH"), "{said}");
}

#[test]
fn herd_test_watch_runs_again_after_each_change() {
    let herd = Herd::of_one();
    let (path, name) = transcript(&herd, "order.herd", HOLDS);
    let guest = herd.scratch().write("guest.wasm", fs::read(HELLO).unwrap());
    let mut watching = herd.begin(&["test", &guest.to_string_lossy(), &name, "--watch"]);
    watching.await_line("1 passed, 0 failed (every effect compared)");
    fs::write(&path, HOLDS.replace("hello", "hullo")).unwrap();
    watching.await_line("0 passed, 1 failed (every effect compared)");
    fs::write(&path, HOLDS).unwrap();
    watching.await_line("1 passed, 0 failed (every effect compared)");
    fs::copy(DEFAULT_GUEST, &guest).unwrap();
    watching.await_line("0 passed, 1 failed (every effect compared)");
}

/// Goal: costs are the same in every run, and a budget fails on a regression. Method: the budget of one guest, held by itself and
/// not by a guest that does more for the same command.
#[test]
fn herd_test_cost_repeats_and_fails_over_budget() {
    let herd = Herd::of_one();
    let budget = herd.scratch().path("budget.toml").to_string_lossy().into_owned();
    let only = |guest, rest: &[&str]| run(&herd, &[&[guest, "--cost", "--only", "iamat"], rest].concat());
    let (code, said) = only(DEFAULT_GUEST, &["--budget", &budget]);
    assert!(code == 2 && said.contains("--bless"), "{said}");
    let (code, said) = only(DEFAULT_GUEST, &["--budget", &budget, "--bless"]);
    assert!(code == 0 && said.contains("\nIAMAT "), "{said}");
    let text = fs::read_to_string(&budget).unwrap();
    let (code, said) = only(DEFAULT_GUEST, &["--budget", &budget]);
    assert_eq!((code, said.contains("over budget")), (0, false), "{said}");
    only(DEFAULT_GUEST, &["--budget", &budget, "--bless"]);
    assert_eq!(fs::read_to_string(&budget).unwrap(), text, "another run, the same costs");
    // `watch` publishes each report besides.
    let (code, said) = only(WATCH, &["--budget", &budget]);
    assert!(code == 1 && said.contains("over budget: IAMAT: "), "{said}");
    let (code, said) = only(WATCH, &["--against", DEFAULT_GUEST]);
    assert!(code == 0 && said.contains("AGAINST") && said.contains("%"), "{said}");
    fs::write(&budget, "[commands.IAMAT]\ninstructions = \"many\"\n").unwrap();
    let (code, said) = only(DEFAULT_GUEST, &["--budget", &budget]);
    assert!(code == 2 && said.contains("commands.IAMAT: instructions is a whole number"), "{said}");
}

#[test]
fn herd_test_runs_a_herd_of_several_nodes() {
    let herd = Herd::of_one();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/transcripts.md")).unwrap();
    let example = page.split("```\n").find(|block| block.contains("\nflood from Riley\n")).unwrap();
    let (_, name) = transcript(&herd, "herd.herd", example);
    let (code, said) = run(&herd, &[DEFAULT_GUEST, &name]);
    assert_eq!(code, 0, "{said}");
    let (_, name) = transcript(&herd, "cut.herd", &example.replace("  verdict keep\n", "  duplicate\n"));
    let (code, said) = run(&herd, &[DEFAULT_GUEST, &name]);
    assert!(code == 1 && said.contains("-   duplicate\n+   verdict keep\n"), "{said}");
}
