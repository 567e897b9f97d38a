//! What is known of a guest without running it, as `herd inspect` shows it.
//!
//! Owns the output. Bounds: those of what it holds.

use std::fmt;

use serde::Serialize;

use crate::engine::import_advice::ImportAdvice;
use crate::engine::module_limits::{MemoryLimits, TableLimits};
use crate::engine::needs::Needs;
use crate::sandbox::bindings::{PACKAGE, VERSION};

/// Facts about a guest that [`Engine::inspect`](crate::Engine::inspect) finds. Its `Display` is the output of `herd inspect`.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// SHA-256 of the guest, in hex.
    pub digest: String,
    /// Size of the guest, in bytes.
    pub size_bytes: usize,
    /// Versions of the contract that it speaks, such as `herd:logic@0.1.0`. Empty for a component of another world.
    pub contracts: Vec<String>,
    /// Imported interfaces, with versions.
    pub imports: Vec<String>,
    /// Exported interfaces, with versions.
    pub exports: Vec<String>,
    /// Imports that the contract does not have: what brings them in, and what to do.
    pub advised: Vec<ImportAdvice>,
    /// Form in which it reads and writes records. None if it exports `forms` and the call for its native form failed.
    pub form: Option<u32>,
    /// Memories of its modules.
    pub memories: Vec<MemoryLimits>,
    /// Tables of its modules.
    pub tables: Vec<TableLimits>,
    /// Memory that this host grants to an instance of it, in bytes.
    pub memory_bytes_granted: usize,
    /// Memory and time that it states it needs beyond the defaults.
    pub needs: Needs,
    /// Reasons why this host cannot run it. Empty if it can.
    pub problems: Vec<String>,
}

/// Guest that another one would replace, as far as it matters what it can rescue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestBefore {
    /// Name for people, such as `the built-in guest`.
    pub name: String,
    /// Form in which it reads and writes records.
    pub form: u32,
}

/// What the generation before could not rescue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rescue {
    /// Guest that it was compared with.
    pub before: String,
    /// Form of that guest.
    pub form_before: u32,
    /// True if that guest reads every record that this one writes.
    pub reads_all: bool,
    /// The same for people.
    pub verdict: String,
}

impl Inspection {
    /// True if the guest converts records of other forms.
    pub(crate) fn exports_forms(&self) -> bool {
        self.exports.contains(&forms_export())
    }

    /// Returns what would be lost to the guest before: on the inputs that this one faults on, and after a rollback. None if its form is not
    /// known.
    ///
    /// Runs nothing, so it says what has to be there, not that it works. A swap asks both guests.
    #[must_use]
    pub fn rescue_by(&self, before: &GuestBefore) -> Option<Rescue> {
        let (form, GuestBefore { name, form: form_before }) = (self.form?, before);
        let verdict = if form == *form_before {
            format!("{name} decides what this one faults on, and reads all that it writes: both have form {form}")
        } else if self.exports_forms() {
            format!(
                "{name} has form {form_before}, and this one writes form {form}: what it wrote can be rescued as far as its forms.downgrade makes \
                 form {form_before} of it; herd swap --reversible refuses it otherwise"
            )
        } else {
            format!(
                "{name} has form {form_before}, and this one writes form {form} and exports no forms: what it wrote is lost to {name}, unless that \
                 upgrades form {form} itself; herd swap --reversible refuses it otherwise"
            )
        };
        Some(Rescue { before: name.clone(), form_before: *form_before, reads_all: form == *form_before, verdict })
    }

    /// Returns the facts for people, a line each, without the verdict.
    pub fn facts(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.write_facts(f))
    }

    /// Returns whether this host can run it, as a line without its end.
    #[must_use]
    pub fn verdict(&self) -> String {
        match &*self.problems {
            [] => "verdict  this host can run it".into(),
            problems => format!("verdict  this host cannot run it: it {}", problems.join("; it ")),
        }
    }

    fn write_facts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digest   {}", self.digest)?;
        writeln!(f, "size     {} bytes", self.size_bytes)?;
        match &*self.contracts {
            [] => writeln!(f, "speaks   no version of the contract")?,
            contracts => writeln!(f, "speaks   {}", contracts.join(", "))?,
        }
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
        for MemoryLimits { initial_bytes, maximum_bytes } in &self.memories {
            let maximum =
                maximum_bytes.map_or("no maximum of its own".into(), |bytes| format!("at most {}", size(bytes)));
            let granted = size(self.memory_bytes_granted as u64);
            writeln!(f, "memory   {} at the start, {maximum}; granted {granted}", size(*initial_bytes))?;
        }
        for TableLimits { initial, maximum } in &self.tables {
            let maximum = maximum.map_or("no maximum".into(), |maximum| format!("at most {maximum}"));
            writeln!(f, "table    {initial} elements, {maximum}")?;
        }
        let need = |need: Option<u32>, unit| need.map(|need| format!("{need} {unit}"));
        let needs = [need(self.needs.memory_mib, "MiB"), need(self.needs.deadline_ms, "ms a call")];
        let needs: Vec<String> = needs.into_iter().flatten().collect();
        if !needs.is_empty() {
            writeln!(f, "needs    {}", needs.join(", "))?;
        }
        for ImportAdvice { package, links, instead, causes } in &self.advised {
            let linked = if *links { "links, with nothing granted" } else { "does not link" };
            writeln!(f, "beyond   {package} {linked}: {instead}")?;
            for cause in causes {
                writeln!(f, "         {}: {}", cause.language, cause.cause)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.facts(), self.verdict())
    }
}

/// Name under which a guest exports conversions of this host's version of the contract.
pub(crate) fn forms_export() -> String {
    format!("{PACKAGE}/forms@{VERSION}")
}

/// Formats a number of bytes in the largest unit of which it is a multiple.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}
