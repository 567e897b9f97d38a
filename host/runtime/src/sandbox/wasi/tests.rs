//! Tests of what a guest sees of WASI that it is not granted.

use herd_model::Side;

use crate::serving::probation::SwapLimits;
use crate::test_guest::{NOW, TestGuest, engine, generations, lines, output};

/// Returns the output of a `BOOM`, or the fault.
fn boom(guest: &TestGuest) -> Result<String, String> {
    output(generations(guest, None, SwapLimits::default()).inputs(NOW, &lines(&["BOOM\n"]), &[], Side::Active, None))
}

/// A function of WASI that writes its result to memory at 0.
#[derive(Default)]
struct Call<'a> {
    /// Imports of the component, with the function as `$called`.
    imports: &'a str,
    /// Its parameters but for where the result goes, and their values. A text lies at 0.
    parameters: &'a str,
    arguments: &'a str,
    /// A core function without parameters that gives the first argument.
    first: Option<&'a str>,
}

impl Call<'_> {
    /// A guest that makes the call, and traps unless this byte of the result is as told.
    fn expecting(&self, at: u32, byte: u32) -> TestGuest {
        let Self { imports, parameters, arguments, first } = self;
        // A memory of their own, because the core module that imports a function cannot lend its memory to it.
        let imports = format!(
            r#"{imports}
            (core module $lent
              (memory (export "memory") 2)
              (data (i32.const 0) "localhost")
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
              (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0))))
            (core instance $lent (instantiate $lent))
            (alias core export $lent "memory" (core memory $lent-memory))
            (alias core export $lent "realloc" (core func $lent-realloc))
            (alias core export $lent "byte" (core func $byte))
            (core func $call (canon lower (func $called) (memory $lent-memory) (realloc $lent-realloc)))"#
        );
        let lent = first.map(|first| format!(r#"(export "first" (func {first}))"#)).unwrap_or_default();
        let with =
            format!(r#"(with "wasi" (instance (export "call" (func $call)) (export "byte" (func $byte)) {lent}))"#);
        let first_import = first.map(|_| r#"(import "wasi" "first" (func $first (result i32)))"#).unwrap_or_default();
        let first = first.map(|_| "(call $first)").unwrap_or_default();
        TestGuest::new("calls")
            .importing(&imports, &with)
            .with(&format!(
                r#"(import "wasi" "call" (func $call (param {parameters} i32)))
                   (import "wasi" "byte" (func $byte (param i32) (result i32)))
                   {first_import}"#
            ))
            .on_boom(&format!(
                "(call $call {first} {arguments} (i32.const 0))
                 (if (i32.ne (call $byte (i32.const {at})) (i32.const {byte})) (then unreachable))"
            ))
    }
}

/// The errors of sockets, as WASI has them.
const SOCKET_ERRORS: &str = r#"(enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
    "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
    "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
    "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure")"#;

/// A guest that creates a TCP socket and expects the error of this number.
fn creates_a_socket(error: u32) -> TestGuest {
    let imports = format!(
        r#"
        (import "wasi:sockets/network@0.2.0" (instance $network
          (type $codes {SOCKET_ERRORS})
          (export "error-code" (type (eq $codes)))
          (type $families (enum "ipv4" "ipv6"))
          (export "ip-address-family" (type (eq $families)))))
        (alias export $network "error-code" (type $code))
        (alias export $network "ip-address-family" (type $family))
        (import "wasi:sockets/tcp@0.2.0" (instance $tcp
          (export "tcp-socket" (type $socket (sub resource)))
          (export "[method]tcp-socket.is-listening" (func (param "self" (borrow $socket)) (result bool)))))
        (alias export $tcp "tcp-socket" (type $socket))
        (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
          (alias outer 1 $code (type $c)) (export "error-code" (type $named-code (eq $c)))
          (alias outer 1 $family (type $f)) (export "ip-address-family" (type $named-family (eq $f)))
          (alias outer 1 $socket (type $s)) (export "tcp-socket" (type $named-socket (eq $s)))
          (export "create-tcp-socket" (func (param "address-family" $named-family)
            (result (result (own $named-socket) (error $named-code)))))))
        (alias export $create "create-tcp-socket" (func $called))"#
    );
    Call { imports: &imports, parameters: "i32", arguments: "(i32.const 0)", first: None }.expecting(4, error)
}

