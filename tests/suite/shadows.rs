//! Shadows: a candidate that decides a share of the calls again; its effects are compared and discarded.

use herd_tests::load::Load;
use herd_tests::{Behaviour, Client, DEFAULT_GUEST, Fixture, HELLO, Herd, eventually};
use serde_json::Value;

/// Waits until the shadow report of a node satisfies `enough`, and returns that report.
fn report(herd: &Herd, node: &str, enough: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("the wanted shadow report of {node}"), || {
        let said = herd.herd(&["shadow", "report", "--json"]);
        let said: Value = serde_json::from_slice(&said.stdout).map_err(|error| error.to_string())?;
        let shadow = &said["nodes"][node]["shadow"];
        if enough(shadow) { Ok(shadow.clone()) } else { Err(said.to_string()) }
    })
}

fn compared(inputs: u64) -> impl Fn(&Value) -> bool {
    move |shadow| shadow["compared"].as_u64() >= Some(inputs)
}

fn shadow(herd: &Herd, guest: impl AsRef<std::path::Path>) {
    herd.swap_with(guest, &["--shadow", "100%"]).unwrap();
}

/// Reports a location and checks that the active generation, not the candidate, gave the answer.
fn iamat(client: &mut Client, name: &str) {
    let told = client.ask(&format!("IAMAT {name} +34.068930-118.445127 1520023934.918963997"));
    let fields: Vec<&str> = told.split(' ').collect();
    assert_eq!((fields.len(), fields[0], fields[3]), (6, "AT", name), "{told}");
    let decimals = fields[2].split('.').next_back().unwrap();
    assert_eq!(decimals.len(), 9, "the candidate answers no client: {told}");
}

fn kind<'a>(shadow: &'a Value, command: &str, effect: &str, part: &str) -> &'a Value {
    let kinds = shadow["differences"].as_array().unwrap();
    let is = |kind: &&Value| kind["command"] == command && kind["effect"] == effect && kind["part"] == part;
    kinds.iter().find(is).unwrap_or_else(|| panic!("no {command} {effect} {part} in {shadow}"))
}

/// The reasons given by Riley's audit entries about shadows.
fn audited(herd: &Herd) -> Vec<String> {
    let said = herd.herd(&["audit", "--json"]);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let entries = said["Riley"]["entries"].as_array().unwrap().iter();
    let shadows = entries.filter(|entry| entry["stage"] == "shadow");
    shadows.map(|entry| entry["why"].as_str().unwrap_or_default().to_string()).collect()
}

/// Goal: the log distinguishes the lines that a shadow prints from those of a generation that answers. Method: one guest that
/// prints when it panics, first as a shadow and then as the active generation.
#[test]
fn shadow_output_is_marked_in_the_log_with_its_generation() {
    let herd = Herd::of_one().with_guest(HELLO);
    let up = herd.up();
    shadow(&herd, Fixture::Trap);
    assert_eq!(herd.client("Riley").ask("BOOM"), "hello, BOOM");
    let printed = up.await_log(&["guest: ", "panicked"]);
    assert!(printed.contains("shadow=2") && !printed.contains("generation="), "{printed}");
    assert!(herd.herd(&["shadow", "stop"]).status.success());
    herd.swap_with(Fixture::Trap, &["--unrehearsed"]).unwrap();
    assert_eq!(herd.client("Riley").ask("BOOM"), "hello, BOOM", "the previous generation decides");
    up.await_log(&["guest: ", "panicked", "generation=3"]);
}

