//! Contexts: names for herds, and which of them a command uses.

use super::Run;
use super::hosts::Machine;

/// Two configurations, whose herds have these names.
fn machine(name: &str) -> Machine {
    let machine = Machine::new(name);
    for herd in ["east", "west"] {
        machine
            .write(&format!("{herd}.toml"), &format!("herd = {herd:?}\n[nodes.Ada]\nclient = \"127.0.0.1:15415\"\n"));
    }
    machine
}

/// Name of the herd that a command uses: from its configuration.
fn herd_of(machine: &Machine, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = machine.command(&[&["config"], arguments].concat());
    let run = Run::new(command.envs(variables.iter().copied()));
    assert_eq!((run.code, &*run.stderr), (0, ""), "{arguments:?}");
    run.stdout.lines().find_map(|line| line.strip_prefix("herd = ")).unwrap().trim_matches('"').into()
}

/// Goal: a command reaches the herd that was named last and nearest. Method: two herds, named in every way and pair of ways.
#[test]
fn context_gives_way_to_what_is_typed_and_to_the_environment() {
    let machine = machine("choice");
    assert_eq!(machine.does(&["context", "list"]), "no contexts; herd context add NAME --config FILE adds one\n");
    let added = machine.does(&["context", "add", "e", "--config", "east.toml", "--use"]);
    assert_eq!(added, "context e, the current one: herd east of 1 node\n");
    machine.does(&["context", "add", "w", "--config", "west.toml"]);
    let herd = |arguments: &[&str], variables: &[(&str, &str)]| herd_of(&machine, arguments, variables);
    assert_eq!(herd(&[], &[]), "east");
    assert_eq!(herd(&["--context", "w"], &[]), "west");
    assert_eq!(herd(&[], &[("HERD_CONTEXT", "w")]), "west");
    assert_eq!(herd(&[], &[("HERD_CONFIG", "west.toml")]), "west");
    assert_eq!(herd(&["--config", "west.toml"], &[]), "west");
    assert_eq!(herd(&["--config", "east.toml"], &[("HERD_CONTEXT", "w")]), "east");
    assert_eq!(herd(&["--context", "e"], &[("HERD_CONFIG", "west.toml"), ("HERD_CONTEXT", "w")]), "east");
    assert_eq!(herd(&[], &[("HERD_CONTEXT", ""), ("HERD_CONFIG", "")]), "east", "empty ones are none");
    assert_eq!(herd(&["--set", "herd=north"], &[]), "north");
    let both = machine.fails(&["config", "--config", "west.toml", "--context", "e"]);
    assert_eq!(both, "herd: --config and --context both name a herd; leave one of them out\n");
    let variables = [("HERD_CONFIG", "west.toml"), ("HERD_CONTEXT", "e")];
    let both = Run::new(machine.command(&["config"]).envs(variables));
    assert_eq!(both.stderr, "herd: HERD_CONFIG and HERD_CONTEXT both name a herd; unset one of them\n");
    machine.does(&["context", "use", "w"]);
    assert_eq!(herd(&[], &[]), "west");
    machine.does(&["context", "use", "--none"]);
    assert_eq!(herd(&[], &[]), "herd");
}

#[test]
fn context_is_shown_with_the_reason_for_its_use() {
    let machine = machine("shown");
    machine.does(&["context", "add", "e", "--config", "east.toml", "--use", "--state-dir", "state"]);
    let shown = machine.does(&["context", "show"]);
    assert!(shown.starts_with("context e, by herd context use\n  configuration    /"), "{shown}");
    assert!(
        shown.contains("/east.toml\n")
            && shown.contains("/state\n")
            && shown.ends_with("  herd             east: Ada\n"),
        "{shown}"
    );
    let listed = machine.does(&["context", "list"]);
    assert!(listed.lines().nth(1).unwrap().starts_with("*  e "), "{listed}");
    let json: serde_json::Value = serde_json::from_str(&machine.does(&["context", "list", "--json"])).unwrap();
    assert_eq!(json["current"], "e");
    assert!(json["contexts"]["e"]["config"].as_str().unwrap().ends_with("/east.toml"), "{json}");
    // The status names it before it asks anybody.
    let status = machine.run(&["status"]);
    assert!(
        status.stdout.starts_with("context e, herd east\n") || status.stderr.contains("/state/east"),
        "{}{}",
        status.stdout,
        status.stderr
    );
}

#[test]
fn context_that_is_wrong_is_refused_with_what_to_type() {
    let machine = machine("wrong");
    machine.write("broken.toml", "herd = 5\n");
    assert!(machine.fails(&["context", "add", "b", "--config", "broken.toml"]).contains("broken.toml:1: `herd` is 5"));
    machine.does(&["context", "add", "east", "--config", "east.toml"]);
    assert_eq!(
        machine.fails(&["context", "add", "east", "--config", "west.toml"]),
        "herd: there is a context east already; --replace replaces it, herd context show east shows it\n"
    );
    machine.does(&["context", "add", "east", "--config", "west.toml", "--replace"]);
    assert_eq!(herd_of(&machine, &["--context", "east"], &[]), "west");
    assert_eq!(
        machine.fails(&["status", "--context", "eats"]),
        "herd: no context is named eats (--context); did you mean `east`?; herd context add eats --config FILE adds it\n"
    );
    assert!(machine.fails(&["context", "use", "eats"]).contains("no context is named eats; did you mean `east`?"));
    machine.does(&["context", "remove", "east"]);
    assert!(!machine.read(".config/herd/contexts.toml").contains("[contexts.east]"));
    assert_eq!(machine.run(&["context", "add", "a b"]).code, 2);
}
