//! Convergence of a herd, as a line of `herd status`: whether its nodes hold equal records, and how that is known.
//!
//! Knows only what nodes report. Under load records are always under way, and a herd is then not converged.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json_text::text;

/// Describes the records of nodes: whether they have converged, and what they survive. `asked` is the number of nodes that were asked.
pub(super) fn convergence(nodes: &[&Value], asked: usize) -> String {
    let state = match obstacle(nodes, asked) {
        Some(why) => format!("not converged: {why}"),
        None => match links(nodes).filter_map(|(_, link)| link["proof_age_s"].as_u64()).max() {
            Some(age_s) => format!("converged, proved {age_s} s ago"),
            None => "converged: one node".into(),
        },
    };
    format!("records: {state}; {}", durability(nodes))
}

/// Returns the first reason why nodes may hold different records.
fn obstacle(nodes: &[&Value], asked: usize) -> Option<String> {
    if nodes.len() < asked {
        return Some(format!("{} of {asked} nodes answer", nodes.len()));
    }
    let link_obstacle = |(node, link): (&Value, &Value)| {
        let ends = || format!("{} - {}", text(&node["node"]), text(&link["peer"]));
        if link["state"] == "down" {
            Some(format!("{} is down", ends()))
        } else if link["state"] == "silent" {
            Some(format!("{} hears nothing", ends()))
        } else if link["owes"] == true {
            Some(format!("{} is sending what was missed", ends()))
        } else if link["lag"].as_u64().is_some_and(|lag| lag > LAG_MAX) {
            Some(format!("{} is {} keeps behind", ends(), text(&link["lag"])))
        } else {
            None
        }
    };
    if let Some(why) = links(nodes).find_map(link_obstacle) {
        return Some(why);
    }
    if nodes.windows(2).any(|pair| pair[0]["records"]["digest"] != pair[1]["records"]["digest"]) {
        return Some("digests differ: reports are under way, or a node missed some".into());
    }
    let unproved = |(node, link): (&Value, &Value)| {
        let is_young = link["proof_age_s"].as_u64().is_some_and(|age_s| age_s < PROOF_AGE_MAX_S);
        if is_young {
            None
        } else {
            Some(format!("{} - {} has no recent proof", text(&node["node"]), text(&link["peer"])))
        }
    };
    links(nodes).find_map(unproved)
}

/// Iterates over the links of nodes, each with the node that reports it.
fn links<'a>(nodes: &'a [&'a Value]) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    nodes.iter().flat_map(|&node| node["links"].as_array().into_iter().flatten().map(move |link| (node, link)))
}

/// Says what the records of nodes survive: once if it is the same at all of them.
fn durability(nodes: &[&Value]) -> String {
    let mut by_mode: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in nodes {
        by_mode.entry(text(&node["durability"])).or_default().push(text(&node["node"]));
    }
    let modes: Vec<String> = match by_mode.len() {
        0 | 1 => by_mode.into_keys().collect(),
        _ => by_mode.iter().map(|(mode, nodes)| format!("{mode} at {}", nodes.join(", "))).collect(),
    };
    format!("durability {}", modes.join("; "))
}

/// Keeps by which a link may be behind: those of the moment between the looks at two nodes.
const LAG_MAX: u64 = 100;
/// Age at which a proof says nothing any more: links prove every 30 seconds in pauses of their traffic.
const PROOF_AGE_MAX_S: u64 = 75;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, peer: &str) -> Value {
        let link = json!({ "peer": peer, "state": "up", "owes": false, "lag": 3, "proof_age_s": 12 });
        json!({ "node": name, "durability": "os", "records": { "digest": "d" }, "links": [link] })
    }

    fn with(change: impl FnOnce(&mut Value)) -> String {
        let (mut riley, jaquez) = (node("Riley", "Jaquez"), node("Jaquez", "Riley"));
        change(&mut riley);
        convergence(&[&riley, &jaquez], 2)
    }

    #[test]
    fn status_says_converged_only_if_nothing_is_owed_and_digests_and_proofs_agree() {
        assert_eq!(with(|_| ()), "records: converged, proved 12 s ago; durability os");
        let not = |words: &str| format!("records: not converged: {words}; durability os");
        assert_eq!(with(|riley| riley["links"][0]["state"] = "down".into()), not("Riley - Jaquez is down"));
        assert_eq!(with(|riley| riley["links"][0]["state"] = "silent".into()), not("Riley - Jaquez hears nothing"));
        assert_eq!(
            with(|riley| riley["links"][0]["owes"] = true.into()),
            not("Riley - Jaquez is sending what was missed")
        );
        assert_eq!(with(|riley| riley["links"][0]["lag"] = 101.into()), not("Riley - Jaquez is 101 keeps behind"));
        let differ = "digests differ: reports are under way, or a node missed some";
        assert_eq!(with(|riley| riley["records"]["digest"] = "e".into()), not(differ));
        for age in [Value::Null, 75.into()] {
            let no_proof = "Riley - Jaquez has no recent proof";
            assert_eq!(with(|riley| riley["links"][0]["proof_age_s"] = age), not(no_proof));
        }
        let riley = node("Riley", "Jaquez");
        assert_eq!(convergence(&[&riley], 2), not("1 of 2 nodes answer"));
    }

    #[test]
    fn status_names_nodes_of_another_durability() {
        let text = with(|riley| riley["durability"] = "memory".into());
        assert!(text.ends_with("durability memory at Riley; os at Jaquez"), "{text}");
    }

    #[test]
    fn herd_of_one_node_has_converged() {
        let riley = json!({ "node": "Riley", "durability": "os", "records": { "digest": "d" }, "links": [] });
        assert_eq!(convergence(&[&riley], 1), "records: converged: one node; durability os");
    }
}
