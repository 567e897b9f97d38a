//! Property test of a whole configuration: files with random changes are loaded, or refused in one line that names the file.

use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use toml::{Table, Value};

use super::load::defaults;
use super::{HerdConfig, Sources, load};

/// A change of a file.
#[derive(Clone, Debug)]
enum Change {
    /// Replaces a value, chosen by a number among all of the file.
    Replace(usize, Value),
    /// Adds a key to a table.
    Add(usize, String, Value),
    /// Removes a key.
    Remove(usize),
    /// Replaces a part of the text.
    Splice(usize, usize, String),
}

fn values() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "\u{202e}\u{7}",
        "a\nb",
        "127.0.0.1:0",
        "[::1]:65535",
        "0.0.0.0:1",
        "embedded",
        "disk",
        "\u{0}",
        "/",
        "..",
    ];
    let numbers = [i64::MIN, -1, 0, 1, 2, 255, 1 << 16, 1 << 32, 1 << 44, i64::MAX];
    let leaf = prop_oneof![
        4 => proptest::sample::select(numbers.to_vec()).prop_map(Value::Integer),
        2 => any::<i64>().prop_map(Value::Integer),
        1 => any::<f64>().prop_map(Value::Float),
        1 => any::<bool>().prop_map(Value::Boolean),
        2 => proptest::sample::select(texts.to_vec()).prop_map(|text| Value::String(text.into())),
        1 => (0..5000_usize).prop_map(|length| Value::String("x".repeat(length))),
        1 => Just("2026-01-01T00:00:00Z".parse().map(Value::Datetime).unwrap()),
    ];
    prop_oneof![4 => leaf.clone(), 1 => proptest::collection::vec(leaf, 0..3).prop_map(Value::Array), 1 => Just(Value::Table(Table::new()))]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let keys = ["idle_s", "listen", "client", "links", "Riley", "x", "", "a.b", "ack", "upstream"];
    let key = proptest::sample::select(keys.to_vec()).prop_map(String::from);
    let change = prop_oneof![
        6 => (any::<usize>(), values()).prop_map(|(place, value)| Change::Replace(place, value)),
        2 => (any::<usize>(), key, values()).prop_map(|(place, key, value)| Change::Add(place, key, value)),
        1 => any::<usize>().prop_map(Change::Remove),
        1 => (any::<usize>(), 0..40_usize, ".{0,12}").prop_map(|(at, length, text)| Change::Splice(at, length, text)),
    ];
    proptest::collection::vec(change, 0..4)
}

/// Returns the paths of all values, tables included.
fn paths(table: &Table) -> Vec<Vec<String>> {
    let mut paths = vec![];
    for (key, value) in table {
        paths.push(vec![key.clone()]);
        if let Value::Table(inner) = value {
            paths.extend(self::paths(inner).into_iter().map(|rest| [vec![key.clone()], rest].concat()));
        }
    }
    paths
}

fn change(table: &mut Table, path: &[String], with: impl FnOnce(&mut Table, &str)) {
    match path {
        [last] => with(table, last),
        [first, rest @ ..] => {
            if let Some(Value::Table(inner)) = table.get_mut(first) {
                change(inner, rest, with);
            }
        }
        [] => {}
    }
}

fn file_of(changes: &[Change]) -> String {
    let mut table = defaults();
    let mut splices = vec![];
    for each in changes {
        let paths = paths(&table);
        let path = |place: usize| &*paths[place % paths.len()];
        match each.clone() {
            Change::Replace(place, value) => {
                change(&mut table, path(place), |table, key| drop(table.insert(key.into(), value)));
            }
            Change::Remove(place) => change(&mut table, path(place), |table, key| drop(table.remove(key))),
            Change::Add(place, new, value) => change(&mut table, path(place), |table, key| {
                if let Some(Value::Table(inner)) = table.get_mut(key) {
                    inner.insert(new, value);
                }
            }),
            Change::Splice(at, length, text) => splices.push((at, length, text)),
        }
        if table.is_empty() {
            break;
        }
    }
    let mut text = toml::to_string(&table).unwrap();
    for (at, length, new) in splices {
        let boundary = |at: usize| text.floor_char_boundary(at.min(text.len()));
        let at = boundary(at % (text.len() + 1));
        text.replace_range(at..boundary(at + length).max(at), &new);
    }
    text
}

fn load_text(text: &str) -> Result<HerdConfig, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let place = |path: &Path| format!("{}:", path.display());
    let sources = Sources { file: Some(file.path().into()), ..Sources::default() };
    load(&sources).map_err(|error| {
        let error = error.to_string();
        assert!(error.starts_with(&place(file.path())), "no place: {error}");
        assert!(!error.contains(char::is_control), "more than a line: {error:?}");
        assert!(error.len() < 2_000, "{} bytes: {error}", error.len());
        error
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Numbers that a node derives from the configuration must not overflow either: the checks bound every one of them.
    #[test]
    fn config_with_random_changes_is_loaded_or_refused_with_its_place(changes in changes()) {
        let Ok(config) = load_text(&file_of(&changes)) else { return Ok(()) };
        let _ = (config.records.limits(), config.records.store(), config.runtime.limits(), config.is_on_one_host());
        for name in config.node_names() {
            let _ = (config.neighbours(name), config.link_dials_but(name), config.settings(name));
        }
        // What the configuration says as a file is the same configuration.
        let written = toml::to_string(&config.resolved()).unwrap();
        let again = load_text(&written).map_err(TestCaseError::fail)?;
        prop_assert_eq!(toml::to_string(&again).unwrap(), written);
    }
}