/// A guest that asks the network that it gets for the address of a name, and expects the error of this number.
fn resolves_a_name(error: u32) -> TestGuest {
    let imports = format!(
        r#"
        (import "wasi:sockets/network@0.2.3" (instance $network
          (export "network" (type (sub resource)))
          (type $codes {SOCKET_ERRORS})
          (export "error-code" (type (eq $codes)))))
        (alias export $network "network" (type $own))
        (alias export $network "error-code" (type $code))
        (import "wasi:sockets/instance-network@0.2.3" (instance $instance
          (alias outer 1 $own (type $n)) (export "network" (type $named (eq $n)))
          (export "instance-network" (func (result (own $named))))))
        (import "wasi:sockets/ip-name-lookup@0.2.3" (instance $lookup
          (alias outer 1 $own (type $n)) (export "network" (type $named (eq $n)))
          (alias outer 1 $code (type $c)) (export "error-code" (type $named-code (eq $c)))
          (export "resolve-address-stream" (type $stream (sub resource)))
          (export "resolve-addresses" (func (param "network" (borrow $named)) (param "name" string)
            (result (result (own $stream) (error $named-code)))))))
        (alias export $lookup "resolve-addresses" (func $called))
        (core func $take (canon lower (func $instance "instance-network")))"#
    );
    let arguments = "(i32.const 0) (i32.const 9)";
    Call { imports: &imports, parameters: "i32 i32 i32", arguments, first: Some("$take") }.expecting(4, error)
}

/// A guest that asks for its environment and expects this many variables.
fn reads_the_environment(variables: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:cli/environment@0.2.3" (instance $environment
          (export "get-environment" (func (result (list (tuple string string)))))))
        (alias export $environment "get-environment" (func $called))"#;
    Call { imports, ..Call::default() }.expecting(4, variables)
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
    Call { imports, ..Call::default() }.expecting(0, there)
}

/// A guest that asks for its directories, each with a name, and expects this many.
fn looks_for_directories(count: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:filesystem/types@0.2.0" (instance $types (export "descriptor" (type (sub resource)))))
        (alias export $types "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
          (alias outer 1 $descriptor (type $d)) (export "descriptor" (type $named (eq $d)))
          (export "get-directories" (func (result (list (tuple (own $named) string)))))))
        (alias export $preopens "get-directories" (func $called))"#;
    Call { imports, ..Call::default() }.expecting(4, count)
}

