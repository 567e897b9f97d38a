//! Guests for the tests of this crate, written as WebAssembly text: a test states the few instructions that matter to it.
//!
//! Each answers every input with its name and consumes all of it. An input that begins with `B` first runs the instructions of
//! the test. Guests in Rust are in `tests/guests`; those need a build of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use herd_model::{CountedRecords, DecidedInputs};
use herd_sdk::{Found, Input, InputBatch, Mark, Moment, Records, Settings};

use crate::engine::engine::Engine;
use crate::engine::needs::tests::with_needs;
use crate::sandbox::fault::Fault;
use crate::sandbox::limits::Limits;
use crate::serving::probation::SwapLimits;
use crate::serving::registry::GenerationRegistry;

/// A guest to assemble.
pub(crate) struct TestGuest {
    name: &'static str,
    /// Imports of the component, and how the core module gets them.
    imports: String,
    /// Arguments of the instantiation of the core module.
    with: String,
    /// Items of the core module.
    items: String,
    boom: String,
    configure: String,
    answer: String,
    upgrade: Option<String>,
    needs: Option<String>,
}

impl TestGuest {
    pub(crate) fn new(name: &'static str) -> Self {
        let (imports, with, items) = (String::new(), String::new(), String::new());
        let [boom, configure, answer] = [(); 3].map(|()| String::new());
        Self { name, imports, with, items, boom, configure, answer, upgrade: None, needs: None }
    }

    /// Adds imports of the component, and the argument with which the core module gets them.
    pub(crate) fn importing(self, imports: &str, with: &str) -> Self {
        Self { imports: imports.into(), with: with.into(), ..self }
    }

    /// Adds items to the core module.
    pub(crate) fn with(self, items: &str) -> Self {
        Self { items: items.into(), ..self }
    }

    /// Sets the instructions that run on an input which begins with `B`.
    pub(crate) fn on_boom(self, instructions: &str) -> Self {
        Self { boom: instructions.into(), ..self }
    }

    /// Sets the instructions that run when it is configured. The local 3 is the number of settings.
    pub(crate) fn on_configure(self, instructions: &str) -> Self {
        Self { configure: instructions.into(), ..self }
    }

    /// Sets the instructions that run on the answer to a fetch. The local `$failed` is 1 for a failure, and 0 for a response.
    pub(crate) fn on_answer(self, instructions: &str) -> Self {
        Self { answer: instructions.into(), ..self }
    }

    /// Makes the guest export `forms`: it writes form 2, and converts every record of another form to itself after these
    /// instructions.
    pub(crate) fn on_upgrade(self, instructions: &str) -> Self {
        Self { upgrade: Some(instructions.into()), ..self }
    }

    /// Makes the guest state its needs.
    pub(crate) fn needing(self, needs: &str) -> Self {
        Self { needs: Some(needs.into()), ..self }
    }

