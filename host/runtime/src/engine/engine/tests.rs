//! Tests of the engine's configuration, with guests that check it from inside.

use crate::test_guest::TestGuest;

#[test]
fn engine_refuses_a_guest_of_too_many_modules_at_compilation() {
    for (modules, refused) in [(4, false), (250, true)] {
        let instances = "(core instance (instantiate $small))".repeat(modules);
        let guest =
            TestGuest::new("wide").importing(&format!("(core module $small (table 1 funcref)) {instances}"), "");
        let loaded = crate::test_guest::engine().inspect(&guest.bytes());
        let refusal = loaded.err().map(|error| error.to_string());
        assert_eq!(refusal.is_some(), refused, "{modules}: {refusal:?}");
        if let Some(refusal) = refusal {
            assert!(
                refusal.starts_with("not compiled: ") && refusal.contains("251 core module instances"),
                "{refusal}"
            );
            assert!(refusal.ends_with("; compose it of fewer components"), "{refusal}");
        }
    }
}

#[test]
fn engine_pool_has_room_for_every_generation_of_every_node() {
    use super::{INSTANCES_MAX, instances};

    for (nodes, slots) in [(1, 2), (5, 3), (20, 17), (30, 9)] {
        let needed = nodes * slots * 4 * 2;
        assert!(instances(nodes, slots) as usize >= needed, "{nodes} nodes");
    }
    assert_eq!(instances(usize::MAX, usize::MAX), INSTANCES_MAX);
}
