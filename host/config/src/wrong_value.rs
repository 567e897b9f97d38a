//! Errors of values, in the words of an operator.
//!
//! Owns the translation of the messages of serde, which name types of Rust. Knows nothing of files. Bound: a value is quoted
//! up to [`QUOTED_CHARS_MAX`].

use std::net::IpAddr;

use toml::{Table, Value};

/// Describes a value that has the wrong type or form. `path` leads to it in `table`, and to an example in `defaults`.
pub(super) fn describe(message: &str, path: &[&str], table: &Table, defaults: &Table) -> String {
    let key = path.join(".");
    if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("`{key}` has no `{missing}`; set it to {}", example(&[path, &[missing]].concat(), defaults));
    }
    let expected = message.split_once(", expected ").map(|(_, expected)| expected);
    let is_address = message == "invalid socket address syntax" || expected == Some("socket address");
    let value = lookup(table, path).filter(|_| is_address || message.starts_with("invalid "));
    let (Some(value), Some(expected)) = (value, if is_address { Some("socket address") } else { expected }) else {
        return format!("`{key}`: {message}");
    };
    let wanted = match expected {
        "socket address" => return format!("`{key}` is {}; {}", quoted(value), address(value)),
        "a boolean" => "true or false".into(),
        "f32" | "f64" => format!("a number, such as {}", example(path, defaults)),
        "a string" | "path string" => "text in quotes".into(),
        "a sequence" => format!("a list, such as {}", example(path, defaults)),
        _ if expected.starts_with("struct ") || expected == "a map" => "a table".into(),
        _ if is_integer(expected) => format!("a whole number from 0, such as {}", example(path, defaults)),
        _ => expected.to_string(),
    };
    format!("`{key}` is {}; it must be {wanted}", quoted(value))
}

fn is_integer(expected: &str) -> bool {
    matches!(expected, "u8" | "u16" | "u32" | "u64" | "usize" | "i64" | "integer")
}

/// Says what is wrong with an address, and what to write.
fn address(value: &Value) -> String {
    const USAGE: &str = "it must be an IP address and a port in quotes, such as \"127.0.0.1:15415\"";
    let Value::String(text) = value else { return USAGE.into() };
    if text.parse::<IpAddr>().is_ok() {
        let host = if text.contains(':') { format!("[{text}]") } else { text.clone() };
        return format!("the port is missing, so write it as \"{host}:15415\"");
    }
    let Some((host, port)) = text.rsplit_once(':') else { return USAGE.into() };
    if port.parse::<u16>().is_err() {
        return format!("`{port}` is not a port; a port is a number from 0 to 65535");
    }
    if host.is_empty() {
        return format!(
            "the IP address is missing, so write \"127.0.0.1{text}\", or \"0.0.0.0{text}\" for every interface"
        );
    }
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let is_number = |host: &str| host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_name(host) || is_number(host) {
        return USAGE.into();
    }
    format!(
        "this is where the node listens, so write \"[::]:{port}\" for every interface, or an IP address, and the name to `host`"
    )
}

/// Returns an example of a value: its default, where there is one.
fn example(path: &[&str], defaults: &Table) -> String {
    let default = lookup(defaults, path).filter(|value| !value.is_table());
    match (default, path.last()) {
        (Some(default), _) => default.to_string(),
        (None, Some(&("client" | "client_tls" | "link" | "admin" | "metrics" | "classic"))) => {
            "\"127.0.0.1:15415\"".into()
        }
        (None, Some(&"links")) => "[\"Riley\"]".into(),
        (None, Some(&"classic_peers")) => "[\"old-1.example.net:12345\"]".into(),
        (None, Some(&"otlp")) => "\"http://127.0.0.1:4318\"".into(),
        (None, Some(&"expires")) => "\"2027-01-01\"".into(),
        (None, _) => "1000".into(),
    }
}

fn lookup<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, parents) = path.split_last()?;
    let inner = parents.iter().try_fold(table, |table, name| table.get(*name)?.as_table())?;
    inner.get(*last)
}

fn quoted(value: &Value) -> String {
    let text = value.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A line of a terminal holds the place, the key and this much of a value.
const QUOTED_CHARS_MAX: usize = 40;
