//! Tests of what a guest sees of WASI that it is not granted.

use herd_model::Side;

use crate::serving::probation::SwapLimits;
use crate::test_guest::{NOW, TestGuest, generations, lines, output};

/// Returns the output of a `BOOM`, or the fault.
fn boom(guest: &TestGuest) -> Result<String, String> {
    output(generations(guest, None, SwapLimits::default()).inputs(NOW, &lines(&["BOOM\n"]), &[], Side::Active, None))
}

/// A guest that calls a function which writes its result to memory at 0, and traps unless this byte of it is as told.
fn calls(imports: &str, parameters: &str, arguments: &str, (at, byte): (u32, u32)) -> TestGuest {
    // A memory of their own, because the core module that imports a function cannot lend its memory to it.
    let imports = format!(
        r#"{imports}
        (core module $lent
          (memory (export "memory") 2)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
          (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0))))
        (core instance $lent (instantiate $lent))
        (alias core export $lent "memory" (core memory $lent-memory))
        (alias core export $lent "realloc" (core func $lent-realloc))
        (alias core export $lent "byte" (core func $byte))
        (core func $call (canon lower (func $called) (memory $lent-memory) (realloc $lent-realloc)))"#
    );
    TestGuest::new("calls")
        .importing(&imports, r#"(with "wasi" (instance (export "call" (func $call)) (export "byte" (func $byte))))"#)
        .with(&format!(
            r#"(import "wasi" "call" (func $call (param {parameters} i32)))
               (import "wasi" "byte" (func $byte (param i32) (result i32)))"#
        ))
        .on_boom(&format!(
            "(call $call {arguments} (i32.const 0))
             (if (i32.ne (call $byte (i32.const {at})) (i32.const {byte})) (then unreachable))"
        ))
}

/// A guest that creates a TCP socket and expects the error of this number: `unknown` is 0, `access-denied` 1.
fn creates_a_socket(error: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:sockets/network@0.2.0" (instance $network
          (type $codes (enum "unknown" "access-denied"))
          (export "error-code" (type (eq $codes)))
          (type $families (enum "ipv4" "ipv6"))
          (export "ip-address-family" (type (eq $families)))))
        (alias export $network "error-code" (type $code))
        (alias export $network "ip-address-family" (type $family))
        (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
        (alias export $tcp "tcp-socket" (type $socket))
        (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
          (alias outer 1 $code (type $c)) (export "error-code" (type $named-code (eq $c)))
          (alias outer 1 $family (type $f)) (export "ip-address-family" (type $named-family (eq $f)))
          (alias outer 1 $socket (type $s)) (export "tcp-socket" (type $named-socket (eq $s)))
          (export "create-tcp-socket" (func (param "address-family" $named-family)
            (result (result (own $named-socket) (error $named-code)))))))
        (alias export $create "create-tcp-socket" (func $called))"#;
    calls(imports, "i32", "(i32.const 0)", (4, error))
}

/// A guest that asks for its environment and expects this many variables.
fn reads_the_environment(variables: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:cli/environment@0.2.3" (instance $environment
          (export "get-environment" (func (result (list (tuple string string)))))))
        (alias export $environment "get-environment" (func $called))"#;
    calls(imports, "", "", (4, variables))
}

/// A guest that asks for the terminal of its output, and expects it to be there or not.
fn looks_for_a_terminal(there: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:cli/terminal-output@0.2.0" (instance $output (export "terminal-output" (type (sub resource)))))
        (alias export $output "terminal-output" (type $terminal))
        (import "wasi:cli/terminal-stdout@0.2.0" (instance $stdout
          (alias outer 1 $terminal (type $t)) (export "terminal-output" (type $named (eq $t)))
          (export "get-terminal-stdout" (func (result (option (own $named)))))))
        (alias export $stdout "get-terminal-stdout" (func $called))"#;
    calls(imports, "", "", (0, there))
}

/// A guest that calls a function of files whose result is neither empty nor a refusal. WASI has none.
fn calls_what_cannot_be_refused() -> TestGuest {
    let imports = r#"
        (import "wasi:filesystem/types@0.2.0" (instance $types
          (export "made-up" (func (result (tuple u32 u32))))))
        (alias export $types "made-up" (func $called))"#;
    calls(imports, "", "", (0, 0))
}

/// A guest that takes the network so many times, and keeps every handle.
fn networks(count: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:sockets/network@0.2.0" (instance $network (export "network" (type (sub resource)))))
        (alias export $network "network" (type $own))
        (import "wasi:sockets/instance-network@0.2.0" (instance $instance
          (alias outer 1 $own (type $n)) (export "network" (type $named (eq $n)))
          (export "instance-network" (func (result (own $named))))))
        (core func $take (canon lower (func $instance "instance-network")))
        (core func $drop (canon resource.drop $own))"#;
    TestGuest::new("networks")
        .importing(imports, r#"(with "wasi" (instance (export "take" (func $take)) (export "drop" (func $drop))))"#)
        .with(
            r#"(import "wasi" "take" (func $take (result i32)))
               (import "wasi" "drop" (func $drop (param i32)))"#,
        )
        .on_boom(&format!(
            "(local $left i32) (local.set $left (i32.const {count}))
             (loop $dropped
               (call $drop (call $take))
               (br_if $dropped (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
             (local.set $left (i32.const {count}))
             (loop $kept
               (drop (call $take))
               (br_if $kept (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
        ))
}

#[test]
fn socket_is_refused_with_the_error_of_a_refusal() {
    assert_eq!(boom(&creates_a_socket(1)).as_deref(), Ok("calls\n"));
    boom(&creates_a_socket(0)).unwrap_err();
}

#[test]
fn environment_and_terminals_are_empty() {
    assert_eq!(boom(&reads_the_environment(0)).as_deref(), Ok("calls\n"));
    boom(&reads_the_environment(1)).unwrap_err();
    assert_eq!(boom(&looks_for_a_terminal(0)).as_deref(), Ok("calls\n"));
    boom(&looks_for_a_terminal(1)).unwrap_err();
}

#[test]
fn function_whose_refusal_has_no_value_is_a_fault_that_names_it() {
    let fault = boom(&calls_what_cannot_be_refused()).unwrap_err();
    assert!(fault.contains("wasi:filesystem/types@0.2.0#made-up, which a guest is not granted"), "{fault}");
}

#[test]
fn handles_of_what_is_not_granted_are_few_and_given_back() {
    assert_eq!(boom(&networks(200)).as_deref(), Ok("networks\n"));
    boom(&networks(1000)).unwrap_err();
}