/// A guest that writes to a file with this handle, which it made up.
fn writes_with_a_made_up_handle(handle: u32) -> TestGuest {
    let imports = r#"
        (import "wasi:filesystem/types@0.2.0" (instance $types
          (export "descriptor" (type $descriptor (sub resource)))
          (export "[method]descriptor.write"
            (func (param "self" (borrow $descriptor)) (param "buffer" (list u8)) (result u64)))))
        (alias export $types "[method]descriptor.write" (func $write))
        (core module $lent (memory (export "memory") 1))
        (core instance $lent (instantiate $lent))
        (alias core export $lent "memory" (core memory $lent-memory))
        (core func $call (canon lower (func $write) (memory $lent-memory)))"#;
    TestGuest::new("writes")
        .importing(imports, r#"(with "wasi" (instance (export "call" (func $call))))"#)
        .with(r#"(import "wasi" "call" (func $call (param i32 i32 i32) (result i64)))"#)
        .on_boom(&format!("(drop (call $call (i32.const {handle}) (i32.const 0) (i32.const 65536)))"))
}

/// The errors of files, as WASI has them.
const FILE_ERRORS: &str = r#"(enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
    "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
    "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
    "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
    "text-file-busy" "cross-device")"#;

/// A guest that asks whether the error of a stream with this handle, which it made up, is one of files.
fn asks_about_a_made_up_error(handle: u32) -> TestGuest {
    let imports = format!(
        r#"
        (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
        (alias export $errors "error" (type $error))
        (import "wasi:filesystem/types@0.2.0" (instance $types
          (alias outer 1 $error (type $e)) (export "error" (type $named-error (eq $e)))
          (type $codes {FILE_ERRORS})
          (export "error-code" (type $named-code (eq $codes)))
          (export "filesystem-error-code" (func (param "err" (borrow $named-error)) (result (option $named-code))))))
        (alias export $types "filesystem-error-code" (func $called))"#
    );
    let arguments = format!("(i32.const {handle})");
    Call { imports: &imports, parameters: "i32", arguments: &arguments, first: None }.expecting(0, 0)
}

/// A guest that imports this of an interface.
fn imports(interface: &str, items: &str) -> TestGuest {
    TestGuest::new("imports").importing(&format!(r#"(import "{interface}" (instance {items}))"#), "")
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
fn socket_and_name_are_refused_with_an_error() {
    assert_eq!(boom(&creates_a_socket(1)).as_deref(), Ok("calls\n"), "access-denied");
    boom(&creates_a_socket(0)).unwrap_err();
    assert_eq!(boom(&resolves_a_name(20)).as_deref(), Ok("calls\n"), "permanent-resolver-failure");
    boom(&resolves_a_name(1)).unwrap_err();
}

#[test]
fn environment_terminals_and_directories_are_empty() {
    for guest in [reads_the_environment, looks_for_a_terminal, looks_for_directories] {
        assert_eq!(boom(&guest(0)).as_deref(), Ok("calls\n"));
        boom(&guest(1)).unwrap_err();
    }
}

/// Goal: what a guest passes to a method is not copied. Method: the handle is refused before the list behind it is read.
#[test]
fn method_of_what_is_not_granted_is_refused_at_its_handle() {
    for handle in [0, 1, 7] {
        let fault = boom(&writes_with_a_made_up_handle(handle)).unwrap_err();
        assert!(fault.contains("handle"), "{fault}");
    }
}

/// Goal: guests that read errors of streams for those of files load. Method: the handle is refused, so the types were accepted.
#[test]
fn error_of_a_stream_can_be_asked_for_one_of_files() {
    for handle in [0, 1, 7] {
        let fault = boom(&asks_about_a_made_up_error(handle)).unwrap_err();
        assert!(fault.contains("handle"), "{fault}");
    }
}

#[test]
fn guest_with_imports_that_wasi_does_not_have_is_refused() {
    let refused = |guest: &TestGuest| engine().compile(&guest.bytes()).err().map(|error| error.to_string());
    let flags = r#"(type $f (flags "a" "b")) (export "kinds" (type $kinds (eq $f)))
        (export "made-up" (func (param "all" (list $kinds))))"#;
    let network = r#"(export "network" (type $n (sub resource)))
        (export "[method]network.made-up" (func (param "self" (borrow $n)) (param "all" (list string))))"#;
    let gives = r#"(export "descriptor" (type $d (sub resource))) (export "made-up" (func (result (own $d))))"#;
    for (interface, items) in [
        ("wasi:sockets/made-up@0.2.0", flags),
        ("wasi:sockets/network@0.2.0", network),
        ("wasi:filesystem/types@0.2.0", gives),
        ("wasi:cli/environment@0.2.0", r#"(export "get-arguments" (func (param "all" (list string))))"#),
    ] {
        let refusal = refused(&imports(interface, items));
        assert!(refusal.as_ref().is_some_and(|refusal| refusal.contains(interface)), "{interface}: {refusal:?}");
    }
    assert_eq!(refused(&imports("wasi:sockets/network@0.2.0", r#"(export "network" (type (sub resource)))"#)), None);
}

#[test]
fn handles_of_what_is_not_granted_are_few_and_given_back() {
    assert_eq!(boom(&networks(200)).as_deref(), Ok("networks\n"));
    boom(&networks(1000)).unwrap_err();
}
