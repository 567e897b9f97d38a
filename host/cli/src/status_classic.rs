//! Classic links of a herd, for `herd status`: a line for each node that has any.
//!
//! Older programs say nothing of what they have, so nothing here counts for whether the herd has converged.

use serde_json::Value;

use super::json_text::text;
use super::numbers::counted;

/// Describes the classic links of these nodes, one line for each; empty if none has any.
pub(super) fn classic_lines(nodes: &[(&str, &Value)]) -> Vec<String> {
    let with_classic = nodes.iter().filter(|(_, status)| status["classic"].is_object());
    with_classic.map(|(name, status)| format!("classic links of {name}: {}", describe(&status["classic"]))).collect()
}

fn describe(classic: &Value) -> String {
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
    let mut parts: Vec<String> = classic["peers"].as_array().into_iter().flatten().map(peer).collect();
    let lines = number(&classic["lines"]);
    if classic["address"].is_string() || lines > 0 {
        parts.push(format!("{} in", counted(lines, "line")));
    }
    for (count, what) in
        [("invalid", "invalid"), ("refused", "not kept"), ("replies_dropped", "with a reply that was dropped")]
    {
        let count = number(&classic[count]);
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let refused = number(&classic["connections"]["refused"]);
    if refused > 0 {
        parts.push(format!("{} refused", counted(refused, "connection")));
    }
    parts.join(", ")
}

fn peer(peer: &Value) -> String {
    let name = format!("{} {}", text(&peer["peer"]), text(&peer["state"]));
    match peer["last_error"].as_str() {
        // It begins with the address.
        Some(error) => format!("{name} ({error})"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_describes_classic_links_of_nodes_that_have_any() {
        let riley = json!({ "classic": {
            "address": "127.0.0.1:14415", "connections": { "refused": 1 }, "lines": 12, "invalid": 3, "refused": 0, "replies_dropped": 0,
            "peers": [{ "peer": "old-1:12345", "state": "up" }, { "peer": "old-2:12345", "state": "down", "last_error": "refused" }],
        } });
        let campbell = json!({ "classic": { "address": null, "lines": 0, "peers": [{ "peer": "old-1:12345", "state": "idle" }] } });
        let lines =
            classic_lines(&[("Riley", &riley), ("Jaquez", &json!({ "classic": null })), ("Campbell", &campbell)]);
        let wanted = [
            "classic links of Riley: old-1:12345 up, old-2:12345 down (refused), 12 lines in, 3 invalid, 1 connection refused",
            "classic links of Campbell: old-1:12345 idle",
        ];
        assert_eq!(lines, wanted);
    }
}
