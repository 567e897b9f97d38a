//! Number of generations alive.
//!
//! Counted by instances created and dropped and by the slots in use in wasmtime's pool, not by the registry of generations,
//! which is what these tests check.

use std::collections::BTreeSet;
use std::path::Path;

use herd_tests::load::Load;
use herd_tests::{DEFAULT_GUEST, Fixture, HELLO, Herd, WATCH};
use serde_json::Value;

/// Ids of the generations that have an instance.
fn alive(status: &Value) -> BTreeSet<u64> {
    let alive = status["engine"]["instances"]["alive"].as_object().unwrap();
    alive.keys().map(|id| id.parse().unwrap()).collect()
}

/// Ids of the active and the previous generation.
fn live(status: &Value) -> BTreeSet<u64> {
    ["active", "previous"].iter().filter_map(|which| status["generations"][which]["id"].as_u64()).collect()
}

/// Goal: at most two generations serve, plus one candidate. Method: hundreds of swaps under load, and instance counts that are
/// independent of the registry of generations.
#[test]
fn generations_alive_are_two_after_hundreds_of_swaps_and_never_exceed_three() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let nodes = vec![("Riley".to_string(), herd.address("Riley"))];
    let running = Load { nodes, sessions_per_node: 16, askers_per_node: 0, rate: Some(2_000.0) }.start();
    let guests = [WATCH, DEFAULT_GUEST].map(|path| std::fs::read(path).unwrap());
    let operator = herd.operator("Riley");
    for number in 0..SWAPS {
        operator.swap(&guests[number % 2]).unwrap();
        let status = operator.status().unwrap();
        assert_eq!(
            alive(&status),
            live(&status),
            "instances of a generation retired by swap {number} remain: {}",
            status["engine"]
        );
    }
    let outcome = running.stop();
    assert_eq!((outcome.failed, outcome.failures), (0, vec![]));

    let engine = herd.status("Riley")["engine"].clone();
    let (instances, pool) = (&engine["instances"], &engine["pool"]);
    assert_eq!(instances["generations_max"], 3, "{engine}");
    assert_eq!(instances["alive"].as_object().unwrap().len(), 2, "{engine}");
    let alive: u64 = instances["alive"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let left = instances["made"].as_u64().unwrap() - instances["dropped"].as_u64().unwrap();
    assert_eq!((alive, pool["component_instances"].as_u64()), (left, Some(left)), "{engine}");
    assert_eq!(engine["compiled"], 2, "{engine}");
    let each = engine["workers"].as_u64().unwrap() + 1;
    assert_eq!(alive, 2 * each, "each generation has one instance per worker and one for all other threads: {engine}");
}

/// Goal: a swap is answered only after the retired generation is gone, even when a worker is inside a call of it at that time.
/// Method: two generations that use up their deadline in one call, one after the other, and a swap during that call.
#[test]
fn retirement_completes_before_the_swap_is_answered_even_during_a_call() {
    let herd = Herd::of_one().with("runtime.deadline_ms=300");
    let _up = herd.up();
    let operator = herd.operator("Riley");
    let [hello, forever] = [Path::new(HELLO), Fixture::Forever.path()].map(|path| std::fs::read(path).unwrap());
    // Serving `hello` first puts its code into the cache, so the swap back to it is fast enough to fall into the call.
    for guest in [&hello, &forever, &forever] {
        operator.swap(guest).unwrap();
    }
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("you"), "forever: you");
    client.send("BOOM\n");
    operator.swap(&hello).unwrap();
    let status = operator.status().unwrap();
    assert_eq!((alive(&status), live(&status)), ([4, 5].into(), [4, 5].into()), "{}", status["engine"]);
}

/// More generations than the pool has slots for, had none been released.
const SWAPS: usize = 300;
