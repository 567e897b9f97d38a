//! Inspection of a guest from outside: imports, exports, and every reason why this host cannot run it.
//!
//! Owns the stages of loading and the texts of refusals, which say what the author of the guest has to do. It runs no guest
//! code. Bounds: none of its own; the size of a guest is limited where it arrives.

use herd_model::Digest;
use herd_sdk::forms::FIRST_FORM;
use serde::Serialize;
use wasmtime::component::Component;

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

/// Facts about a guest that [`Engine::inspect`](crate::Engine::inspect) finds. Its `Display` is the output of `herd inspect`.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// SHA-256 of the guest, in hex.
    pub digest: String,
    /// Size of the guest, in bytes.
    pub size_bytes: usize,
    /// Imported interfaces, with versions.
    pub imports: Vec<String>,
    /// Exported interfaces, with versions.
    pub exports: Vec<String>,
    /// Form in which it reads and writes records. None if it exports `forms` and the call for its native form failed.
    pub form: Option<u32>,
    /// Memory and time that it states it needs beyond the defaults.
    pub needs: Needs,
    /// Reasons why this host cannot run it. Empty if it can.
    pub problems: Vec<String>,
}

impl std::fmt::Display for Inspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "digest   {}", self.digest)?;
        writeln!(f, "size     {} bytes", self.size_bytes)?;
        for import in &self.imports {
            writeln!(f, "imports  {import}")?;
        }
        for export in &self.exports {
            writeln!(f, "exports  {export}")?;
        }
        if let Some(form) = self.form {
            let others = if self.exports_forms() { "" } else { ", the first; it knows no other" };
            writeln!(f, "form     {form}{others}")?;
        }
        let need = |need: Option<u32>, unit| need.map(|need| format!("{need} {unit}"));
        let needs = [need(self.needs.memory_mib, "MiB"), need(self.needs.deadline_ms, "ms a call")];
        let needs: Vec<String> = needs.into_iter().flatten().collect();
        if !needs.is_empty() {
            writeln!(f, "needs    {}", needs.join(", "))?;
        }
        match &*self.problems {
            [] => write!(f, "verdict  this host can run it"),
            problems => write!(f, "verdict  this host cannot run it: it {}", problems.join("; it ")),
        }
    }
}

/// Checks by its first bytes that a file is a component.
///
/// # Errors
///
/// It is something else, which the reason names.
pub(crate) fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    // Checked before the parser, whose message for any of these is an offset.
    let reason = match bytes {
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "a core module, not a component; build it with `--target wasm32-wasip2`"
        }
        [b'\0', b'a', b's', b'm', ..] => "a component of a version that this host does not know",
        [0x7f, b'E', b'L', b'F', ..] => "native code; a guest is a component, not machine code compiled from one",
        [] => "the file is empty",
        _ => "not WebAssembly; a guest is a component, built with `--target wasm32-wasip2`",
    };
    Err(LoadError { stage: Stage::Parsed, reason: reason.into() })
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
    let (digest, size_bytes) = (digest.to_string(), bytes.len());
    let mut inspection = Inspection { digest, size_bytes, imports, exports, form: None, needs, problems };
    if !inspection.exports_forms() {
        inspection.form = Some(FIRST_FORM);
    }
    (inspection, granted)
}

impl Inspection {
    /// True if the guest converts records of other forms.
    pub(crate) fn exports_forms(&self) -> bool {
        self.exports.contains(&forms_export())
    }
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
        None => format!("does not export {wanted}; a guest written with herd-sdk ends with `herd_sdk::export!`"),
    })
}

/// Refuses another version of `forms`. Without this check such a guest would pass for one that writes the first form, and its
/// records would be kept under the wrong form.
fn forms_problem(exports: &[String]) -> Option<String> {
    let wanted = forms_export();
    let other = exports.iter().find(|name| name.split('@').next() == wanted.split('@').next())?;
    (*other != wanted).then(|| format!("exports {other}, and this host calls {wanted}"))
}

fn forms_export() -> String {
    format!("{PACKAGE}/forms@{VERSION}")
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
