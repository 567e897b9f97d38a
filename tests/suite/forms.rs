//! Record forms: reading records that another generation wrote in another form, in swaps, rollbacks and mixed herds.

use std::sync::Arc;

use herd_model::{Digest, SwapOptions};
use herd_replication::{NoJournal, Replica, ReplicaConfig};
use herd_runtime::{ComponentDecider, Engine, GenerationRegistry, Limits, SwapLimits, Warmth};
use herd_sdk::native::{Decider, MemoryRecords};
use herd_sdk::{Effect, Moment, Report, Settings};
use herd_tests::{DEFAULT_GUEST, Fixture, HELLO, Herd, WATCH, eventually};
use serde_json::Value;

/// First line of a node's answer to a `WHATSAT` about a client: its `AT` line, or the copy of the command if it is unknown.
fn located(herd: &Herd, node: &str, client: &str) -> String {
    herd.client(node).ask_places(&format!("WHATSAT {client} 1 1")).0
}

/// Reports a client's location and returns the `AT` line.
fn report(herd: &Herd, node: &str, client: &str) -> String {
    let told = herd.client(node).ask(&format!("IAMAT {client} +34.068930-118.445127 1520023934.918963997"));
    assert!(told.starts_with(&format!("AT {node} ")), "{told}");
    told
}

fn unconvertible(herd: &Herd, node: &str) -> u64 {
    herd.status(node)["generations"]["unconvertible"].as_u64().unwrap()
}

/// Swaps to a guest that must be refused without any change; returns the error text.
#[track_caller]
fn refused(herd: &Herd, guest: impl AsRef<std::path::Path>, arguments: &[&str]) -> String {
    let before = herd.status("Riley")["generations"].clone();
    let said = herd.swap_with(guest, arguments).unwrap_err();
    assert_eq!(herd.status("Riley")["generations"], before, "nothing changed");
    said
}

#[track_caller]
fn await_equal_records(herd: &Herd) {
    let digest = herd.digest("Riley");
    for node in herd.names() {
        eventually(&format!("{node} holds what Riley holds"), || {
            let other = herd.digest(node);
            if other == digest { Ok(()) } else { Err(other) }
        });
    }
}

#[test]
fn form_change_keeps_old_records_readable_and_unchanged() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let told = report(&herd, "Riley", "kiwi");
    let digest = herd.digest("Riley");
    herd.swap(Fixture::SecondForm, &[]).unwrap();
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert_eq!(located(&herd, "Riley", "kiwi"), told, "also from the cache");
    assert_eq!(herd.digest("Riley"), digest);
    assert_eq!(herd.status("Riley")["generations"]["active"]["form"], 2);
    assert_eq!(unconvertible(&herd, "Riley"), 0);
}

#[test]
fn form_rollback_keeps_records_of_the_new_form_readable() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap(Fixture::SecondForm, &[]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(herd.status("Riley")["generations"]["active"]["form"], 1);
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert_eq!(unconvertible(&herd, "Riley"), 0);
}

/// Goal: clients cannot observe how far a rollout has come. Method: of five nodes two serve the new guest, two have rolled back
/// and one runs it as a shadow; clients report at every node before and during the rollout and are looked up at every node.
#[test]
fn form_rollout_halfway_answers_correctly_on_every_node_and_converges() {
    let herd = Herd::of_five();
    let _up = herd.up();
    let mut told = Vec::new();
    let mut report_everywhere = |when: &str| {
        for node in herd.names() {
            let client = format!("{when}-{node}");
            told.push((client.clone(), report(&herd, node, &client)));
            herd.await_known(&client, &herd.names());
        }
    };
    report_everywhere("before");
    // The old guest does not know the new form. Its nodes convert with the new guest, so that one must be live there too.
    herd.swap_with(Fixture::SecondForm, &["--shadow", "1%", "--node", "Campbell"]).unwrap();
    herd.swap(Fixture::SecondForm, &["Riley", "Bernard", "Jaquez", "Juzang"]).unwrap();
    for node in ["Jaquez", "Juzang"] {
        assert!(herd.herd(&["rollback", "--node", node]).status.success());
    }
    report_everywhere("between");
    for (client, at) in &told {
        for node in herd.names() {
            assert_eq!(located(&herd, node, client), *at, "{client} at {node}");
        }
    }
    await_equal_records(&herd);
    for node in herd.names() {
        let status = herd.status(node);
        assert_eq!(status["generations"]["unconvertible"], 0, "{node}");
        assert_eq!(status["records"]["quarantined"], 0, "{node}");
    }
}

