//! `herd status`: a table of nodes, a table of links, whether the records have converged, and faults that need a person.
//!
//! Detects faults that need the view of several nodes or of the configuration; the others come from the nodes. Texts of
//! other operators are sanitized.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use herd_admin::AdminClientError;
use herd_audit::sanitize;
use herd_config::HerdConfig;
use serde_json::Value;

use super::admin_herd::AdminHerd;
use super::answers::{Answers, state};
use super::convergence::convergence;
use super::herd_status::HerdStatus;
use super::json_text::{brief_who, generation, short, text};
use super::nodes::{addressed, ask_each_showing};
use super::status_classic::classic_lines;
use super::status_links::link_table;
use super::swap_fault::swap_fault;
use super::table::{Table, terminal_width, wrap};

/// Arguments of `herd status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this node. Repeatable. Default: every node of the herd.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Print the full status of the nodes as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the status of nodes, each as soon as it is known. Fails if a node does not answer.
pub(super) fn status(config: &AdminHerd, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let width = terminal_width();
    if let Some(context) = config.context().filter(|_| !args.json) {
        say!("context {context}, herd {}\n", config.herd.escape_debug());
    }
    let mut nodes = node_table(width).with_first(addressed(config, &args.node));
    let show = |answers: &Answers| {
        if !args.json {
            answers.iter().for_each(|(name, answer)| node_row(&mut nodes, name, answer));
            say_on!("{}", nodes.unprinted());
        }
    };
    let herd = HerdStatus::by(config.local_endpoints()?);
    let answers = ask_each_showing(config, &args.node, async |client, node| herd.of(client, node).await, show)?;
    if args.json {
        return answers.print_json();
    }
    let up: Vec<(&str, &Value)> = answers.successes().collect();
    let swaps = up.iter().map(|(_, node)| &node["herd"]["swap"]);
    if let Some(swap) = swaps.max_by_key(|swap| swap["number"].as_u64())
        && !swap.is_null()
    {
        let (number, who) = (text(&swap["number"]), text(&swap["who"]));
        say!("\nswap {number} of the herd, to {}, by {}", short(&swap["digest"]), brief_who(&sanitize(&who)));
    }
    let links = link_table(&up, width);
    if !links.is_empty() {
        say_on!("\n{links}");
    }
    let classic = classic_lines(&up);
    let up: Vec<&Value> = up.into_iter().map(|(_, node)| node).collect();
    if !up.is_empty() {
        let records = convergence(&up, answers.iter().count());
        say!("\n{}", wrap(&records, width).join("\n"));
    }
    if !classic.is_empty() {
        say!("\n{}", classic.iter().flat_map(|line| wrap(line, width)).collect::<Vec<_>>().join("\n"));
    }
    let faults = faults(config, &up);
    if !faults.is_empty() {
        say_on!("\n{faults}");
    }
    answers.exit_code()
}

/// Creates the table of nodes, to fit a width.
fn node_table(width: usize) -> Table {
    let headings = ["node", "generation", "guest", "previous", "records", "digest", "sessions", "faults"];
    Table::new(&headings).fitting(width, GUEST)
}

/// Adds the row of a node, with a note on what is not so on most nodes.
fn node_row(nodes: &mut Table, name: &str, answer: &Result<Value, AdminClientError>) {
    let status = match answer {
        Ok(status) => status,
        Err(error) => return nodes.row([name, state(error)]),
    };
    let (active, previous) = (&status["generations"]["active"], &status["generations"]["previous"]);
    // Together with those of the previous generation: a node that went back would show none.
    let faults = [active, previous].iter().filter_map(|generation| generation["faults"].as_u64()).sum::<u64>();
    let mut notes = candidate(&status["generations"]);
    notes.extend(signed_by(active));
    if previous["failed"] == true {
        notes.push(format!("went back from generation {}: {} faults", generation(previous), previous["faults"]));
    }
    if let Some(count @ 1..) = status["records"]["quarantined"].as_u64() {
        notes.push(format!("{count} record{} quarantined", if count == 1 { "" } else { "s" }));
    }
    let cells = [
        name.to_string(),
        generation(active),
        text(&active["name"]),
        if previous.is_null() { "-".into() } else { short(&previous["digest"]) },
        text(&status["records"]["keys"]),
        short(&status["records"]["digest"]),
        text(&status["sessions"]["open"]),
        faults.to_string(),
    ];
    nodes.row_with_note(cells, &notes.join("; "));
}

