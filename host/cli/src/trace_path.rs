//! Way of a report through a herd, put together from what each node noted of it.
//!
//! Each node tells times of its own clock. Along the links on which the report came, these are converted to the clock of the first node,
//! with the offsets that the links have measured, so that the differences of time add up. Nodes on one machine share a clock and need none.
//!
//! Knows nothing of how nodes are asked, and prints nothing. Bounds: a hop for each node, and the arrivals that each tells.

use serde_json::{Value, json};

/// Way of one report.
#[derive(Debug)]
pub(super) struct TracePath {
    /// Nodes that the report reached: first the one whose clock counts, then the others by time, and last those whose time is unknown.
    pub(super) hops: Vec<Hop>,
    /// Nodes that tell of no arrival that they kept, with the reason.
    pub(super) lacking: Vec<(String, String)>,
}

/// Arrival of the report at a node, which kept it.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) node: String,
    /// Peer from which it came; `None` for a client or an operator.
    pub(super) from: Option<String>,
    /// Arrival as the node noted it.
    pub(super) arrival: Value,
    /// Time since that at the peer from which it came. `None` if that peer tells of no time, or the offset of its clock is unknown.
    pub(super) hop_ns: Option<i64>,
    /// Time since the first arrival: the sum of the hops on the way here.
    pub(super) total_ns: Option<i64>,
    /// Clock of the node, by that of the first one.
    pub(super) clock: Option<Clock>,
    /// Later arrivals of the same report at this node.
    pub(super) later: Vec<Later>,
}

/// Later arrival of a report that a node had.
#[derive(Debug)]
pub(super) struct Later {
    /// Peer from which it came.
    pub(super) from: Option<String>,
    /// Arrival as the node noted it.
    pub(super) arrival: Value,
    /// Time since the first arrival of the report in the herd.
    pub(super) total_ns: Option<i64>,
}

/// Offset of a clock to that of the first node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Positive if it is ahead.
    pub(super) ahead_ns: i64,
    /// Bound of the error: half the round trip of each link on the way. 0 where clocks are the same.
    pub(super) error_ns: i64,
}

impl TracePath {
    /// Puts together what nodes tell about the report of a stamp.
    pub(super) fn of(answers: &[(&str, &Value)], stamp: &Value) -> Self {
        let mut waiting: Vec<(&str, &Value, &Value)> = Vec::new();
        let mut lacking = Vec::new();
        for &(node, answer) in answers {
            match first_kept(answer) {
                Some(arrival) => waiting.push((node, answer, arrival)),
                None => lacking.push((node.to_string(), why_lacking(answer, stamp))),
            }
        }
        // The origin, or else the node that was the first by its own clock.
        waiting.sort_by_key(|(_, _, arrival)| (arrival["way"] == "peer", at_ns(arrival)));
        let mut hops: Vec<Hop> = Vec::new();
        if !waiting.is_empty() {
            let (node, answer, arrival) = waiting.remove(0);
            let same = Clock { ahead_ns: 0, error_ns: 0 };
            hops.push(Hop::new(node, answer, arrival, at_ns(arrival), Some((None, same))));
        }
        let first_ns = hops.first().map_or(0, |hop| at_ns(&hop.arrival));
        // Every round places the nodes whose peer has been placed, so there are at most as many rounds as nodes.
        while let Some(next) = waiting.iter().position(|(_, _, arrival)| placed(&hops, arrival).is_some()) {
            let (node, answer, arrival) = waiting.remove(next);
            let peer = placed(&hops, arrival).map(|peer| &hops[peer]);
            let clock = peer.and_then(|peer| Some((peer, peer.clock?.of_neighbour(answers, &peer.node, node)?)));
            let hop = Hop::new(node, answer, arrival, first_ns, clock.map(|(peer, clock)| (peer.total_ns, clock)));
            hops.push(hop);
        }
        // A way that ends at a node that tells nothing.
        hops.extend(waiting.into_iter().map(|(node, answer, arrival)| Hop::new(node, answer, arrival, first_ns, None)));
        if let Some((_, others)) = hops.split_first_mut() {
            others.sort_by_key(|hop| (hop.total_ns.is_none(), hop.total_ns, at_ns(&hop.arrival)));
        }
        Self { hops, lacking }
    }

    /// Returns the hops as JSON.
    pub(super) fn hops_json(&self) -> Value {
        let later = |later: &Later| {
            json!({ "from": later.from, "outcome": later.arrival["outcome"], "at_ns": later.arrival["at_ns"], "total_ns": later.total_ns,
                "client": later.arrival["client"] })
        };
        let hop = |hop: &Hop| {
            json!({ "node": hop.node, "from": hop.from, "way": hop.arrival["way"], "client": hop.arrival["client"],
                "at_ns": hop.arrival["at_ns"], "hop_ns": hop.hop_ns, "total_ns": hop.total_ns,
                "clock": hop.clock.map(|clock| json!({ "ahead_ns": clock.ahead_ns, "error_ns": clock.error_ns })),
                "generation": hop.arrival["generation"], "outcome": hop.arrival["outcome"],
                "later": hop.later.iter().map(later).collect::<Vec<_>>() })
        };
        self.hops.iter().map(hop).collect()
    }

    /// Returns the nodes that lack it as JSON.
    pub(super) fn lacking_json(&self) -> Value {
        self.lacking.iter().map(|(node, why)| json!({ "node": node, "why": why })).collect()
    }
}

