//! Inspection of a guest from outside: imports, exports, and every reason why this host cannot run it.
//!
//! Owns the stages of loading and the texts of refusals, which say what the author of the guest has to do. What was found is an
//! [`Inspection`]. It runs no guest code. Bounds: none of its own; the size of a guest is limited where it arrives.

use herd_model::Digest;
use herd_sdk::forms::FIRST_FORM;
use serde::Serialize;
use wasmtime::component::Component;

use crate::engine::import_advice::advice;
use crate::engine::inspection::{Inspection, forms_export};
use crate::engine::module_limits::module_limits;
use crate::engine::needs::Needs;
use crate::sandbox::bindings::{PACKAGE, VERSION};
use crate::sandbox::limits::Limits;

/// The stages of a swap that can fail before anything changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The bytes are a component.
    Parsed,
    /// The component compiles to machine code.
    Compiled,
    /// Its imports and exports fit the contract, an instance starts, and it accepts its settings.
    Checked,
    /// Its transcripts pass, and it decides the recent calls of this node without a fault.
    Rehearsed,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parsed => "parsed",
            Self::Compiled => "compiled",
            Self::Checked => "checked",
            Self::Rehearsed => "rehearsed",
        })
    }
}

/// A guest was refused. Its author is at fault. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {stage}: {reason}")]
pub struct LoadError {
    /// The stage that it did not reach.
    pub stage: Stage,
    /// The reason, with what to do about it.
    pub reason: String,
}

/// Lists imports, exports and problems of a compiled component, and returns the limits of its instances: the given ones, raised to
/// what it needs.
pub(crate) fn inspect(
    engine: &wasmtime::Engine,
    component: &Component,
    (bytes, digest): (&[u8], Digest),
    limits: Limits,
) -> (Inspection, Limits) {
    let kind = component.component_type();
    let imports: Vec<String> = kind.imports(engine).map(|(name, _)| name.to_string()).collect();
    let exports: Vec<String> = kind.exports(engine).map(|(name, _)| name.to_string()).collect();
    let mut problems: Vec<String> = imports.iter().filter_map(|name| import_problem(name)).collect();
    problems.extend(export_problem(&exports));
    problems.extend(forms_problem(&exports));
    let needs = Needs::of(bytes).and_then(|needs| Ok((needs, limits.grant(needs)?)));
    let (needs, granted) = needs.unwrap_or_else(|problem| {
        problems.push(problem);
        (Needs::default(), limits)
    });
    let (memories, tables) = module_limits(bytes);
    let mut advised = Vec::new();
    for found in imports.iter().filter_map(|import| advice(import, PACKAGE)) {
        if !advised.contains(&found) {
            advised.push(found);
        }
    }
    let inspection = Inspection {
        digest: digest.to_string(),
        size_bytes: bytes.len(),
        contracts: contracts(&exports),
        form: (!exports.contains(&forms_export())).then_some(FIRST_FORM),
        imports,
        exports,
        advised,
        memories,
        tables,
        memory_bytes_granted: granted.memory_bytes_max,
        needs,
        problems,
    };
    (inspection, granted)
}

/// Returns the versions of the contract that a guest exports its logic in.
fn contracts(exports: &[String]) -> Vec<String> {
    let logic = format!("{PACKAGE}/logic@");
    exports.iter().filter_map(|export| Some(format!("{PACKAGE}@{}", export.strip_prefix(&logic)?))).collect()
}

fn import_problem(name: &str) -> Option<String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let (package, item) = interface.split_once('/')?;
    // The linker would refuse most of these too, but not in terms of the contract, and not all of them at once.
    match package {
        PACKAGE if !INTERFACES.contains(&item) => {
            Some(format!("imports {name}, and {PACKAGE}@{VERSION} of this host has no `{item}`; {REBUILD}"))
        }
        PACKAGE if version != VERSION => {
            Some(format!("imports {name}, and this host offers {interface}@{VERSION}; {REBUILD}"))
        }
        PACKAGE => None,
        "wasi:io" | "wasi:cli" | "wasi:clocks" | "wasi:random" | "wasi:filesystem" | "wasi:sockets" => {
            let right = version.starts_with("0.2.");
            (!right).then(|| format!("imports {name}, and this host offers {interface}@0.2; {WASI}"))
        }
        _ => Some(format!("imports {name}, which this host does not offer to guests; {NOT_OFFERED}")),
    }
}

fn export_problem(exports: &[String]) -> Option<String> {
    let wanted = format!("{PACKAGE}/logic@{VERSION}");
    if exports.contains(&wanted) {
        return None;
    }
    let other = exports.iter().find(|name| name.split('@').next() == Some("herd:logic/logic"));
    Some(match other {
        Some(other) => format!("exports {other}, and this host calls {wanted}; {REBUILD}"),
        None => {
            let begins = |package: &str| exports.iter().any(|export| export.starts_with(package));
            let world = match () {
                () if begins("wasi:cli/run@") => " (it is a program, of the world wasi:cli/command)",
                () if begins("wasi:http/incoming-handler@") => " (it serves HTTP, of the world wasi:http/proxy)",
                () if exports.is_empty() => " (it exports nothing)",
                () => "",
            };
            format!("does not export {wanted}{world}; a guest written with herd-sdk ends with `herd_sdk::export!`")
        }
    })
}

/// Refuses another version of `forms`. Without this check such a guest would pass for one that writes the first form, and its
/// records would be kept under the wrong form.
fn forms_problem(exports: &[String]) -> Option<String> {
    let wanted = forms_export();
    let other = exports.iter().find(|name| name.split('@').next() == wanted.split('@').next())?;
    (*other != wanted).then(|| format!("exports {other}, and this host calls {wanted}"))
}

/// Advice for a guest built against another version of the contract.
const REBUILD: &str = "build it with the herd-sdk of this host";
/// Advice for a guest built against another version of WASI.
const WASI: &str = "build it with `--target wasm32-wasip2`";
/// Advice for an import that is neither of the contract nor of WASI.
const NOT_OFFERED: &str =
    "take out what uses it, which may be a dependency; what a node does for a guest is an effect of herd-sdk";
/// Interfaces of the contract that a guest may import.
const INTERFACES: [&str; 3] = ["records", "types", "effects"];
