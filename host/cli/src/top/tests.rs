//! Screens of `herd top` as text, which `docs/top.md` shows. With `HERD_TESTS_WRITE=1` the page is written anew.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use termion::event::Key;

use super::herd_model::HerdModel;
use super::node_row::State;
use super::once::{as_json, as_text};
use super::page::draw;
use super::screen::Look;
use super::screen::Size;
use super::sort::{Sort, SortKey};
use super::view::View;

/// Five-node herd under load after `seconds` seconds. One node has faulted, and one of its links lags.
fn status(name: &str, seconds: u64) -> Value {
    let scale = match name {
        "Riley" => 1,
        "Jaquez" => 12,
        "Juzang" => 150,
        "Campbell" => 40,
        _ => 3,
    };
    let lines = scale * 130 * seconds;
    let peers: &[&str] = match name {
        "Riley" => &["Jaquez", "Juzang"],
        "Jaquez" => &["Riley", "Bernard"],
        "Juzang" => &["Riley", "Bernard", "Campbell"],
        "Bernard" => &["Jaquez", "Juzang", "Campbell"],
        _ => &["Bernard", "Juzang"],
    };
    let links: Vec<Value> = peers
        .iter()
        .map(|peer| {
            let lag = if *peer == "Campbell" && name == "Bernard" { 812 } else { 0 };
            json!({ "peer": peer, "state": if lag > 0 { "behind" } else { "up" }, "lag": lag, "queued_bytes": lag * 120, "repairs": 0,
                "proof_age_s": 7, "round_trip_ms": 0.21, "clock_ahead_ms": 0.03, "dropped_reports": 0, "bytes_sent": 40_000 * seconds })
        })
        .collect();
    let counts = [30, 60, 8, 1, 1, 0].map(|share| share * scale * seconds);
    let faults = if name == "Juzang" { json!({ "trap": 3, "deadline": 1 }) } else { json!({}) };
    let count = if name == "Juzang" { 4 } else { 0 };
    let generation = |id: u64, digest: &str, faults: u64| json!({ "id": id, "digest": digest.repeat(8), "name": "herd-logic", "version": "0.1.0", "faults": faults, "failed": false });
    json!({
        "node": name, "version": "0.1.0", "process": { "pid": 4_711, "started_ms": 1 },
        "generations": { "active": generation(3, "9f3ac41e", count), "previous": generation(2, "07bb19d2", 0), "rescued": count },
        "decisions": { "uptime_ms": 7_200_000 + seconds * 1_000, "faults": faults, "generations": [{
            "id": 3, "inputs": lines, "reports": scale * 260 * seconds, "answers": 0,
            "lines": { "IAMAT": scale * 100 * seconds, "WHATSAT": scale * 30 * seconds, "other": 0 },
            "call_ns": { "first": 1_000, "counts": counts, "sum": 0 } }] },
        "records": { "keys": 1_234_567, "bytes": 98_765_432, "quarantined": 0, "digest": "5d".repeat(32) },
        "durability": "os", "log": { "accepts": true, "failure": null, "log_bytes": 4_200_000 },
        "sessions": { "open": scale * 10, "accepted": scale * 17, "refused": 0 },
        "links": links,
    })
}

fn names() -> Vec<String> {
    ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"].map(Into::into).into()
}

fn model() -> HerdModel {
    let mut model = HerdModel::new("herd", &names());
    for seconds in [1, 2] {
        for (node, name) in names().iter().enumerate() {
            model.answered(node, status(name, seconds), Vec::new());
        }
    }
    model
}

fn screen(model: &HerdModel, view: &View, size: Size) -> String {
    let screen = draw(model, view, Duration::from_secs(1), size);
    assert_eq!(screen.lines.len(), size.1);
    let text = screen.text();
    assert!(text.lines().all(|line| line.chars().count() <= size.0), "{text}");
    text
}

fn view(key: SortKey) -> View {
    View::new(Sort::by(key))
}

/// Views of the documentation, by heading.
fn screens() -> Vec<(&'static str, String)> {
    let mut lost = model();
    lost.missed(3, "down", "cannot connect to Campbell at /run/user/1000/herd/Campbell.sock; is the node running?");
    let mut node = view(SortKey::Lines);
    node.press(Key::Char('\n'), &["Juzang".into()], 20);
    vec![
        ("80x24, by lines", screen(&model(), &view(SortKey::Lines), (80, 24))),
        ("80x24, a node is down", screen(&lost, &view(SortKey::Node), (80, 24))),
        ("80x24, one node", screen(&model(), &node, (80, 24))),
        ("200x50, by lines", screen(&model(), &view(SortKey::Lines), (200, 50))),
        ("`herd top --once`, in 80 columns", as_text(&model(), &model().rows(Sort::by(SortKey::Node)), 80)),
    ]
}

#[test]
fn top_screens_are_those_of_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/top.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, _) = page.split_once(BEGIN).unwrap();
    let screens: String =
        screens().into_iter().map(|(heading, text)| format!("\n### {heading}\n\n```text\n{text}```\n")).collect();
    let wanted = format!("{before}{BEGIN}{screens}");
    if std::env::var_os("HERD_TESTS_WRITE").is_some() {
        fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(page == wanted, "docs/top.md is out of date; HERD_TESTS_WRITE=1 writes its screens anew:\n{screens}");
}

