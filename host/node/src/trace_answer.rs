//! Answer of a node about the life of a report: what it holds, when and from where the report came, and how far the clocks of its
//! neighbours are ahead.
//!
//! Knows no other node: `herd trace` puts the answers of all nodes together. Bounds: arrivals that a look-up returns, a link per neighbour.

use std::fs;

use herd_admin::{HexBytes, ReportStamp, TraceOptions};
use herd_model::{Digest, GenerationId};
use herd_peers::Peers;
use herd_replication::{Arrival, ArrivalOutcome, Epoch, Lane, ListedRecord, Replica, Stamp, Way};
use herd_runtime::{GenerationRegistry, GenerationStatus};
use serde_json::{Value, json};

use crate::records_host::listed;

/// Returns the answer about a report. Reads all arrivals: not for a worker thread.
pub(crate) fn trace_answer(
    replica: &Replica,
    generations: &GenerationRegistry,
    peers: &Peers,
    options: &TraceOptions,
) -> Value {
    // Before the arrivals: what is held has been noted, but for what is noted in this moment.
    let held = replica.held(&options.key.0);
    let asked = options.stamp.clone().or_else(|| held.as_ref().map(stamp_of));
    let arrivals = replica.arrivals();
    let found = asked.as_ref().and_then(|asked| number(replica, asked)).map(|stamp| arrivals.find(stamp));
    let live = live(generations);
    let arrived = |arrival: &Arrival| told(arrival, &live);
    let links = peers.status().links.into_iter().map(
        |link| json!({ "peer": link.peer, "clock_ahead_ms": link.clock_ahead_ms, "round_trip_ms": link.round_trip_ms }),
    );
    json!({
        "node": replica.node(),
        "machine": machine(),
        "capacity": arrivals.capacity(),
        "complete_since_ns": arrivals.complete_since_ns(),
        "held": held.as_ref().map(|held| json!({ "stamp": stamp_of(held), "record": listed(held) })),
        "stamp": asked,
        "arrivals": found.unwrap_or_default().iter().map(arrived).collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}

fn told(arrival: &Arrival, live: &[GenerationStatus]) -> Value {
    let (way, peer, client) = match &arrival.way {
        Way::Client(address) => ("client", None, address.map(|address| address.to_string())),
        Way::Operator => ("operator", None, None),
        Way::Quarantine => ("quarantine", None, None),
        Way::Peer(name) => ("peer", Some(&**name), None),
    };
    let outcome = outcome_word(arrival.outcome);
    let generation = arrival.generation.map(|GenerationId(id)| {
        let named = live.iter().find(|generation| generation.id.0 == id);
        json!({ "id": id, "digest": named.map(|named| &named.digest), "name": named.map(|named| &named.name) })
    });
    json!({ "at_ns": arrival.at_ns, "way": way, "peer": peer, "client": client, "generation": generation, "outcome": outcome })
}

/// Returns the word for an outcome, in answers and in spans.
pub(crate) fn outcome_word(outcome: ArrivalOutcome) -> &'static str {
    match outcome {
        ArrivalOutcome::Applied => "applied",
        ArrivalOutcome::Known => "known",
        ArrivalOutcome::Quarantined => "quarantined",
        ArrivalOutcome::Outranked => "outranked",
    }
}

/// Returns the generations that have not retired: only these are known by more than their number.
fn live(generations: &GenerationRegistry) -> Vec<GenerationStatus> {
    let status = generations.status();
    let canary = status.canary.map(|canary| canary.candidate);
    [Some(status.active), status.previous, canary].into_iter().flatten().collect()
}

fn stamp_of(record: &ListedRecord) -> ReportStamp {
    ReportStamp {
        origin: record.origin.to_string(),
        started_ms: record.epoch.started_ms,
        random: HexBytes(record.epoch.random.to_be_bytes().into()),
        worker: record.worker,
        seq: record.seq,
    }
}

/// Returns the stamp with the number that its lane has in this process. `None` if nothing of that lane has been heard of.
fn number(replica: &Replica, stamp: &ReportStamp) -> Option<Stamp> {
    let random = u64::from_be_bytes(stamp.random.0.as_slice().try_into().ok()?);
    let epoch = Epoch { started_ms: stamp.started_ms, random };
    let lane = Lane { origin: stamp.origin.as_str().into(), epoch, worker: stamp.worker };
    Some(Stamp { lane: replica.lanes().known(&lane)?, seq: stamp.seq })
}

/// Returns a name for the running kernel, whose clock all its processes share: nodes with equal names need no offsets. `None` if the
/// system does not tell.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // A digest: the id itself is nobody's business.
    Some(Digest::of(boot.trim().as_bytes()).to_string()[..16].into())
}
