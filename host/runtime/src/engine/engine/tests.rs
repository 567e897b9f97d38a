//! Tests of the engine's configuration, with guests that check it from inside.

use crate::serving::probation::SwapLimits;
use crate::test_guest::{NOW, TestGuest, generations, lines, output};
use herd_model::Side;

/// Runs instructions in a guest that trap if the configuration is wrong.
fn run(instructions: &str) -> Result<String, String> {
    let guest = TestGuest::new("checker").on_boom(instructions);
    let generations = generations(&guest, None, SwapLimits::default());
    output(generations.inputs(NOW, &lines(&["BOOM\n"]), &[], Side::Active, None))
}

/// A processor chooses the sign and the payload of a NaN: x86 makes a negative one of 0/0, Arm a positive one.
#[test]
fn engine_makes_the_same_nan_on_every_processor() {
    let divides = "
        (f32.store offset=2048 (i32.const 0) (f32.div (f32.load offset=2048 (i32.const 0)) (f32.load offset=2052 (i32.const 0))))
        (if (i32.ne (i32.load offset=2048 (i32.const 0)) (i32.const 0x7fc00000)) (then unreachable))";
    assert_eq!(run(divides).as_deref(), Ok("checker\n"));
}

/// The relaxed conversion of a NaN is the smallest integer on x86 and zero on Arm.
#[test]
fn engine_relaxes_no_simd_instruction() {
    let converts = "
        (v128.store offset=2048 (i32.const 0) (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (f32.const nan))))
        (if (i32.load offset=2048 (i32.const 0)) (then unreachable))";
    assert_eq!(run(converts).as_deref(), Ok("checker\n"));
}

/// Goal: the engine compiles on the threads for that. Method: a guest that no other test compiles; rayon's pool of the process,
/// which wasmtime would use, starts with its first use, and its threads have no name.
#[cfg(target_os = "linux")]
#[test]
fn engine_compiles_on_threads_of_their_own() {
    crate::test_guest::engine().inspect(&TestGuest::new("compiled-alone").bytes()).unwrap();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    assert!(names.into_iter().any(|name| name.starts_with("herd-compile-")));
}

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
fn engine_inspects_needs_and_refuses_those_above_its_ceilings() {
    let engine = crate::test_guest::engine();
    let modest = TestGuest::new("modest").needing("memory_mib = 64\ndeadline_ms = 60").bytes();
    let inspection = engine.inspect(&modest).unwrap();
    assert!(
        inspection.problems.is_empty() && inspection.to_string().contains("needs    64 MiB, 60 ms a call\n"),
        "{inspection}"
    );
    let granted = engine.compile(&modest).unwrap().limits;
    assert_eq!((granted.memory_bytes_max, granted.deadline.as_millis()), (64 << 20, 60));

    let greedy = TestGuest::new("greedy").needing("memory_mib = 4096").bytes();
    let problems = engine.inspect(&greedy).unwrap().problems;
    let refusal = engine.compile(&greedy).map(drop).unwrap_err();
    assert_eq!(refusal.stage, crate::Stage::Checked);
    assert_eq!(problems, std::slice::from_ref(&refusal.reason));
    assert!(refusal.reason.contains("needs 4096 MiB of memory, and this host grants at most 128;"), "{refusal}");
}

#[test]
fn engine_pool_has_room_for_every_generation_of_every_node() {
    use super::{INSTANCES_MAX, RETIRED_MAX, instances};

    for (nodes, slots) in [(1, 2), (5, 3), (20, 17), (30, 9)] {
        let needed = nodes * slots * (4 * 2 + RETIRED_MAX);
        assert!(instances(nodes, slots) as usize >= needed, "{nodes} nodes");
    }
    assert_eq!(instances(usize::MAX, usize::MAX), INSTANCES_MAX);
}
