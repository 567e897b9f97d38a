//! The names of the nodes that took records from clients, each kept once.

use std::sync::{Arc, PoisonError, RwLock};

/// Names by number.
#[derive(Debug)]
pub(super) struct Origins(RwLock<Vec<Arc<str>>>);

/// The number of a name. The first is this node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OriginId(pub(super) u16);

impl OriginId {
    /// This node.
    pub(super) const SELF: Self = Self(0);
}

impl Origins {
    pub(super) fn new(own: &str) -> Self {
        Self(RwLock::new(vec![own.into()]))
    }

    /// The number of a name. A herd has a few; a name beyond the 65,535 that there is room for becomes that of this
    /// node, which is who will be telling its peers.
    pub(super) fn id(&self, name: &str) -> OriginId {
        let position = |names: &[Arc<str>]| names.iter().position(|other| **other == *name);
        let known = position(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let index = known.unwrap_or_else(|| {
            let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
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

    pub(super) fn name(&self, id: OriginId) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)[usize::from(id.0)])
    }
}

/// A stranger among the peers could send new names for ever, and they are searched one by one.
const NAMES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_too_many_have_that_of_this_node() {
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