impl Hop {
    /// Places a node. `way` has the total at the peer from which the report came, if it came from one, and the clock of the node.
    fn new(node: &str, answer: &Value, arrival: &Value, first_ns: i64, way: Option<(Option<i64>, Clock)>) -> Self {
        let clock = way.map(|(_, clock)| clock);
        let total = |arrival: &Value| clock.map(|clock| at_ns(arrival) - clock.ahead_ns - first_ns);
        let total_ns = total(arrival);
        let before_ns = way.and_then(|(total_ns, _)| total_ns);
        let hop_ns = before_ns.zip(total_ns).map(|(before, total)| total - before);
        let arrivals = answer["arrivals"].as_array().into_iter().flatten();
        let later = arrivals.filter(|other| !std::ptr::eq(*other, arrival)).map(|other| Later {
            from: from(other),
            total_ns: total(other),
            arrival: other.clone(),
        });
        let later = later.collect();
        Self { node: node.into(), from: from(arrival), arrival: arrival.clone(), hop_ns, total_ns, clock, later }
    }
}

impl Clock {
    /// Returns the clock of a node whose neighbour has this one. `None` if neither has measured the other.
    fn of_neighbour(self, answers: &[(&str, &Value)], neighbour: &str, node: &str) -> Option<Self> {
        let answer = |name: &str| answers.iter().find(|(other, _)| *other == name).map(|(_, answer)| *answer);
        let (theirs, own) = (answer(neighbour)?, answer(node)?);
        if own["machine"].is_string() && own["machine"] == theirs["machine"] {
            return Some(self);
        }
        let measured = |by: &Value, peer: &str| {
            let link = by["links"].as_array()?.iter().find(|link| link["peer"] == peer)?;
            Some((link["clock_ahead_ms"].as_f64()?, link["round_trip_ms"].as_f64()?))
        };
        // Each end measures the other. The better one of the two is that of the shorter round trip.
        let own = measured(own, neighbour).map(|(ahead_ms, round_trip_ms)| (-ahead_ms, round_trip_ms));
        let both = [own, measured(theirs, node)];
        let (ahead_ms, round_trip_ms) =
            both.into_iter().flatten().min_by(|(_, left), (_, right)| left.total_cmp(right))?;
        let (ahead_ns, error_ns) = (nanoseconds(ahead_ms), nanoseconds(round_trip_ms / 2.0));
        Some(Self {
            ahead_ns: self.ahead_ns.saturating_add(ahead_ns),
            error_ns: self.error_ns.saturating_add(error_ns),
        })
    }
}

/// Returns the stamp of the record that wins among those that nodes hold, and that record.
pub(super) fn winner<'a>(answers: &[(&str, &'a Value)]) -> Option<(&'a Value, &'a Value)> {
    let held = answers.iter().map(|(_, answer)| &answer["held"]).filter(|held| held.is_object());
    // In the order of a key. Hexadecimal digits have the order of their bytes. The last of equal ones wins here, so: the first.
    let order = |held: &&Value| {
        let record = &held["record"];
        let (rank, text) = (record["rank"].as_str().map(String::from), record["record"].as_str().map(String::from));
        (record["reign"].as_u64(), rank, text)
    };
    let winner = held.rev().max_by_key(order)?;
    Some((&winner["stamp"], &winner["record"]))
}

/// Returns the arrival with which a node has kept a report.
fn first_kept(answer: &Value) -> Option<&Value> {
    let arrivals = || answer["arrivals"].as_array().into_iter().flatten();
    arrivals().find(|arrival| arrival["outcome"] == "applied" || arrival["outcome"] == "quarantined")
}

/// Returns the place of the peer from which a report came, if it has one.
fn placed(hops: &[Hop], arrival: &Value) -> Option<usize> {
    let from = from(arrival)?;
    hops.iter().position(|hop| hop.node == from)
}

fn from(arrival: &Value) -> Option<String> {
    arrival["peer"].as_str().map(String::from)
}

fn at_ns(arrival: &Value) -> i64 {
    arrival["at_ns"].as_u64().and_then(|at_ns| i64::try_from(at_ns).ok()).unwrap_or_default()
}

fn nanoseconds(milliseconds: f64) -> i64 {
    // Saturates, and 0 for what is no number.
    (milliseconds * 1e6).round() as i64
}

/// Returns why a node tells of no arrival that it kept.
fn why_lacking(answer: &Value, stamp: &Value) -> String {
    let capacity = answer["capacity"].as_u64().unwrap_or_default();
    let held = &answer["held"];
    let has_it = held["stamp"] == *stamp;
    let was_dropped = answer["arrivals"].as_array().is_some_and(|arrivals| !arrivals.is_empty());
    match (has_it, answer["complete_since_ns"].as_u64()) {
        (true, _) if capacity == 0 => "has it; arrivals are not noted: trace.arrivals is 0".into(),
        (true, Some(_)) => format!("has it; it came before the last {capacity} arrivals"),
        (true, None) => "has it since its start, from its log or an operator".into(),
        _ if was_dropped => "had an equal or a newer report when it came".into(),
        _ if held.is_null() => "has no report of this client".into(),
        _ => "has another report, and does not tell of this one".into(),
    }
}

#[cfg(test)]
mod tests;
