//! Custom sections of a component: data for its host that a reader without interest in them skips.
//!
//! Owns finding them. It must not know what they mean. Bounds: the size of the component, of which only headers are read.

use wasmparser::{Chunk, Parser, Payload};

/// Returns the data of the last custom section of this name; none without one. Stops at the first bytes that are no section.
///
/// Of several the last one counts, as in tools that append one.
pub(crate) fn last_section<'a>(component: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (mut parser, mut at, mut found) = (Parser::new(0), 0, None);
    while let Some(rest) = component.get(at..)
        && let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true)
    {
        at += consumed;
        match payload {
            Payload::CustomSection(section) if section.name() == name => found = Some(section.data()),
            // Sections of inner modules and components are not those of the guest.
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                at = unchecked_range.end;
            }
            Payload::End(_) => break,
            _ => {}
        }
    }
    found
}