    /// Assembles the component.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { name, imports, with, items, boom, configure, answer, upgrade, needs } = self;
        let forms = if upgrade.is_some() { FORMS } else { "" };
        let upgrade = upgrade.as_deref().unwrap_or_default();
        let text = format!(
            r#"(component
  {imports}
  (core module $main
    {items}
    (memory (export "memory") 4)
    (global $heap (mut i32) (i32.const 4096))
    (data (i32.const 0) "{name}\n")
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
      (global.set $heap (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "post") (param i32) (global.set $heap (i32.const 4096)))
    (func (export "describe") (result i32)
      (i32.store offset=1024 (i32.const 0) (i32.const 0))
      (i32.store offset=1028 (i32.const 0) (i32.const {length}))
      (i32.store offset=1032 (i32.const 0) (i32.const 0))
      (i32.store offset=1036 (i32.const 0) (i32.const 0))
      (i32.store offset=1040 (i32.const 0) (i32.const 0))
      (i32.store offset=1044 (i32.const 0) (i32.const 0))
      (i32.const 1024))
    (func (export "configure") (param i32 i32 i32 i32) (result i32)
      {configure}
      (i32.store offset=1024 (i32.const 0) (i32.const 0))
      (i32.const 1024))
    (func $boom (param $bytes i32) (param $length i32) {boom})
    (func $decision (param $words i32) (param $count i32) (result i32)
      (i32.store offset=1024 (i32.const 0) (i32.const 0))
      (i32.store offset=1028 (i32.const 0) (i32.const {line}))
      (i32.store offset=1032 (i32.const 0) (local.get $words))
      (i32.store offset=1036 (i32.const 0) (local.get $count))
      (i32.const 1024))
    (func (export "inputs") (param i64 i64 i64) (param $bytes i32) (param $length i32) (param $inputs i32) (param $count i32)
      (result i32)
      (local $out i32) (local $number i32)
      (if (i32.eq (i32.load8_u (local.get $bytes)) (i32.const 66)) (then
        (call $boom (local.get $bytes) (local.get $length))))
      (local.set $count (i32.div_u (local.get $count) (i32.const 2)))
      (local.set $out (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $count) (i32.const 28))))
      (block $end (loop $next
        (br_if $end (i32.ge_u (local.get $number) (local.get $count)))
        (call $input
          (i32.add (local.get $out) (i32.mul (local.get $number) (i32.const 28)))
          (i32.load (i32.add (local.get $inputs) (i32.mul (local.get $number) (i32.const 8)))))
        (local.set $number (i32.add (local.get $number) (i32.const 1)))
        (br $next)))
      (call $decision (local.get $out) (i32.mul (local.get $count) (i32.const 7))))
    (func $input (param $out i32) (param $length i32)
      (i32.store (local.get $out) (i32.const 1))
      (i32.store offset=4 (local.get $out) (i32.const 0))
      (i32.store offset=8 (local.get $out) (i32.const {line}))
      (i32.store offset=12 (local.get $out) (i32.const 12))
      (i32.store offset=16 (local.get $out) (local.get $length))
      (i32.store offset=20 (local.get $out) (i32.const 0))
      (i32.store offset=24 (local.get $out) (i32.const 10)))
    (func (export "reports") (param i64 i64 i64 i32 i32 i32 i32) (result i32)
      (call $decision (i32.const 0) (i32.const 0)))
    (func (export "answer") (param i64 i64 i64 i32 i32 i32 i32) (param $failed i32) (param i32 i32 i32) (result i32)
      {answer}
      (i32.store offset=1100 (i32.const 0) (i32.const 1))
      (i32.store offset=1104 (i32.const 0) (i32.const 0))
      (i32.store offset=1108 (i32.const 0) (i32.const {line}))
      (call $decision (i32.const 1100) (i32.const 3)))
    (func (export "native") (result i32) (i32.const 2))
    (func (export "convert") (param $form i32) (param $bytes i32) (param $length i32) (result i32)
      {upgrade}
      (i32.store8 offset=1024 (i32.const 0) (i32.const 0))
      (i32.store offset=1028 (i32.const 0) (local.get $bytes))
      (i32.store offset=1032 (i32.const 0) (local.get $length))
      (i32.const 1024))
  )
  (core instance $main (instantiate $main {with}))
  (alias core export $main "memory" (core memory $memory))
  (alias core export $main "realloc" (core func $realloc))
  (alias core export $main "post" (core func $post))
  {EXPORTS}
  {forms}
)"#,
            length = name.len(),
            line = name.len() + 1,
        );
        let component = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        match needs {
            Some(needs) => with_needs(component, needs),
            None => component,
        }
    }
}

/// Generations of one node: a guest that serves, and the one before it.
pub(crate) fn generations(active: &TestGuest, previous: Option<&TestGuest>, limits: SwapLimits) -> GenerationRegistry {
    generations_on(&engine(), active, previous, limits)
}

/// As [`generations`], on an engine of the test's own.
pub(crate) fn generations_on(
    engine: &Arc<Engine>,
    active: &TestGuest,
    previous: Option<&TestGuest>,
    limits: SwapLimits,
) -> GenerationRegistry {
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let (previous, records) = (previous.map(TestGuest::bytes), Arc::new(NoRecords));
    GenerationRegistry::new(engine, &active.bytes(), previous.as_deref(), settings, limits, records).unwrap()
}

/// A record table that stays empty.
struct NoRecords;

impl Records for NoRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        vec![None; keys.len()]
    }
}

impl CountedRecords for NoRecords {
    fn form_counts(&self) -> BTreeMap<u32, usize> {
        BTreeMap::new()
    }
}

