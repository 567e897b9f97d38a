//! Tests of the bounds of an instance, with guests that pass them.

use herd_model::Side;

use crate::serving::probation::SwapLimits;
use crate::test_guest::{NOW, TestGuest, generations, lines, output};

/// Returns the output of a `BOOM`, or the fault.
fn boom(guest: &TestGuest) -> Result<String, String> {
    output(generations(guest, None, SwapLimits::default()).inputs(NOW, &lines(&["BOOM\n"]), &[], Side::Active, None))
}

/// A guest that asks for so many random bytes in one host call.
fn random(bytes: u64) -> TestGuest {
    // A memory of their own, because the core module that imports a function cannot lend its memory to it.
    let imports = r#"
        (import "wasi:random/random@0.2.0" (instance $wasi
          (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (core module $lent
          (memory (export "memory") 2)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
        (core instance $lent (instantiate $lent))
        (alias core export $lent "memory" (core memory $lent-memory))
        (alias core export $lent "realloc" (core func $lent-realloc))
        (core func $random (canon lower (func $wasi "get-random-bytes") (memory $lent-memory) (realloc $lent-realloc)))"#;
    TestGuest::new("random")
        .importing(imports, r#"(with "wasi" (instance (export "random" (func $random))))"#)
        .with(r#"(import "wasi" "random" (func $random (param i64 i32)))"#)
        .on_boom(&format!("(call $random (i64.const {bytes}) (i32.const 0))"))
}

/// A guest that asks for standard output so many times, and keeps every handle.
fn handles(count: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type (sub resource)))))
        (alias export $streams "output-stream" (type $stream))
        (import "wasi:cli/stdout@0.2.0" (instance $stdout
          (alias outer 1 $stream (type $stream))
          (export "output-stream" (type $named (eq $stream)))
          (export "get-stdout" (func (result (own $named))))))
        (core func $stdout (canon lower (func $stdout "get-stdout")))"#;
    let loops = format!(
        "(local $left i32) (local.set $left (i32.const {count}))
         (loop $next
           (drop (call $stdout))
           (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
    );
    TestGuest::new("handles")
        .importing(imports, r#"(with "wasi" (instance (export "stdout" (func $stdout))))"#)
        .with(r#"(import "wasi" "stdout" (func $stdout (result i32)))"#)
        .on_boom(&loops)
}

/// A guest that makes so many handles of a resource of its own.
fn resources(count: u32) -> TestGuest {
    let imports = "
        (type $own (resource (rep i32)))
        (core func $new (canon resource.new $own))";
    let loops = format!(
        "(local $left i32) (local.set $left (i32.const {count}))
         (loop $next
           (drop (call $new (local.get $left)))
           (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
    );
    TestGuest::new("resources")
        .importing(imports, r#"(with "own" (instance (export "new" (func $new))))"#)
        .with(r#"(import "own" "new" (func $new (param i32) (result i32)))"#)
        .on_boom(&loops)
}

#[test]
fn instance_gets_few_random_bytes_per_host_call() {
    assert_eq!(boom(&random(64 << 10)).as_deref(), Ok("random\n"));
    let fault = boom(&random(64 << 20)).unwrap_err();
    assert!(fault.contains("exceeds limit 65536"), "{fault}");
}

#[test]
fn instance_holds_few_handles() {
    assert_eq!(boom(&handles(100)).as_deref(), Ok("handles\n"));
    assert_eq!(boom(&resources(100)).as_deref(), Ok("resources\n"));
    for guest in [handles(1000), resources(1000)] {
        boom(&guest).unwrap_err();
    }
}

/// A guest that takes so many MiB more memory with each call, and never gives any back.
fn grows(mib: u32) -> TestGuest {
    let pages = mib * 16;
    TestGuest::new("grows")
        .on_boom(&format!("(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))"))
}

#[test]
fn memory_that_a_guest_needs_is_granted() {
    assert_eq!(boom(&grows(40)), Err("passed its memory cap".into()), "over the default");
    assert_eq!(boom(&grows(40).needing("memory_mib = 64")).as_deref(), Ok("grows\n"));
    assert_eq!(boom(&grows(70).needing("memory_mib = 64")), Err("passed its memory cap".into()));
}

/// Goal: garbage that adds up over calls faults none. Method: each call takes 2 MiB of the 16, for as many calls as would take
/// ten times the limit; an instance is to last five calls, half of what is left at its start.
#[test]
fn memory_used_by_half_replaces_the_instance_between_calls() {
    let generations = generations(&grows(2), None, SwapLimits::default());
    let made = || generations.resources().0.made;
    let before = made();
    for call in 0..80 {
        let decided = output(generations.inputs(NOW, &lines(&["BOOM\n"]), &[], Side::Active, None));
        assert_eq!(decided.as_deref(), Ok("grows\n"), "call {call}");
    }
    assert!((15..=30).contains(&(made() - before)), "{} instances", made() - before);
    let idle = made();
    for _ in 0..80 {
        output(generations.inputs(NOW, &lines(&["idle\n"]), &[], Side::Active, None)).unwrap();
    }
    assert!(made() - idle <= 1, "a call that takes no memory replaces no instance");
}
