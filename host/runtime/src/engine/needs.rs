//! Needs of a guest: more memory or time than the defaults, which it states in a custom section that its build writes.
//!
//! Owns the text of the section. It must not know what a host grants; `Limits` does. Bounds: [`SECTION_BYTES_MAX`].

use serde::Serialize;

use crate::engine::sections::last_section;

/// Memory and time that a guest states it needs. None where it states nothing and runs within the defaults of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Linear memory per instance, in MiB.
    pub memory_mib: Option<u32>,
    /// Processor time per call, in milliseconds.
    pub deadline_ms: Option<u32>,
}

impl Needs {
    /// Reads the needs of a component.
    ///
    /// # Errors
    ///
    /// The section is malformed. The text completes a sentence that begins with "the guest".
    pub(crate) fn of(component: &[u8]) -> Result<Self, String> {
        match last_section(component, SECTION) {
            Some(section) => Self::parse(section),
            None => Ok(Self::default()),
        }
    }

    fn parse(section: &[u8]) -> Result<Self, String> {
        let malformed =
            |line: &str| format!("states needs that this host cannot read, `{}`; {WRITE}", line.escape_debug());
        let text = std::str::from_utf8(section).ok().filter(|text| text.len() <= SECTION_BYTES_MAX);
        let text = text.ok_or_else(|| malformed("not a short text"))?;
        let mut needs = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(|| malformed(line))?;
            let need = match name.trim() {
                "memory_mib" => &mut needs.memory_mib,
                "deadline_ms" => &mut needs.deadline_ms,
                // A need that this host does not know is one that it would not grant.
                _ => return Err(malformed(line)),
            };
            let value: u32 = value.trim().parse().map_err(|_| malformed(line))?;
            if value == 0 || need.replace(value).is_some() {
                return Err(malformed(line));
            }
        }
        Ok(needs)
    }
}

/// Name of the section.
const SECTION: &str = "herd:needs";
/// Bytes of the section: several times those of two lines.
const SECTION_BYTES_MAX: usize = 256;
/// Advice for the author of a malformed section.
const WRITE: &str = "its section `herd:needs` is two lines at most, such as `memory_mib = 64` and `deadline_ms = 50`, each once and at least 1";

#[cfg(test)]
pub(crate) mod tests {
    use wasm_encoder::{CustomSection, Section};

    use super::*;

    /// Adds the section to a component.
    pub(crate) fn with_needs(mut component: Vec<u8>, needs: &str) -> Vec<u8> {
        CustomSection { name: SECTION.into(), data: needs.as_bytes().into() }.append_to(&mut component);
        component
    }

    fn of(text: &str) -> Result<Needs, String> {
        Needs::of(&with_needs(b"\0asm\x0d\0\x01\0".to_vec(), text))
    }

    #[test]
    fn needs_are_read_from_their_section() {
        assert_eq!(Needs::of(b"\0asm\x0d\0\x01\0"), Ok(Needs::default()), "no section");
        assert_eq!(of(""), Ok(Needs::default()));
        let both = Needs { memory_mib: Some(64), deadline_ms: Some(50) };
        assert_eq!(of("memory_mib = 64\ndeadline_ms = 50\n"), Ok(both));
        assert_eq!(of("deadline_ms=50\r\n\n memory_mib=64"), Ok(both));
        assert_eq!(of("deadline_ms = 50"), Ok(Needs { memory_mib: None, ..both }));
    }

    #[test]
    fn needs_that_are_malformed_are_refused_with_the_line() {
        for line in ["memory", "memory_mib = 64 MiB", "memory_mib = -1", "memory_mib = 0", "disk_mib = 1"] {
            let refusal = of(&format!("deadline_ms = 50\n{line}\n")).unwrap_err();
            assert!(refusal.contains(&format!("`{line}`")) && refusal.ends_with("at least 1"), "{refusal}");
        }
        assert!(of("memory_mib = 1\nmemory_mib = 2").is_err(), "twice");
        assert!(of(&"\n".repeat(257)).is_err(), "too long");
        let mut binary = b"\0asm\x0d\0\x01\0".to_vec();
        CustomSection { name: SECTION.into(), data: (&[0xff][..]).into() }.append_to(&mut binary);
        assert!(Needs::of(&binary).is_err());
    }
}