/// Goal: a shadow reports a changed format by command, effect and field, with counts and examples, and no client sees it. Method:
/// a shadow that writes the skew with six decimals, under single lines, several lines in one packet, and load whose answers are
/// checked.
#[test]
fn shadow_reports_a_changed_format_by_command_effect_and_field() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    shadow(&herd, Fixture::Rounder);
    let mut client = herd.client("Riley");
    for number in 0..20 {
        iamat(&mut client, &format!("kiwi-{number}"));
    }
    client.send("nonsense\nIAMAT packet +34-118 1\nWHATSAT\n");
    assert_eq!(client.line(), "? nonsense");
    assert!(client.line().starts_with("AT Riley +"));
    assert_eq!(client.line(), "? WHATSAT");
    let found = report(&herd, "Riley", compared(21));
    assert_eq!((&found["faults"], &found["ended"]), (&0.into(), &Value::Null), "{found}");
    for (effect, part) in [("reply", ""), ("keep", "record")] {
        let kind = kind(&found, "IAMAT", effect, part);
        assert_eq!((&kind["count"], &kind["line"], &kind["field"]), (&21.into(), &1.into(), &3.into()), "{found}");
        let examples = kind["examples"].as_array().unwrap();
        assert_eq!(examples.len(), 3);
        let side = |side: &str| examples[0][side].as_str().unwrap();
        assert!(side("input").starts_with("IAMAT kiwi-0 +34.068930"), "{kind}");
        assert_eq!(&side("before")[..side("before").len() - 3], side("after"), "{kind}");
    }
    assert_eq!(found["differences"].as_array().unwrap().len(), 2, "nothing else differs: {found}");

    herd.places().behave(Behaviour::Results(1));
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let running = Load { nodes, sessions_per_node: 8, askers_per_node: 1, rate: Some(2_000.0) }.start();
    eventually("answers", || match running.answered() {
        2_000.. => Ok(()),
        answered => Err(answered.to_string()),
    });
    let outcome = running.stop();
    assert_eq!((outcome.failed, outcome.failures), (0, vec![]), "every answer is that of the active generation");
    let found = report(&herd, "Jaquez", compared(100));
    let commands: Vec<_> = found["differences"].as_array().unwrap().iter().map(|kind| &kind["command"]).collect();
    assert!(!commands.is_empty() && commands.iter().all(|command| *command == "IAMAT"), "{found}");
    let status = herd.status("Riley")["generations"]["shadow"].clone();
    assert_eq!((&status["share_percent"], &status["faults"]), (&100.into(), &0.into()), "{status}");
    assert!(status["different"].as_u64() >= Some(21), "{status}");

    let said = String::from_utf8(herd.herd(&["shadow", "report"]).stdout).unwrap();
    assert!(said.lines().any(|line| line.starts_with("all ")), "{said}");
    let line = said.lines().find(|line| line.starts_with("IAMAT") && line.contains("reply")).unwrap();
    assert!(line.contains("field 3") && line.contains("\" -> \"+") && line.contains("IAMAT "), "{said}");
}

/// Goal: a shadow reports additional effects as the only difference, no difference for the same guest, and compares reports
/// from peers too. Method: a guest that also publishes, then the default guest itself.
#[test]
fn shadow_reports_extra_effects_and_nothing_for_an_equal_guest() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    shadow(&herd, herd_tests::WATCH);
    let mut client = herd.client("Riley");
    for number in 0..20 {
        iamat(&mut client, &format!("kiwi-{number}"));
        assert_eq!(client.ask("nonsense"), "? nonsense");
    }
    assert!(client.ask_places("WHATSAT kiwi-1 1 1").0.starts_with("AT "));
    let found = report(&herd, "Riley", compared(41));
    assert_eq!(kind(&found, "IAMAT", "publish", "extra")["count"], 20, "{found}");
    assert_eq!(found["differences"].as_array().unwrap().len(), 1, "{found}");
    assert!(herd.herd(&["shadow", "stop"]).status.success());
    shadow(&herd, DEFAULT_GUEST);
    for number in 0..20 {
        iamat(&mut client, &format!("mango-{number}"));
    }
    let found = report(&herd, "Riley", compared(20));
    assert_eq!(
        (&found["different"], &found["faults"], &found["differences"]),
        (&0.into(), &0.into(), &Value::Array(vec![]))
    );
    let found = report(&herd, "Jaquez", compared(1));
    assert_eq!(&found["different"], &0, "reports from a peer are shadowed too: {found}");
}

#[test]
fn shadow_share_out_of_range_is_a_clear_error() {
    let herd = Herd::of_one();
    let _up = herd.up();
    for share in ["0%", "101%", "abc", ""] {
        let said = herd.swap_with(HELLO, &[&format!("--shadow={share}")]).unwrap_err();
        assert!(said.contains(&format!("`{share}` is no share; one is written as 1% to 100%")), "{said}");
    }
    assert_eq!(herd.status("Riley")["generations"]["shadow"], Value::Null);
    assert_eq!(herd.status("Riley")["generations"]["active"]["id"], 1);
}

