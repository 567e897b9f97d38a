//! Memories and tables of the modules inside a component, as they are declared.
//!
//! Static: nothing runs. Bounds: [`SHOWN_MAX`] of each; the size of the component, whose headers are read once.

use serde::Serialize;
use wasmparser::{Parser, Payload};

/// Memory that a module of a guest declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryLimits {
    /// Bytes at the start.
    pub initial_bytes: u64,
    /// Bytes beyond which it does not grow. None: only the limit of the host holds.
    pub maximum_bytes: Option<u64>,
}

/// Table that a module of a guest declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TableLimits {
    /// Elements at the start.
    pub initial: u64,
    /// Elements beyond which it does not grow.
    pub maximum: Option<u64>,
}

/// Reads the memories and tables of a component. Stops at the first bytes that are no section.
pub(crate) fn module_limits(component: &[u8]) -> (Vec<MemoryLimits>, Vec<TableLimits>) {
    let (mut memories, mut tables) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::MemorySection(section)) => {
                for memory in section.into_iter().flatten() {
                    let page = 1_u64 << memory.page_size_log2.unwrap_or(PAGE_LOG2).min(PAGE_LOG2);
                    let bytes = |pages: u64| pages.saturating_mul(page);
                    memories.push(MemoryLimits {
                        initial_bytes: bytes(memory.initial),
                        maximum_bytes: memory.maximum.map(bytes),
                    });
                }
            }
            Ok(Payload::TableSection(section)) => {
                for table in section.into_iter().flatten() {
                    tables.push(TableLimits { initial: table.ty.initial, maximum: table.ty.maximum });
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
        memories.truncate(SHOWN_MAX);
        tables.truncate(SHOWN_MAX);
    }
    (memories, tables)
}

/// Pages of 64 KiB, unless a memory says otherwise.
const PAGE_LOG2: u32 = 16;
/// Far above the modules of any component that an engine of the host takes.
const SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_limits_are_those_of_all_inner_modules() {
        let text = r#"(component
            (core module (memory 2 16) (table 3 funcref))
            (component (core module (memory 1) (table 5 7 funcref))))"#;
        let (memories, tables) = module_limits(&wat::parse_str(text).unwrap());
        let memory = |pages: u64, max: Option<u64>| MemoryLimits {
            initial_bytes: pages << PAGE_LOG2,
            maximum_bytes: max.map(|max| max << PAGE_LOG2),
        };
        assert_eq!(memories, [memory(2, Some(16)), memory(1, None)]);
        assert_eq!(tables, [TableLimits { initial: 3, maximum: None }, TableLimits { initial: 5, maximum: Some(7) }]);
    }

    #[test]
    fn module_limits_of_damaged_components_are_bounded() {
        let whole = wat::parse_str("(component (core module (memory 2)))").unwrap();
        for length in 0..whole.len() {
            let _ = module_limits(&whole[..length]);
        }
        let many = format!("(component {})", "(core module (memory 1))".repeat(200));
        assert_eq!(module_limits(&wat::parse_str(many).unwrap()).0.len(), SHOWN_MAX);
    }
}