#[test]
fn top_sorts_by_each_figure_and_puts_nodes_without_one_last() {
    let mut model = model();
    model.missed(2, "no answer", "stopped");
    let order = |sort: Sort| -> Vec<String> { model.rows(sort).into_iter().map(|row| row.name).collect() };
    let by_lines = Sort::by(SortKey::Lines);
    assert_eq!(order(by_lines), ["Campbell", "Jaquez", "Bernard", "Riley", "Juzang"]);
    assert_eq!(order(by_lines.choose(SortKey::Lines)), ["Riley", "Bernard", "Jaquez", "Campbell", "Juzang"]);
    assert_eq!(order(Sort::by(SortKey::Node)), ["Bernard", "Campbell", "Jaquez", "Juzang", "Riley"]);
    // Equal figures: by name.
    assert_eq!(order(Sort::by(SortKey::Records)), ["Bernard", "Campbell", "Jaquez", "Riley", "Juzang"]);
}

#[test]
fn top_marks_a_node_that_does_not_answer_and_recovers() {
    let mut model = model();
    model.missed(0, "no answer", "stopped");
    let shown = draw(&model, &view(SortKey::Lines), Duration::from_secs(1), (80, 24));
    let row = shown.lines.iter().rev().find(|line| line.text().starts_with("Riley ")).unwrap();
    assert_eq!(
        (row.text().split_whitespace().collect::<Vec<_>>(), row.0[0].1),
        (vec!["Riley", "no", "answer"], Look::Bad)
    );
    assert!(shown.text().contains("4 of 5 nodes up") && shown.text().contains("\nRiley no answer: stopped\n"));
    // Its rates would be those of the time before; the first answer has none.
    model.answered(0, status("Riley", 5), Vec::new());
    assert_eq!(model.nodes[0].state, State::Up);
    assert!(draw(&model, &view(SortKey::Lines), Duration::from_secs(1), (80, 24)).text().contains("5 of 5 nodes up"));
}

#[test]
fn top_shows_the_selected_node_of_a_large_herd_on_any_screen() {
    let names: Vec<String> = (0..200).map(|number| format!("edge-{number:03}")).collect();
    let mut model = HerdModel::new("edge", &names);
    (0..200).for_each(|node| model.answered(node, status("Riley", 1), Vec::new()));
    let mut view = view(SortKey::Node);
    for size in [(80, 24), (200, 50), (40, 6), (1, 1), (0, 0)] {
        view.selected = Some("edge-150".into());
        let shown = draw(&model, &view, Duration::from_secs(1), size);
        assert!(shown.lines.iter().all(|line| line.text().chars().count() <= size.0), "{size:?}");
        if size.1 > 5 {
            assert!(shown.text().contains("\nedge-150 "), "{}", shown.text());
        }
    }
    view.press(Key::Char('o'), &names, 20);
    view.press(Key::End, &names, 20);
    let end = screen(&model, &view, (80, 24));
    assert!(end.lines().nth(22).unwrap().contains("edge-199 - Juzang"), "{end}");
    // The end is not passed, so one line up shows.
    view.scrolled = draw(&model, &view, Duration::from_secs(1), (80, 24)).scrolled;
    view.press(Key::PageDown, &names, 20);
    view.scrolled = draw(&model, &view, Duration::from_secs(1), (80, 24)).scrolled;
    view.press(Key::Up, &names, 20);
    assert!(!screen(&model, &view, (80, 24)).contains("edge-199 - Juzang"));
}

#[test]
fn top_cannot_be_written_to_by_a_guest() {
    let mut model = model();
    let mut hostile = status("Riley", 3);
    hostile["generations"]["active"]["name"] = "a\u{1b}[2Jb\nc".into();
    model.answered(0, hostile, vec!["warned\u{1b}]0;x".into()]);
    let mut view = view(SortKey::Node);
    for size in [(200, 50), (80, 24)] {
        assert!(!draw(&model, &view, Duration::from_secs(1), size).text().contains('\u{1b}'));
    }
    view.press(Key::Char('\n'), &["Riley".into()], 20);
    let text = screen(&model, &view, (80, 24));
    assert!(!text.contains('\u{1b}') && text.contains("a\u{fffd}[2Jb\u{fffd}c"), "{text}");
    assert!(!as_text(&model, &model.rows(Sort::by(SortKey::Node)), 200).contains('\u{1b}'));
}

#[test]
fn top_as_json_has_base_units_and_null_for_what_is_not_known() {
    let mut model = model();
    model.missed(4, "down", "gone");
    let json = as_json(&model, &model.rows(Sort::by(SortKey::Node)));
    assert_eq!(json["Riley"]["lines_per_second"], json!({ "IAMAT": 100.0, "WHATSAT": 30.0, "other": 0.0 }));
    assert_eq!(
        (&json["Juzang"]["faults"], &json["Juzang"]["state"]),
        (&json!({ "trap": 3, "deadline": 1 }), &json!("up"))
    );
    assert_eq!(json["Juzang"]["links"]["Bernard"]["lag"], 0);
    assert!((json["Riley"]["call_seconds_p50"].as_f64().unwrap() - 1.333e-6).abs() < 1e-8, "{json}");
    assert_eq!((&json["Bernard"]["error"], &json["Bernard"]["sessions"]), (&json!("gone"), &Value::Null));
}

/// Line of the page behind which the screens stand.
const BEGIN: &str = "## Screens\n";
