//! Difference between what a node serves and what its herd swapped to, as a line of `herd status`.
//!
//! Knows only the status of that node.

use serde_json::Value;

use super::json_text::{short, text};

/// Describes why a node does not serve the guest of the last swap of its herd. None if it does, or if the herd never swapped.
pub(super) fn swap_fault(status: &Value) -> Option<String> {
    let (name, herd) = (text(&status["node"]), &status["herd"]);
    let (swap, active) = (&herd["swap"], &status["generations"]["active"]["digest"]);
    if swap.is_null() || *active == swap["digest"] {
        return None;
    }
    let number = text(&swap["number"]);
    Some(if let Some(why) = herd["back"][&name].as_str() {
        format!("swap fault: {name} does not serve swap {number} of the herd: {why}")
    } else if herd["applied"] != swap["number"] {
        format!("swap fault: {name} has not applied swap {number} of the herd yet")
    } else {
        // Its operator did that, by a swap or a rollback of this node alone.
        let (serves, herd) = (short(active), short(&swap["digest"]));
        format!(
            "{name} alone serves {serves}, the herd {herd}: a swap with --node, which the next swap of the herd ends"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(active: &str, applied: u64, back: Value) -> Value {
        json!({
            "node": "Riley",
            "herd": { "swap": { "number": 2, "digest": "b".repeat(64) }, "applied": applied, "back": back },
            "generations": { "active": { "digest": active.repeat(64) } },
        })
    }

    #[test]
    fn status_names_a_node_that_does_not_serve_what_its_herd_does() {
        assert_eq!(swap_fault(&status("b", 2, json!({}))), None);
        assert_eq!(swap_fault(&json!({ "node": "Riley", "herd": { "swap": null, "applied": 0, "back": {} } })), None);
        for (active, applied, back, words) in [
            ("a", 2, json!({ "Riley": "not rehearsed: it traps" }), "does not serve swap 2 of the herd: not rehearsed"),
            ("a", 1, json!({}), "has not applied swap 2 of the herd yet"),
            ("a", 2, json!({ "Juzang": "it traps" }), "Riley alone serves aaaaaaaa, the herd bbbbbbbb"),
        ] {
            let fault = swap_fault(&status(active, applied, back)).unwrap();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
