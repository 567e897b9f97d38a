//! Compilation ahead, and the refusals of what it made elsewhere.

use super::*;
use crate::engine::code_target::Reservation;
use crate::engine::engine::Engine;
use crate::test_guest::TestGuest;

fn of_this_machine(reservation: Reservation) -> CodeTarget {
    CodeTarget::of_this_machine(reservation).rounded()
}

fn refusal(engine: &Engine, guest: &[u8], code: &[u8]) -> String {
    engine.keep_compiled(guest, Some(code)).map(drop).unwrap_err().to_string()
}

#[test]
fn precompiled_code_is_used_in_place_of_the_compiler() {
    let guest = TestGuest::new("ahead").bytes();
    for reservation in [Reservation::Large, Reservation::Small] {
        let limits = Limits { reservation, ..Limits::default() };
        let code = precompile(&guest, &of_this_machine(reservation), limits).unwrap();
        let engine = Engine::new(limits).unwrap();
        let kept = engine.keep_compiled(&guest, Some(&code)).unwrap();
        assert_eq!((engine.status().compiled, engine.status().pool.is_some()), (1, reservation == Reservation::Large));
        // Generations that are made meanwhile find it.
        assert_eq!(engine.compile(&guest).map(|compiled| compiled.digest), Ok(Digest::of(&guest)));
        drop(kept);
        assert_eq!(engine.status().compiled, 0);
    }
}

#[test]
fn precompiled_code_is_the_same_every_time() {
    let guest = TestGuest::new("ahead").bytes();
    for target in ["x86_64-linux+v2", "aarch64-linux+lse+small"] {
        let target = target.parse().unwrap();
        let [one, other] = [(), ()].map(|()| precompile(&guest, &target, Limits::default()).unwrap());
        assert!(one == other, "{target}");
    }
}

#[test]
fn precompiled_code_for_something_else_is_refused_with_what_to_type() {
    let (engine, limits) = (Engine::new(Limits::default()).unwrap(), Limits::default());
    let [guest, other] = ["ahead", "other"].map(|name| TestGuest::new(name).bytes());
    let own = of_this_machine(Reservation::Large);
    let foreign = ["x86_64-linux", "aarch64-linux"].map(|target| target.parse::<CodeTarget>().unwrap());
    let foreign = foreign.iter().find(|target| own.check_runs(target).is_err()).unwrap();
    let small = of_this_machine(Reservation::Small);
    for (code, why) in [
        (precompile(&other, &own, limits).unwrap(), "it was compiled from the guest "),
        (precompile(&guest, foreign, limits).unwrap(), "it was compiled for "),
        (
            precompile(&guest, &small, limits).unwrap(),
            "it was compiled for small reservations of memory, and this node",
        ),
        (b"\x7fELF".to_vec(), "it is no intact file of machine code"),
    ] {
        let refusal = refusal(&engine, &guest, &code);
        assert!(refusal.starts_with(&format!("not compiled: its machine code cannot be used: {why}")), "{refusal}");
        assert!(refusal.ends_with(&format!("; type: herd compile GUEST --target {own}")), "{refusal}");
    }
    assert_eq!(engine.status().compiled, 0);
}

/// Goal: what the file says is not the only check. Method: a file that says so of code for other calls, which wasmtime compares by itself.
#[test]
fn precompiled_code_with_wrong_words_is_refused_by_wasmtime() {
    let guest = TestGuest::new("ahead").bytes();
    let (own, fuel) = (of_this_machine(Reservation::Large), Limits { fuel_max: Some(1), ..Limits::default() });
    let code = precompile(&guest, &own, fuel).unwrap();
    let made = crate::engine::machine_code::MachineCode::parse(&code).unwrap();
    let made = made.of(Digest::of(&guest), &own, fuel).unwrap();
    let forged = machine_code::file(Digest::of(&guest), &own, Limits::default(), made);
    let refusal = refusal(&Engine::new(Limits::default()).unwrap(), &guest, &forged);
    assert!(refusal.contains("fuel support"), "{refusal}");
}

#[test]
fn precompilation_of_what_is_no_guest_is_refused() {
    let refusal = precompile(b"\0asm\x01\0\0\0", &of_this_machine(Reservation::Large), Limits::default()).unwrap_err();
    assert!(refusal.reason.starts_with("a core module, not a component"), "{refusal}");
}