/// Lists faults that need a person, a line each.
pub(super) fn faults(config: &HerdConfig, nodes: &[&Value]) -> String {
    let mut faults = String::new();
    // Two clocks that differ by more than half the tolerance can let an older report win.
    let tolerance_s = tolerance_s(config);
    for node in nodes {
        let audit = &node["audit"];
        if audit["lost"].as_u64().is_some_and(|lost| lost > 0) {
            let (name, lost, why) = (text(&node["node"]), text(&audit["lost"]), text(&audit["last_error"]));
            let _ = writeln!(faults, "audit fault: {name} could not write {lost} entries of its audit log: {why}");
        }
        for warning in node["identity"]["warnings"].as_array().into_iter().flatten() {
            let _ = writeln!(faults, "certificate: {}", sanitize(&text(warning)));
        }
        let (name, herd) = (text(&node["node"]), &node["herd"]);
        for signer in node["generations"]["active"]["signature"]["signed_by"].as_array().into_iter().flatten() {
            if signer["expired"] == true {
                let (key, expires) = (sanitize(&text(&signer["name"])), text(&signer["expires"]));
                let _ = writeln!(
                    faults,
                    "signature: key {key}, which signed the guest of {name}, expired at {expires}; the guest serves on, and the next one needs another key"
                );
            }
        }
        if node["log"]["accepts"] == false {
            let why = text(&node["log"]["failure"]);
            let _ =
                writeln!(faults, "log fault: {name} cannot write its log and refuses new reports: {}", sanitize(&why));
        }
        if let Some(fault) = swap_fault(node) {
            let _ = writeln!(faults, "{fault}");
        }
        if let Some(why) = herd["ended"].as_str() {
            let _ =
                writeln!(faults, "swap fault: {name} takes no part in swaps of the herd until it is restarted: {why}");
        }
        if let Some(error) = herd["memory_error"].as_str() {
            let _ = writeln!(
                faults,
                "swap fault: {name} cannot store its generations and would lose them at a restart: {error}"
            );
        }
        if node["generations"]["unconvertible"].as_u64().is_some_and(|count| count > 0) {
            let (name, count) = (text(&node["node"]), text(&node["generations"]["unconvertible"]));
            let _ = writeln!(
                faults,
                "form fault: {name} withheld a record from its guest {count} times, because no guest on the node can convert it"
            );
        }
        for link in node["links"].as_array().into_iter().flatten() {
            let ahead_ms = link["clock_ahead_ms"].as_f64().unwrap_or_default();
            if ahead_ms.abs() > tolerance_s * 500.0 {
                let (name, peer) = (text(&node["node"]), text(&link["peer"]));
                let _ = writeln!(faults, "clock fault: {peer} is {:.3} s ahead of {name}", ahead_ms / 1000.0);
            }
        }
    }
    faults
}

/// Names the keys that signed a guest, if the node requires signatures.
fn signed_by(generation: &Value) -> Option<String> {
    let signature = generation.get("signature").filter(|signature| !signature.is_null())?;
    if signature["built_in"] == true {
        return Some("built into the program".into());
    }
    let signer = |signer: &Value| {
        let expired = if signer["expired"] == true { ", expired" } else { "" };
        format!("{}{expired}", sanitize(&text(&signer["name"])))
    };
    let signers: Vec<String> = signature["signed_by"].as_array().into_iter().flatten().map(signer).collect();
    Some(format!("signed by {}", signers.join(" and ")))
}

/// Describes the canary or shadow of a node, if it has one.
fn candidate(generations: &Value) -> Vec<String> {
    let of_role = |role: &str, digest: &Value, share: &Value, of: &str| {
        if digest.is_null() { None } else { Some(format!("{role} {} decides {share}% of the {of}", short(digest))) }
    };
    let (canary, shadow) = (&generations["canary"], &generations["shadow"]);
    let canary = of_role("canary", &canary["candidate"]["digest"], &canary["share_percent"], "sessions");
    let shadow = of_role("shadow", &shadow["digest"], &shadow["share_percent"], "calls");
    canary.into_iter().chain(shadow).collect()
}

/// Returns the tolerance of the default logic for times of clients, in seconds.
pub(super) fn tolerance_s(config: &HerdConfig) -> f64 {
    config.logic.get("tolerance_s").and_then(as_seconds).unwrap_or(TOLERANCE_S)
}

/// Reads a number of seconds as the guest does: an integer, a float or a string.
#[allow(clippy::cast_precision_loss, reason = "a tolerance is far below 2^52 seconds")]
fn as_seconds(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| Some(value.as_integer()? as f64)).or_else(|| value.as_str()?.parse().ok())
}