/// Goal: faults of a shadow are counted with the faulting line, reach no client, and end the shadow after 256. Method: a guest
/// that traps on one line, alone and in a packet with others.
#[test]
fn shadow_faults_affect_no_client_and_end_the_shadow() {
    let herd = Herd::of_one().with_guest(HELLO);
    let up = herd.up();
    shadow(&herd, Fixture::Trap);
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("BOOM"), "hello, BOOM");
    client.send("you\nBOOM 2\n");
    assert_eq!((client.line(), client.line()), ("hello, you".into(), "hello, BOOM 2".into()));
    let found = report(&herd, "Riley", |shadow| shadow["faults"] == 2);
    let fault = &found["faults_by_kind"][0];
    assert_eq!((&fault["kind"], &fault["count"]), (&"trap".into(), &2.into()), "{found}");
    assert_eq!(fault["examples"][0]["input"], "BOOM");
    assert_eq!(fault["examples"][1]["input"], "BOOM 2", "the faulting line is found within its packet");
    assert!(fault["examples"][0]["fault"].as_str().unwrap().contains("the bottom fell out"), "{found}");
    assert_eq!(kind(&found, "you", "reply", "")["count"], 1, "the other line of the packet is compared");
    for number in 3..=300 {
        assert_eq!(client.ask(&format!("BOOM {number}")), format!("hello, BOOM {number}"));
    }
    let found = report(&herd, "Riley", |shadow| !shadow["ended"].is_null());
    assert_eq!((&found["ended"], &found["faults"]), (&"the candidate faulted 256 times".into(), &256.into()));
    up.await_log(&["WARN", "shadow ended by itself", "256 times"]);
    let status = herd.status("Riley")["generations"].clone();
    assert_eq!((&status["shadow"], &status["active"]["faults"]), (&Value::Null, &0.into()), "{status}");
    assert_eq!(client.ask("you"), "hello, you");
    eventually("the audit entry of the end", || match audited(&herd) {
        whys if whys.iter().any(|why| why == "ended by itself: the candidate faulted 256 times") => Ok(()),
        whys => Err(format!("{whys:?}")),
    });
}

/// Goal: a shadow ends when it is stopped and when the node swaps or rolls back, its report stays readable, and each end is
/// audited. Method: one shadow for each way to end.
#[test]
fn shadow_ends_on_stop_swap_and_rollback() {
    let herd = Herd::of_one();
    let mut up = herd.up();
    let said = |arguments: &[&str]| {
        let said = herd.herd(arguments);
        (said.status.success(), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
    };
    let (fine, text) = said(&["shadow", "stop"]);
    assert!(!fine && text.contains("no guest is a shadow on this node"), "{text}");
    shadow(&herd, HELLO);
    let refused = herd.swap_with(Fixture::Rounder, &["--shadow", "5%"]).unwrap_err();
    assert!(refused.contains("is already the shadow; herd shadow stop ends it"), "{refused}");
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("you"), "? you");
    report(&herd, "Riley", compared(1));
    let (fine, text) = said(&["shadow", "stop"]);
    assert!(fine && text.contains("shadow ended"), "{text}");
    let ended = |why: &str| {
        let found = report(&herd, "Riley", |shadow| !shadow["ended"].is_null());
        assert_eq!(found["ended"], why);
        assert_eq!(herd.status("Riley")["generations"]["shadow"], Value::Null);
        found
    };
    assert_eq!(ended("stopped by an operator")["differences"][0]["command"], "you", "its report stays");

    shadow(&herd, HELLO);
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(client.ask("you"), "hello, you");
    ended("the node swapped to another guest");
    shadow(&herd, Fixture::Rounder);
    herd.swap(Fixture::Greedy, &[]).unwrap_err();
    ended("a swap to another guest began");
    shadow(&herd, Fixture::Rounder);
    assert!(said(&["rollback"]).0);
    ended("the node rolled back to the previous generation");
    assert_eq!(client.ask("you"), "? you");
    let begun = "shadows 100% of the calls";
    let told =
        [begun, "another", "stopped", begun, "ended by a swap", begun, "ended by a swap", begun, "ended by a rollback"];
    let audited = audited(&herd);
    assert_eq!(audited.len(), told.len(), "{audited:?}");
    assert!(audited.iter().zip(told).all(|(why, told)| why.starts_with(told)), "{audited:?}");
    up.terminate();
    assert_eq!(up.wait().code(), Some(0));
}
