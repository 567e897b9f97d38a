//! Which guest serves when nodes are ready, why, and how to go back.
//!
//! A swap outlives the configuration, so the guest that serves after a start need not be the one that somebody expects. Knows
//! only what the nodes report.

use std::path::PathBuf;

use herd_audit::sanitize;
use serde_json::Value;

use super::json_text::{brief_who, short, text};

/// The guest with which nodes start if they were never swapped.
pub(super) struct ConfiguredGuest {
    /// SHA-256 in hexadecimal.
    pub(super) digest: String,
    /// File that the configuration names. None: the guest built into the binary.
    pub(super) path: Option<PathBuf>,
}

impl ConfiguredGuest {
    /// Describes the guest that each node serves: one line for all nodes that agree, without their names if all do.
    pub(super) fn describe(&self, statuses: &[Value]) -> Vec<String> {
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for status in statuses {
            let (line, node) = (self.line(status), text(&status["node"]));
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, nodes)) => nodes.push(node),
                None => lines.push((line, vec![node])),
            }
        }
        let is_same_everywhere = lines.len() == 1;
        let at = |nodes: &[String]| if is_same_everywhere { String::new() } else { format!("{}: ", nodes.join(", ")) };
        lines.iter().map(|(line, nodes)| format!("{}{line}", at(nodes))).collect()
    }

    fn line(&self, status: &Value) -> String {
        let (active, previous) = (&status["generations"]["active"], &status["generations"]["previous"]);
        let guest = format!("serving {} ({})", sanitize(&text(&active["name"])), short(&active["digest"]));
        if active["digest"] == *self.digest {
            return match &self.path {
                Some(path) => format!("{guest}, configured as {}", sanitize(&path.display().to_string())),
                None => format!("{guest}, built into this binary"),
            };
        }
        let swap = &status["herd"]["swap"];
        let why = if swap["digest"] == active["digest"] {
            format!("swap {} of the herd, by {}", swap["number"], brief_who(&sanitize(&text(&swap["who"]))))
        } else {
            "a swap of this node alone".into()
        };
        let configured = match &self.path {
            Some(path) => format!("herd swap {}", sanitize(&path.display().to_string())),
            None => "herd swap --built-in".into(),
        };
        let mut back = format!("to go back: {configured}");
        if !previous.is_null() && previous["digest"] != *self.digest {
            back += &format!(", or herd rollback to {}", short(&previous["digest"]));
        }
        format!("{guest}, from {why}; {back}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(node: &str, active: &str, previous: Option<&str>, swap: Option<&str>) -> Value {
        json!({
            "node": node,
            "generations": {
                "active": { "name": "hello", "digest": active.repeat(64) },
                "previous": previous.map(|digest| json!({ "digest": digest.repeat(64) })),
            },
            "herd": { "swap": swap.map(|digest| json!({ "number": 3, "digest": digest.repeat(64), "who": "operator mira uid 1 at edge-3 (as claimed)" })) },
        })
    }

    #[test]
    fn up_says_which_guest_serves_and_why_and_how_to_go_back() {
        let built_in = ConfiguredGuest { digest: "a".repeat(64), path: None };
        let configured = ConfiguredGuest { digest: "a".repeat(64), path: Some("a.wasm".into()) };
        let all = |active, previous, swap| ["Riley", "Jaquez"].map(|node| status(node, active, previous, swap));
        for (guest, statuses, line) in [
            (&built_in, all("a", None, None), "serving hello (aaaaaaaa), built into this binary"),
            (&configured, all("a", None, None), "serving hello (aaaaaaaa), configured as a.wasm"),
            (
                &built_in,
                all("b", Some("a"), Some("b")),
                "serving hello (bbbbbbbb), from swap 3 of the herd, by mira; to go back: herd swap --built-in",
            ),
            (
                &configured,
                all("b", Some("c"), Some("b")),
                "serving hello (bbbbbbbb), from swap 3 of the herd, by mira; to go back: herd swap a.wasm, or herd \
                 rollback to cccccccc",
            ),
        ] {
            assert_eq!(guest.describe(&statuses), [line]);
        }
        let mixed = [status("Riley", "b", Some("a"), None), status("Jaquez", "a", None, None)];
        assert_eq!(
            built_in.describe(&mixed),
            [
                "Riley: serving hello (bbbbbbbb), from a swap of this node alone; to go back: herd swap --built-in",
                "Jaquez: serving hello (aaaaaaaa), built into this binary"
            ]
        );
    }
}
