//! `herd records`: records of one node as JSON, one a line.
//!
//! Bounds: a page of [`PAGE_KEYS`] keys at a time.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use herd_admin::{HexBytes, PageOptions};
use herd_audit::sanitize;
use serde_json::Value;

use super::admin_herd::AdminHerd;
use super::json_text::text;
use super::nodes::ask_one;

/// Arguments of `herd records`.
#[derive(Debug, Args)]
pub(super) struct RecordsArgs {
    /// Ask this node. Default: the first that answers.
    #[arg(long, global = true, value_name = "NODE")]
    node: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the record of a key. The exit code is 1 if there is none.
    Get {
        /// The key, which is the name of a client.
        key: OsString,
    },
    /// Print the first records, in the order of their keys.
    List {
        /// Only keys that begin with this.
        #[arg(long, value_name = "PREFIX", default_value = "")]
        prefix: OsString,
        /// Only keys behind this one.
        #[arg(long, value_name = "KEY")]
        after: Option<OsString>,
        /// Most keys to print, at most 10000.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
    },
    /// Print all records, in the order of their keys. Those that change meanwhile are printed as they were before or after.
    Export {
        /// Only keys that begin with this.
        #[arg(long, value_name = "PREFIX", default_value = "")]
        prefix: OsString,
    },
}

/// Prints records.
pub(super) fn records(config: &AdminHerd, args: &RecordsArgs) -> anyhow::Result<ExitCode> {
    let node = args.node.as_deref();
    match &args.action {
        Action::Get { key } => {
            // The key itself is the first of those that begin with it.
            let page = PageOptions { prefix: bytes(key), after: None, limit: 1 };
            let answer = ask(config, node, &page)?;
            let found: Vec<&Value> =
                lines(&answer).iter().filter(|line| key_of(line).as_ref() == Some(&page.prefix)).collect();
            if found.is_empty() {
                let (node, key) = (text(&answer["node"]), sanitize(&String::from_utf8_lossy(key.as_bytes())));
                bail!("{node} has no record of {key}");
            }
            found.into_iter().for_each(say_record);
        }
        Action::List { prefix, after, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(PAGE_KEYS);
            let page = PageOptions { prefix: bytes(prefix), after: after.as_ref().map(bytes), limit };
            lines(&ask(config, node, &page)?).iter().for_each(say_record);
        }
        Action::Export { prefix } => {
            let mut page = PageOptions { prefix: bytes(prefix), after: None, limit: PAGE_KEYS };
            // All pages from the node that answered first: another one may be behind it.
            let mut asked = args.node.clone();
            loop {
                let answer = ask(config, asked.as_deref(), &page)?;
                let Some(last) = lines(&answer).last().and_then(key_of) else { break };
                lines(&answer).iter().for_each(say_record);
                page.after = Some(last);
                asked = Some(text(&answer["node"]));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(config: &AdminHerd, node: Option<&str>, page: &PageOptions) -> anyhow::Result<Value> {
    ask_one(config, node, async |client, admin| client.records(admin, page).await)
}

fn bytes(text: &OsString) -> HexBytes {
    HexBytes(text.as_bytes().into())
}

fn lines(answer: &Value) -> &[Value] {
    answer["records"].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the key of a record.
fn key_of(record: &Value) -> Option<HexBytes> {
    match record["key_hex"].as_str() {
        Some(hex) => hex.parse().ok(),
        None => record["key"].as_str().map(|key| HexBytes(key.into())),
    }
}

fn say_record(record: &Value) {
    say!("{}", printable(&record.to_string()));
}

/// Escapes what JSON leaves as it is and a terminal may obey: clients choose the text of their records. Newlines stand between the lines of a
/// document only.
pub(super) fn printable(json: &str) -> String {
    let mut printable = String::with_capacity(json.len());
    for char in json.chars() {
        let is_harmful = (char.is_control() && char != '\n')
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_harmful {
            printable.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            printable.push(char);
        }
    }
    printable
}

/// Keys of a page of an export: as many as a node returns at once, because it reads its whole table for each.
const PAGE_KEYS: usize = 10_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn record_is_printed_on_one_line_that_no_terminal_obeys_and_that_reads_back() {
        let record = json!({ "key": "a\u{9b}31m\n\u{202e}é", "record": "\u{7f}\u{1b}[2J" });
        let line = printable(&record.to_string());
        assert!(line.chars().all(|char| !char.is_control() && char != '\u{202e}'), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), record);
        assert!(line.contains('é'), "{line}");
    }

    #[test]
    fn key_that_is_no_text_is_read_from_its_digits() {
        assert_eq!(key_of(&json!({ "key": "kiwi" })), Some(HexBytes(b"kiwi".to_vec())));
        assert_eq!(key_of(&json!({ "key": "\u{fffd}", "key_hex": "ff" })), Some(HexBytes(vec![0xff])));
    }
}