/// Goal: a node with older logic forwards reports that it cannot read. Method: three nodes in a row; only the outer ones have
/// the new guest, and the one in the middle does not know its form.
#[test]
fn unconvertible_report_is_kept_and_forwarded() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Bernard"]), ("Bernard", &[])]);
    let up = herd.up();
    herd.swap(Fixture::SecondForm, &["Riley", "Bernard"]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    herd.await_known("kiwi", &["Bernard"]);
    assert_eq!(located(&herd, "Bernard", "kiwi"), told);
    await_equal_records(&herd);
    let counted = unconvertible(&herd, "Jaquez");
    assert!(counted >= 1, "the report was withheld from the guest");
    assert_eq!(located(&herd, "Jaquez", "kiwi"), "? WHATSAT kiwi 1 1", "an unconvertible record reads as unknown");
    assert!(unconvertible(&herd, "Jaquez") > counted, "the record was withheld too");
    up.await_log(&["WARN", "no generation of this node can convert its form"]);
    assert_eq!(herd.status("Jaquez")["records"]["quarantined"], 0);
    assert_eq!(unconvertible(&herd, "Bernard"), 0);
    herd.swap(Fixture::SecondForm, &["Jaquez"]).unwrap();
    assert_eq!(located(&herd, "Jaquez", "kiwi"), told, "the record was kept all along");
    let at_jaquez = report(&herd, "Jaquez", "emu");
    herd.await_known("emu", &["Riley", "Bernard"]);
    assert_eq!(located(&herd, "Riley", "emu"), at_jaquez);
}

#[test]
fn unconvertible_record_is_readable_again_when_its_writer_serves() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap(Fixture::NoWayBack, &[]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(located(&herd, "Riley", "kiwi"), "? WHATSAT kiwi 1 1");
    assert_eq!(unconvertible(&herd, "Riley"), 1);
    assert!(herd.herd(&["rollback"]).status.success(), "a second rollback undoes the first");
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert_eq!(unconvertible(&herd, "Riley"), 1);
}

