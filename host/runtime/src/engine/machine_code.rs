//! Files of machine code: code compiled ahead from one component, for one target and one version of the engine.
//!
//! Owns their format: lines of text that say what the code is for, a checksum, and what wasmtime made. A file of another guest, version or
//! target is refused by these lines, in words, before wasmtime reads any of it. The checksum detects damage. Neither is a proof of origin:
//! machine code cannot be verified, so whoever loads it answers for where it came from.
//!
//! Bounds: [`HEADER_BYTES_MAX`] for the lines.

use herd_model::Digest;
use twox_hash::XxHash3_64;

use crate::engine::code_target::CodeTarget;
use crate::sandbox::limits::Limits;

/// A file of machine code, taken apart.
pub(crate) struct MachineCode<'a> {
    /// Digest of the component that it was compiled from.
    component: Digest,
    target: CodeTarget,
    /// Version and settings of the engine.
    engine: String,
    code: &'a [u8],
}

/// Machine code cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCode {
    /// Another file, one of a later format, or one that is damaged.
    #[error("it is no intact file of machine code")]
    Damaged,
    /// The code of another component.
    #[error("it was compiled from the guest {}, and this one is {}", .code.short(), .guest.short())]
    OtherGuest { code: Digest, guest: Digest },
    /// Another version of the engine, or other settings.
    #[error("it was compiled for {code}, and this node has {own}")]
    OtherEngine { code: String, own: String },
    /// It needs what this machine has not.
    #[error("{0}")]
    Target(String),
}

impl<'a> MachineCode<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    ///
    /// It is damaged, or for a target that this version does not know.
    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, BadCode> {
        let head = &file[..file.len().min(HEADER_BYTES_MAX)];
        let end = memchr::memmem::find(head, b"\n\n").ok_or(BadCode::Damaged)?;
        let lines = str::from_utf8(&head[..end]).map_err(|_| BadCode::Damaged)?;
        let (stored, code) = file[end + 2..].split_first_chunk().ok_or(BadCode::Damaged)?;
        let mut lines = lines.lines();
        if lines.next() != Some(FORMAT) || *stored != checksum(code) {
            return Err(BadCode::Damaged);
        }
        let mut value = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(' ')).ok_or(BadCode::Damaged)
        };
        let component = value("component")?.parse().map_err(|_| BadCode::Damaged)?;
        let engine = value("engine")?.to_string();
        let target = value("target")?;
        let target = target.parse().map_err(|why| BadCode::Target(format!("it is for {target}: {why}")))?;
        Ok(Self { component, target, engine, code })
    }

    /// Checks that it is the code of a guest, for an engine with these limits on this machine, and returns what wasmtime made.
    ///
    /// # Errors
    ///
    /// It is not.
    pub(crate) fn of(self, guest: Digest, own: &CodeTarget, limits: Limits) -> Result<&'a [u8], BadCode> {
        let engine = engine_line(limits);
        if self.component != guest {
            return Err(BadCode::OtherGuest { code: self.component, guest });
        }
        if self.engine != engine {
            return Err(BadCode::OtherEngine { code: self.engine, own: engine });
        }
        own.check_runs(&self.target).map_err(|why| BadCode::Target(why.to_string()))?;
        Ok(self.code)
    }
}

/// Puts a file of machine code together.
#[cfg_attr(not(any(test, feature = "compiler")), expect(dead_code, reason = "written by what compiles"))]
pub(crate) fn file(component: Digest, target: &CodeTarget, limits: Limits, code: &[u8]) -> Vec<u8> {
    let mut file =
        format!("{FORMAT}\ncomponent {component}\nengine {}\ntarget {target}\n\n", engine_line(limits)).into_bytes();
    file.extend(checksum(code));
    file.extend(code);
    file
}

/// Returns version and settings of an engine with these limits, as files carry them.
#[must_use]
pub fn engine_line(limits: Limits) -> String {
    let bound = if limits.fuel_max.is_some() { "fuel" } else { "time" };
    format!("wasmtime {}, settings {SETTINGS}, calls bounded by {bound}", wasmtime_environ::VERSION)
}

fn checksum(code: &[u8]) -> [u8; 8] {
    XxHash3_64::oneshot(code).to_le_bytes()
}

const FORMAT: &str = "herd-code 1";
/// Number of the settings that `engine::config` compiles with. Raise it with every change there that wasmtime does not compare by itself:
/// that of NaNs is one.
const SETTINGS: u32 = 1;
/// The lines have some 250 bytes.
const HEADER_BYTES_MAX: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(word: &str) -> CodeTarget {
        word.parse().unwrap()
    }

    fn refusal(file: &[u8], guest: &[u8], own: &str, limits: Limits) -> String {
        let code = MachineCode::parse(file).and_then(|code| code.of(Digest::of(guest), &target(own), limits));
        code.unwrap_err().to_string()
    }

    #[test]
    fn machine_code_reads_back_and_is_refused_for_anything_else() {
        let (limits, own) = (Limits::default(), "x86_64-linux+v3");
        let written = file(Digest::of(b"guest"), &target("x86_64-linux+v2"), limits, b"code");
        let read = MachineCode::parse(&written).unwrap();
        assert_eq!(read.of(Digest::of(b"guest"), &target(own), limits), Ok(&b"code"[..]));

        assert_eq!(
            refusal(&written, b"other", own, limits),
            "it was compiled from the guest 84983c60, and this one is d9298a10"
        );
        let fuel = Limits { fuel_max: Some(1), ..limits };
        assert!(refusal(&written, b"guest", own, fuel).ends_with("calls bounded by fuel"));
        assert!(refusal(&written, b"guest", "aarch64-linux", limits).contains("compiled for x86_64-linux, and"));
        assert!(refusal(&written, b"guest", "x86_64-linux", limits).contains("which this processor has not"));
    }

    #[test]
    fn machine_code_that_is_damaged_is_refused_at_every_byte() {
        let written = file(Digest::of(b"guest"), &target("x86_64-linux"), Limits::default(), b"code");
        let read = |file: &[u8]| {
            MachineCode::parse(file)?.of(Digest::of(b"guest"), &target("x86_64-linux"), Limits::default()).map(drop)
        };
        assert_eq!(read(&written), Ok(()));
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err(), "byte {at}");
            assert!(read(&written[..at]).is_err(), "cut off at {at}");
        }
    }

    #[test]
    fn machine_code_of_a_later_version_is_refused_by_its_words() {
        let written = file(Digest::of(b"guest"), &target("x86_64-linux"), Limits::default(), b"code");
        let end = memchr::memmem::find(&written, b"\n\n").unwrap();
        let later = [&written[..end], b"+amx", &written[end..]].concat();
        let refusal = refusal(&later, b"guest", "x86_64-linux", Limits::default());
        assert!(refusal.starts_with("it is for x86_64-linux+amx: x86_64-linux has no feature `amx`"), "{refusal}");
    }
}
