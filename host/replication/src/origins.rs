//! Names of the nodes that accepted records from clients, each stored once.
//!
//! Millions of records come from a few nodes, so an entry stores a number of 2 bytes in place of a name. Names are only
//! added, which keeps the number of a name valid for the life of the table.
//!
//! Knows nothing of records. Bounds: number of names.

use std::sync::Arc;

use parking_lot::RwLock;

/// Names by number.
#[derive(Debug)]
pub(super) struct Origins(RwLock<Vec<Arc<str>>>);

/// Number of a name. 0 is this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OriginId(pub(super) u16);

impl OriginId {
    /// This node.
    pub(super) const SELF: Self = Self(0);
}

impl Origins {
    /// Creates the table of names, in which `own` is [`OriginId::SELF`].
    pub(super) fn new(own: &str) -> Self {
        Self(RwLock::new(vec![own.into()]))
    }

    /// Returns the number of a name, and adds the name if it is new.
    ///
    /// A name that finds the table full gets the number of this node, because this node is the one that passes the
    /// record on.
    pub(super) fn id(&self, name: &str) -> OriginId {
        let position = |names: &[Arc<str>]| names.iter().position(|other| **other == *name);
        // Nearly every name is known, and readers do not wait for one another.
        let known = position(&self.0.read());
        let index = known.unwrap_or_else(|| {
            let mut names = self.0.write();
            // Another worker may have added the name between the two locks; a second number for it would be wrong.
            position(&names).unwrap_or_else(|| {
                if names.len() > NAMES_MAX {
                    return 0;
                }
                names.push(name.into());
                names.len() - 1
            })
        });
        u16::try_from(index).map_or(OriginId::SELF, OriginId)
    }

    /// Returns the name of a number.
    pub(super) fn name(&self, id: OriginId) -> Arc<str> {
        Arc::clone(&self.0.read()[usize::from(id.0)])
    }
}

/// A faulty peer could report new names for ever, and the search is linear. A herd has tens of nodes.
const NAMES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_number_each_name_once_and_fall_back_to_this_node_when_full() {
        let origins = Origins::new("Riley");
        assert_eq!(origins.id("Riley"), OriginId::SELF);
        let jaquez = origins.id("Jaquez");
        assert_eq!((origins.id("Jaquez"), &*origins.name(jaquez)), (jaquez, "Jaquez"));
        for number in 0..2 * NAMES_MAX {
            origins.id(&number.to_string());
        }
        assert_eq!(&*origins.name(origins.id("one more")), "Riley");
    }
}