#[test]
fn forced_swap_leaves_records_unread_that_it_could_not_read() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    herd.swap(Fixture::NoWayBack, &[]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    herd.await_known("kiwi", &["Jaquez"]);
    let said = herd.herd(&["swap", "--built-in"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("form 2") && said.contains("--force"), "{said}");
    let said = herd.herd(&["swap", "--built-in", "--force"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for node in herd.names() {
        assert_eq!(herd.status(node)["generations"]["active"]["form"], 1, "{node}");
        assert!(said.contains(&format!("{node}: 1 record stays unread")), "{said}");
    }
    herd.swap(Fixture::NoWayBack, &["Riley"]).unwrap();
    assert_eq!(located(&herd, "Riley", "kiwi"), told, "the record stays for a guest that reads it");
    let json = |arguments: &[&str]| -> Value {
        let said = herd.herd(&[&["swap", "--built-in", "--force", "--json"], arguments].concat());
        serde_json::from_slice(&said.stdout).unwrap()
    };
    assert_eq!(json(&["--node", "Riley"])["Riley"]["unread"], 1);
    assert_eq!(json(&[])["nodes"]["Jaquez"]["serving"]["unread"], 1);
}

/// Goal: a record stays readable after the generation that wrote it has retired. Method: a guest writes a record and is rolled
/// back, and a guest of the first form that knows no other one takes the last place that its generation had.
#[test]
fn form_converter_outlives_its_generation() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap_with(Fixture::SecondForm, &["--reversible"]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    herd.swap_with(WATCH, &["--reversible"]).unwrap();
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    herd.swap(HELLO, &[]).unwrap();
    herd.swap(WATCH, &[]).unwrap();
    assert_eq!(located(&herd, "Riley", "kiwi"), told, "also after more swaps");
    assert_eq!(unconvertible(&herd, "Riley"), 0);
    let alive = herd.status("Riley")["engine"]["instances"]["alive"].as_object().unwrap().len();
    assert!(alive <= 3, "two generations, and the instances that convert");
}

/// Goal: what a canary wrote stays readable after its end, on the node that took it and on others, also after a restart. Method:
/// two nodes with the canary on every session; the record table of the one that restarts comes from its peer.
#[test]
fn form_converter_outlives_a_canary_and_a_restart() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _riley = herd.run("Riley");
    let mut jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    herd.swap_with(Fixture::SecondForm, &["--canary", "100%"]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    await_equal_records(&herd);
    assert!(herd.herd(&["canary", "cancel"]).status.success());
    for node in herd.names() {
        assert_eq!(located(&herd, node, "kiwi"), told, "at {node}");
    }
    jaquez.kill();
    let _jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    await_equal_records(&herd);
    assert_eq!(located(&herd, "Jaquez", "kiwi"), told, "after a restart");
    assert_eq!(unconvertible(&herd, "Jaquez"), 0);
}

#[test]
fn form_of_a_rebuilt_guest_leaves_the_way_to_older_logic_open() {
    let herd = Herd::of_one();
    let _up = herd.up();
    report(&herd, "Riley", "emu");
    let rebuilt = herd.scratch().write("rebuilt.wasm", rebuilt(Fixture::SecondForm));
    herd.swap(Fixture::SecondForm, &[]).unwrap();
    herd.swap(&rebuilt, &[]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert_eq!(unconvertible(&herd, "Riley"), 0);
}

#[test]
fn form_without_records_refuses_no_guest() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap(Fixture::NoWayIn, &[]).unwrap();
    herd.swap(Fixture::NoWayBack, &[]).unwrap();
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
    let told = report(&herd, "Riley", "kiwi");
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
}

/// Goal: the check covers every form that the node holds records of, not only that of the active generation. Method: two guests of
/// one form, of which only the active one converts the records that clients have not replaced since.
#[test]
fn form_of_older_records_is_checked_and_the_refusal_counts_them() {
    let herd = Herd::of_one();
    let _up = herd.up();
    for client in ["kiwi", "emu", "moa"] {
        report(&herd, "Riley", client);
    }
    let again = |client: &str| herd.client("Riley").ask(&format!("IAMAT {client} +34-118 1520023935"));
    herd.swap(Fixture::SecondForm, &[]).unwrap();
    again("moa");
    let told = report(&herd, "Riley", "rhea");
    let said = refused(&herd, Fixture::NoWayIn, &["--unrehearsed"]);
    let words = "Riley: not checked: it reads form 2, and 2 records of form 1 on this node would be unknown to it: its \
                 forms.upgrade does not handle form 1, and no guest that this node keeps downgrades them to form 2";
    assert!(said.contains(words), "{said}");
    again("kiwi");
    again("emu");
    herd.swap(Fixture::NoWayIn, &[]).unwrap();
    assert_eq!(located(&herd, "Riley", "rhea"), told);
}

/// Goal: forms are checked against what serves at the activation. Method: a guest that passes beside one generation, and a
/// rollback to another one before it is activated.
#[test]
fn form_is_checked_again_at_activation_after_a_rollback() {
    let guest = |fixture: Fixture| std::fs::read(fixture.path()).unwrap();
    let engine = Engine::new(Limits::default()).unwrap();
    let records = Arc::clone(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal).table());
    let first = std::fs::read(DEFAULT_GUEST).unwrap();
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let generations = GenerationRegistry::new(&engine, &first, None, settings, SwapLimits::default(), records).unwrap();
    let reversible = SwapOptions { reversible: true, ..SwapOptions::default() };
    let second = generations.prepare(guest(Fixture::SecondForm).as_slice().into(), reversible).unwrap();
    generations.activate(second).unwrap();
    let candidate = generations.prepare(guest(Fixture::NoWayBack).as_slice().into(), reversible).unwrap();
    generations.roll_back_to(Digest::of(&first)).unwrap();
    let refused = generations.activate(candidate).unwrap_err().to_string();
    assert!(refused.contains("not reversible: it writes form 2 and cannot downgrade to form 1"), "{refused}");
    let status = generations.status();
    assert_eq!((status.active.id.0, status.previous.unwrap().id.0), (1, 2), "nothing changed");
    let second = generations.prepare(guest(Fixture::SecondForm).as_slice().into(), reversible).unwrap();
    generations.activate(second).unwrap();
}

/// Bytes of another build of a guest: the same component with another digest.
fn rebuilt(guest: Fixture) -> Vec<u8> {
    let mut bytes = std::fs::read(guest.path()).unwrap();
    // A custom section of two bytes: the length of its name, and the name.
    bytes.extend([0, 2, 1, b'x']);
    bytes
}

#[test]
fn fault_is_rescued_by_a_generation_of_another_form() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap(Fixture::SecondForm, &[]).unwrap();
    let told = report(&herd, "Riley", "boom-kiwi");
    assert_eq!(located(&herd, "Riley", "boom-kiwi"), told);
    let generations = &herd.status("Riley")["generations"];
    assert_eq!((&generations["rescued"], &generations["previous"]["form"]), (&1.into(), &1.into()));
}

#[test]
fn conversion_fault_hides_only_its_record() {
    let herd = Herd::of_one();
    let _up = herd.up();
    report(&herd, "Riley", "trap-kiwi");
    let told = report(&herd, "Riley", "kiwi");
    herd.swap(Fixture::TrapOnUpgrade, &[]).unwrap();
    assert_eq!(located(&herd, "Riley", "trap-kiwi"), "? WHATSAT trap-kiwi 1 1");
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert_eq!(unconvertible(&herd, "Riley"), 1);
    let active = &herd.status("Riley")["generations"]["active"];
    assert_eq!((&active["name"], &active["faults"]), (&"trap-on-upgrade".into(), &0.into()));
}

/// Goal: a guest that cannot read the records of this node is refused with the reason and the remedy. Method: a guest without
/// the conversion, one whose conversion fails on a real record, one that does not declare its form, and a swap back to a guest
/// that does not know the newer form.
#[test]
fn swap_refuses_a_guest_that_cannot_read_existing_records() {
    let herd = Herd::of_one();
    let _up = herd.up();
    report(&herd, "Riley", "trap-kiwi");
    located(&herd, "Riley", "trap-kiwi");
    let said = refused(&herd, Fixture::NoWayIn, &[]);
    let words = "Riley: not checked: it reads form 2, and 1 record of form 1 on this node would be unknown to it: its \
                 forms.upgrade does not handle form 1";
    assert!(said.contains(words), "{said}");
    let said = refused(&herd, Fixture::TrapOnUpgrade, &[]);
    let words = "Riley: not rehearsed: it cannot upgrade a record of form 1 that this node had lately, that of \
                 \"trap-kiwi\": trapped";
    assert!(said.contains(words), "{said}");
    let said = refused(&herd, Fixture::UnsaidForm, &[]);
    let words = "Riley: not rehearsed: it keeps a record of form 2, that of \"trap-kiwi\", and reads form 1: it does not know \
                 that form; export forms, whose native says which form it writes";
    assert!(said.contains(words), "{said}");
    herd.swap_with(Fixture::NoWayBack, &["--unrehearsed"]).unwrap();
    report(&herd, "Riley", "kiwi");
    let said = refused(&herd, DEFAULT_GUEST, &[]);
    let words = "it reads form 1, and 1 record of form 2 on this node would be unknown to it: it exports no forms, and no \
                 guest that this node keeps downgrades them to form 1";
    assert!(said.contains(words), "{said}");
}

#[test]
fn reversible_swap_and_shadow_require_a_downgrade() {
    let herd = Herd::of_one();
    let _up = herd.up();
    report(&herd, "Riley", "kiwi");
    let said = refused(&herd, Fixture::NoWayBack, &["--reversible"]);
    let words = "Riley: not checked: not reversible: it writes form 2 and cannot downgrade to form 1, which generation 1 \
                 reads; export forms.downgrade for form 1, or swap without --reversible";
    assert!(said.contains(words), "{said}");
    let said = refused(&herd, Fixture::NoWayBack, &["--shadow", "100%"]);
    let words = "not checked: it writes form 2 and cannot downgrade to form 1, which generation 1 reads, beside which it \
                 would decide";
    assert!(said.contains(words), "{said}");
    herd.swap_with(Fixture::SecondForm, &["--reversible"]).unwrap();
    herd.swap_with(Fixture::NoWayBack, &["--reversible"]).unwrap();
}

/// Goal: the check covers real records, not only the probe of the form. Method: a guest whose `downgrade` accepts the form but
/// fails on the record that it would have written for one of this node's clients.
#[test]
fn reversible_swap_rehearses_the_downgrade_of_its_own_records() {
    let herd = Herd::of_one();
    let _up = herd.up();
    report(&herd, "Riley", "one-way-kiwi");
    let said = refused(&herd, Fixture::SecondForm, &["--reversible"]);
    let words = "Riley: not rehearsed: not reversible: it writes form 2 and cannot downgrade a record that it would have \
                 kept, that of \"one-way-kiwi\", to form 1";
    assert!(said.contains(words), "{said}");
    herd.swap(Fixture::SecondForm, &[]).unwrap();
}

/// Goal: a change of form alone is no difference. Method: a shadow that decides the same but writes another form, over records
/// that were written and looked up in the first form.
#[test]
fn shadow_of_another_form_is_compared_in_the_form_of_the_active_generation() {
    let herd = Herd::of_one();
    let _up = herd.up();
    report(&herd, "Riley", "kiwi");
    herd.swap_with(Fixture::SecondForm, &["--shadow", "100%"]).unwrap();
    for number in 0..20 {
        report(&herd, "Riley", &format!("emu-{number}"));
    }
    located(&herd, "Riley", "kiwi");
    let status = herd.await_status("Riley", "enough compared calls", |status| {
        status["generations"]["shadow"]["compared"].as_u64() >= Some(21)
    });
    let shadow = &status["generations"]["shadow"];
    assert_eq!((&shadow["different"], &shadow["faults"]), (&0.into(), &0.into()), "{shadow}");
    assert_eq!(unconvertible(&herd, "Riley"), 0);
}

/// Goal: a refusal applies to the report that the guest meant, although the host withheld others of the batch. Method: the
/// component alone, and a batch with reports that it cannot convert.
#[test]
fn refusal_names_the_right_report_when_unconvertible_ones_are_left_out() {
    let engine = Engine::new(Limits::default()).unwrap();
    let component = std::fs::read(Fixture::SecondForm.path()).unwrap();
    let records = Arc::new(MemoryRecords::default());
    let mut decider = ComponentDecider::load(&engine, &component, Settings::default(), records, Warmth::Warm).unwrap();
    let at = |form, bytes| Report { key: b"kiwi", rank: b"\x01", form, bytes, origin: b"Riley" };
    let reports = [
        at(9, b"of a form that nobody knows"),
        at(1, b"AT Riley +0.1 kiwi +34-118 1"),
        at(1, b"no AT line"),
        at(2, b"kiwi\t+34-118\t1\tRiley\t+0.1"),
        at(1, b"AT Riley +0.1 emu +34-118 1"),
        at(2, b"emu\t+34-118\t1\tRiley\t+0.1"),
    ];
    let mut refused = |reports: &[Report<'_>]| {
        let decision = decider.reports(Moment::default(), reports).unwrap();
        decision.effects.iter().collect::<Vec<_>>()
    };
    assert_eq!(refused(&reports), [Effect::Refuse(4), Effect::Refuse(5)], "the reports about another client");
    assert_eq!(refused(&reports[..1]), [], "the guest is not called");
}

#[test]
fn inspect_shows_the_form_that_a_guest_writes() {
    let herd = Herd::of_one();
    let inspected = |guest: &std::path::Path| {
        let said = herd.herd(&["inspect", &guest.display().to_string()]);
        assert!(said.status.success());
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let said = inspected(Fixture::SecondForm.path());
    assert!(said.contains("form     2\n") && said.contains("exports  herd:logic/forms@0.1.0\n"), "{said}");
    let said = inspected(DEFAULT_GUEST.as_ref());
    assert!(said.contains("form     1, the first; it knows no other\n"), "{said}");
}