/// The engine of all tests: each engine reserves address space.
pub(crate) fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    // A deadline that a busy machine does not miss: only tests of the deadline reach it.
    let limits = Limits { deadline: Duration::from_millis(50), ..Limits::default() };
    Arc::clone(ENGINE.get_or_init(|| Engine::new(limits).unwrap()))
}

/// One call with a line of each session.
pub(crate) fn lines(lines: &[&str]) -> InputBatch {
    lines.iter().map(|line| Input { bytes: line.as_bytes(), mark: Mark::More }).collect()
}

/// The time of every test.
pub(crate) const NOW: Moment = Moment { now_ns: 1_795_504_736_000_000_000, random: (1, 2) };

/// The output of a decision, or the message of the fault.
pub(crate) fn output(decided: Result<DecidedInputs, Fault>) -> Result<String, String> {
    let decided = decided.map_err(|fault| fault.to_string())?;
    Ok(String::from_utf8(decided.decision.output).unwrap())
}

/// The export `logic` of the contract, from the exports of `$main`.
const EXPORTS: &str = r#"
  (type $bad (record (field "name" string) (field "problem" string)))
  (type $setting (record (field "name" string) (field "value" string)))
  (type $response (record (field "status" u16) (field "body" (list u8))))
  (type $failure (enum "unknown" "unreachable" "timeout" "too-large" "incomplete" "busy"))
  (type $description (record (field "name" string) (field "version" string) (field "commands" (list string))))
  (type $moment (record (field "now" u64) (field "random" (tuple u64 u64))))
  (type $settings (record (field "node" string) (field "table" (list $setting))))
  (type $decision (record (field "output" (list u8)) (field "effects" (list u32))))
  (type $outcome (variant (case "answered" $response) (case "failed" $failure)))
  (func $describe (result $description)
    (canon lift (core func $main "describe") (memory $memory)))
  (func $configure (param "settings" $settings) (result (result (error $bad)))
    (canon lift (core func $main "configure") (memory $memory) (realloc $realloc) (post-return $post)))
  (func $inputs (param "at" $moment) (param "bytes" (list u8)) (param "inputs" (list u32)) (result $decision)
    (canon lift (core func $main "inputs") (memory $memory) (realloc $realloc) (post-return $post)))
  (func $reports (param "at" $moment) (param "bytes" (list u8)) (param "reports" (list u32)) (result $decision)
    (canon lift (core func $main "reports") (memory $memory) (realloc $realloc) (post-return $post)))
  (func $answer (param "at" $moment) (param "token" (list u8)) (param "otherwise" (list u8)) (param "outcome" $outcome)
    (result $decision)
    (canon lift (core func $main "answer") (memory $memory) (realloc $realloc) (post-return $post)))
  (component $named
    (type $bad' (record (field "name" string) (field "problem" string)))
    (import "bad-setting" (type $bad (eq $bad')))
    (type $setting' (record (field "name" string) (field "value" string)))
    (import "setting" (type $setting (eq $setting')))
    (type $response' (record (field "status" u16) (field "body" (list u8))))
    (import "response" (type $response (eq $response')))
    (type $failure' (enum "unknown" "unreachable" "timeout" "too-large" "incomplete" "busy"))
    (import "failure" (type $failure (eq $failure')))
    (type $description' (record (field "name" string) (field "version" string) (field "commands" (list string))))
    (import "description" (type $description (eq $description')))
    (type $moment' (record (field "now" u64) (field "random" (tuple u64 u64))))
    (import "moment" (type $moment (eq $moment')))
    (type $settings' (record (field "node" string) (field "table" (list $setting))))
    (import "settings" (type $settings (eq $settings')))
    (type $decision' (record (field "output" (list u8)) (field "effects" (list u32))))
    (import "decision" (type $decision (eq $decision')))
    (type $outcome' (variant (case "answered" $response) (case "failed" $failure)))
    (import "outcome" (type $outcome (eq $outcome')))
    (import "describe-func" (func $describe (result $description)))
    (import "configure-func" (func $configure (param "settings" $settings) (result (result (error $bad)))))
    (import "inputs-func" (func $inputs (param "at" $moment) (param "bytes" (list u8)) (param "inputs" (list u32))
      (result $decision)))
    (import "reports-func" (func $reports (param "at" $moment) (param "bytes" (list u8)) (param "reports" (list u32))
      (result $decision)))
    (import "answer-func" (func $answer (param "at" $moment) (param "token" (list u8)) (param "otherwise" (list u8))
      (param "outcome" $outcome) (result $decision)))
    (export $bad-e "bad-setting" (type $bad'))
    (export $setting-e "setting" (type $setting'))
    (export $response-e "response" (type $response'))
    (export $failure-e "failure" (type $failure'))
    (export $description-e "description" (type $description'))
    (export $moment-e "moment" (type $moment'))
    (type $settings'' (record (field "node" string) (field "table" (list $setting-e))))
    (export $settings-e "settings" (type $settings''))
    (export $decision-e "decision" (type $decision'))
    (type $outcome'' (variant (case "answered" $response-e) (case "failed" $failure-e)))
    (export $outcome-e "outcome" (type $outcome''))
    (export "describe" (func $describe) (func (result $description-e)))
    (export "configure" (func $configure) (func (param "settings" $settings-e) (result (result (error $bad-e)))))
    (export "inputs" (func $inputs) (func (param "at" $moment-e) (param "bytes" (list u8)) (param "inputs" (list u32))
      (result $decision-e)))
    (export "reports" (func $reports) (func (param "at" $moment-e) (param "bytes" (list u8)) (param "reports" (list u32))
      (result $decision-e)))
    (export "answer" (func $answer) (func (param "at" $moment-e) (param "token" (list u8)) (param "otherwise" (list u8))
      (param "outcome" $outcome-e) (result $decision-e)))
  )
  (instance $logic (instantiate $named
    (with "bad-setting" (type $bad)) (with "setting" (type $setting)) (with "response" (type $response))
    (with "failure" (type $failure)) (with "description" (type $description)) (with "moment" (type $moment))
    (with "settings" (type $settings)) (with "decision" (type $decision)) (with "outcome" (type $outcome))
    (with "describe-func" (func $describe)) (with "configure-func" (func $configure)) (with "inputs-func" (func $inputs))
    (with "reports-func" (func $reports)) (with "answer-func" (func $answer))))
  (export "herd:logic/logic@0.1.0" (instance $logic))
"#;

/// The export `forms` of the contract, from the exports of `$main`.
const FORMS: &str = r#"
  (type $unconvertible (enum "unknown-form" "malformed"))
  (func $native (result u32) (canon lift (core func $main "native")))
  (func $upgrade (param "from" u32) (param "bytes" (list u8)) (result (result (list u8) (error $unconvertible)))
    (canon lift (core func $main "convert") (memory $memory) (realloc $realloc) (post-return $post)))
  (func $downgrade (param "to" u32) (param "bytes" (list u8)) (result (result (list u8) (error $unconvertible)))
    (canon lift (core func $main "convert") (memory $memory) (realloc $realloc) (post-return $post)))
  (component $named-forms
    (type $unconvertible' (enum "unknown-form" "malformed"))
    (import "unconvertible" (type $unconvertible (eq $unconvertible')))
    (import "native-func" (func $native (result u32)))
    (import "upgrade-func" (func $upgrade (param "from" u32) (param "bytes" (list u8))
      (result (result (list u8) (error $unconvertible)))))
    (import "downgrade-func" (func $downgrade (param "to" u32) (param "bytes" (list u8))
      (result (result (list u8) (error $unconvertible)))))
    (export $unconvertible-e "unconvertible" (type $unconvertible'))
    (export "native" (func $native))
    (export "upgrade" (func $upgrade) (func (param "from" u32) (param "bytes" (list u8))
      (result (result (list u8) (error $unconvertible-e)))))
    (export "downgrade" (func $downgrade) (func (param "to" u32) (param "bytes" (list u8))
      (result (result (list u8) (error $unconvertible-e)))))
  )
  (instance $forms (instantiate $named-forms
    (with "unconvertible" (type $unconvertible)) (with "native-func" (func $native))
    (with "upgrade-func" (func $upgrade)) (with "downgrade-func" (func $downgrade))))
  (export "herd:logic/forms@0.1.0" (instance $forms))
"#;
