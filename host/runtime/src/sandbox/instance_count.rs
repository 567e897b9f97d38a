//! Count of live instances per generation of a node.
//!
//! Counts where the data of a store is created and dropped, so it reflects the memory that exists rather than the bookkeeping
//! of generations. It shows that at most two generations and one candidate are live, and that a retired one is gone. Knows
//! nothing of what an instance is for.
//!
//! Bounds: one entry per generation with a live instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use herd_model::GenerationId;

/// Counts the instances of one node. Clones share the count.
#[derive(Clone, Default)]
pub(crate) struct InstanceCount(Arc<Mutex<InstanceCountStatus>>);

/// Counts one instance for as long as this value lives.
pub(crate) struct InstanceGuard {
    instances: InstanceCount,
    /// None for an instance that converts records for a guest that no longer serves.
    generation: Option<GenerationId>,
}

/// Counts of instances, as `herd status` shows them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InstanceCountStatus {
    /// Live instances by generation. A generation without one has no entry.
    pub alive: BTreeMap<GenerationId, usize>,
    /// Live instances that convert records for guests that no longer serve.
    pub kept: usize,
    /// Highest number of generations that had an instance at the same time since the node started.
    pub generations_max: usize,
    /// Instances created since the node started.
    pub made: u64,
    /// Instances dropped since the node started.
    pub dropped: u64,
}

impl InstanceCount {
    /// Adds an instance, which the drop of the guard removes.
    pub(crate) fn add(&self, generation: GenerationId) -> InstanceGuard {
        let mut counted = self.lock();
        *counted.alive.entry(generation).or_default() += 1;
        counted.generations_max = counted.generations_max.max(counted.alive.len());
        counted.made += 1;
        drop(counted);
        InstanceGuard { instances: self.clone(), generation: Some(generation) }
    }

    /// Adds an instance that converts records for a guest that no longer serves. The drop of the guard removes it.
    pub(crate) fn add_kept(&self) -> InstanceGuard {
        let mut counted = self.lock();
        counted.kept += 1;
        counted.made += 1;
        InstanceGuard { instances: self.clone(), generation: None }
    }

    /// Returns the counts.
    pub(crate) fn status(&self) -> InstanceCountStatus {
        self.lock().clone()
    }

    // A mutex is cheap enough: swaps and faults create instances, calls do not.
    fn lock(&self) -> MutexGuard<'_, InstanceCountStatus> {
        self.0.lock()
    }
}

impl InstanceGuard {
    /// Returns the generation that the instance counts for.
    pub(crate) fn generation(&self) -> Option<GenerationId> {
        self.generation
    }
}

impl Drop for InstanceGuard {
    fn drop(&mut self) {
        let mut counted = self.instances.lock();
        counted.dropped += 1;
        let Some(generation) = self.generation else {
            counted.kept -= 1;
            return;
        };
        if let Some(alive) = counted.alive.get_mut(&generation) {
            *alive -= 1;
            if *alive == 0 {
                counted.alive.remove(&generation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_count_drops_with_the_guard_and_keeps_the_maximum() {
        let instances = InstanceCount::default();
        let [one, two] = [1, 2].map(|id| instances.add(GenerationId(id)));
        let again = instances.add(GenerationId(2));
        drop(one);
        let three = instances.add(GenerationId(3));
        drop(two);
        let InstanceCountStatus { alive, generations_max, made, dropped, .. } = instances.status();
        assert_eq!(alive, [(GenerationId(2), 1), (GenerationId(3), 1)].into());
        assert_eq!((generations_max, made, dropped), (2, 4, 2));
        let kept = instances.add_kept();
        assert_eq!((instances.status().kept, instances.status().generations_max), (1, 2), "it is no generation");
        drop((again, three, kept));
        assert_eq!(instances.status().kept, 0);
        assert!(instances.status().alive.is_empty());
    }
}