/// Column of the name of the guest, which the guest chose and which may be long.
const GUEST: usize = 2;
/// Default of `tolerance_s` in the default logic.
const TOLERANCE_S: f64 = 60.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(previous: Value) -> Value {
        json!({
            "generations": {
                "active": { "id": 12, "digest": "1".repeat(64), "name": "a guest with a long name", "faults": 0 },
                "previous": previous,
                "canary": { "candidate": { "digest": "c".repeat(64) }, "share_percent": 5 },
            },
            "records": { "keys": 1_234_567, "digest": "d".repeat(64), "quarantined": 3 },
            "sessions": { "open": 10_000 },
        })
    }

    #[test]
    fn status_fits_eighty_columns() {
        let mut table = node_table(80);
        let previous = json!({ "id": 11, "digest": "2".repeat(64), "faults": 123, "failed": false });
        node_row(&mut table, "Campbell", &Ok(status(previous)));
        let text = table.unprinted();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for shown in ["12 (11111111)", " a gu", "22222222", "canary cccccccc decides 5% of the sessions", "3 records"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
    }

    #[test]
    fn status_counts_the_faults_of_a_generation_that_a_node_went_back_from() {
        let mut table = node_table(80);
        let previous = json!({ "id": 11, "digest": "2".repeat(64), "faults": 8, "failed": true });
        node_row(&mut table, "Riley", &Ok(status(previous)));
        let text = table.unprinted();
        assert!(text.lines().nth(1).unwrap().ends_with("  8"), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("went back from generation 11 (22222222): 8 faults"), "{text}");
    }

    #[test]
    fn status_names_a_node_that_cannot_write_its_log() {
        let mut riley = status(Value::Null);
        riley["node"] = "Riley".into();
        riley["log"] = json!({ "accepts": true, "failure": null });
        assert_eq!(faults(&HerdConfig::default(), &[&riley]), "");
        riley["log"] = json!({ "accepts": false, "failure": "no space left on device" });
        let wanted = "log fault: Riley cannot write its log and refuses new reports: no space left on device\n";
        assert_eq!(faults(&HerdConfig::default(), &[&riley]), wanted);
    }

    #[test]
    fn status_names_the_keys_that_signed_a_guest_and_those_that_expired() {
        let mut riley = status(Value::Null);
        riley["node"] = "Riley".into();
        assert_eq!(signed_by(&riley["generations"]["active"]), None);
        riley["generations"]["active"]["signature"] = json!({ "built_in": true, "signed_by": [] });
        assert_eq!(signed_by(&riley["generations"]["active"]).as_deref(), Some("built into the program"));
        let signer = |name: &str, expired| json!({ "name": name, "key": "0", "expires": "2027-01-01T00:00:00Z", "expired": expired });
        let signed = json!({ "built_in": false, "signed_by": [signer("mira", false), signer("ada", true)] });
        riley["generations"]["active"]["signature"] = signed;
        let mut table = node_table(80);
        node_row(&mut table, "Riley", &Ok(riley.clone()));
        let text = table.unprinted();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("signed by mira and ada, expired"), "{text}");
        let fault = faults(&HerdConfig::default(), &[&riley]);
        assert!(
            fault.starts_with("signature: key ada, which signed the guest of Riley, expired at 2027-01-01T00:00:00Z;"),
            "{fault}"
        );
        assert_eq!(fault.lines().count(), 1);
    }

    #[test]
    fn status_says_of_a_certificate_that_ends_what_to_type() {
        let mut riley = status(Value::Null);
        riley["identity"] = json!({ "certificate": { "expiry": "far" }, "warnings": [] });
        assert_eq!(faults(&HerdConfig::default(), &[&riley]), "");
        let warning = "node Riley of herd herd: expires in 12 days, renew it now, serial 4f5a: herd certs renew Riley";
        riley["identity"]["warnings"] = json!([warning]);
        assert_eq!(faults(&HerdConfig::default(), &[&riley]), format!("certificate: {warning}\n"));
    }

    #[test]
    fn status_tells_apart_why_a_node_is_missing() {
        let mut table = node_table(80);
        let address = || "127.0.0.1:1".to_string();
        let (socket, owner) = (std::path::PathBuf::from("/run/herd/Riley.sock"), "mira".to_string());
        for (node, error) in [
            ("Riley", AdminClientError::Silent { node: address(), waited: std::time::Duration::from_secs(2) }),
            ("Jaquez", AdminClientError::Unreachable(address())),
            ("Juzang", AdminClientError::NoTrust("revoked".into())),
            ("Ada", AdminClientError::NoSocket { node: "Ada".into(), usual: socket.clone() }),
            ("Cleo", AdminClientError::NotPermitted { socket: socket.clone(), owner: owner.clone() }),
            ("Bruno", AdminClientError::Foreign { socket, owner }),
        ] {
            node_row(&mut table, node, &Err(error));
        }
        let text = table.unprinted();
        let rows: Vec<&str> = text.lines().skip(1).collect();
        let wanted = ["Riley   no answer", "Jaquez  down", "Juzang  refused", "Ada     down", "Cleo    not permitted"];
        assert_eq!(rows, [&wanted[..], &["Bruno   of another user"]].concat());
    }
}
