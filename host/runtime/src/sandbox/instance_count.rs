//! A count of instances: how many of each generation of a node are alive.
//!
//! Counted where the data of a store is made and where it is dropped, so it says what there is, and not what the
//! generations believe. It is how anybody can see that at most two generations and one candidate are live, and that what
//! was retired is gone.
//!
//! Bounds: as many generations as have an instance alive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use herd_model::GenerationId;

/// Counts the instances of one node. A clone counts the same ones.
#[derive(Clone, Default)]
pub(crate) struct InstanceCount(Arc<Mutex<InstanceCountStatus>>);

/// One instance that is counted, for as long as this lives.
pub(crate) struct InstanceGuard {
    instances: InstanceCount,
    generation: GenerationId,
}

/// What an instance count has counted, for people and scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InstanceCountStatus {
    /// Instances that are alive, by generation. A generation without one is not there.
    pub alive: BTreeMap<GenerationId, usize>,
    /// How many generations had an instance at the same time, at most, since the node started.
    pub generations_max: usize,
    /// Instances that were made since the node started.
    pub made: u64,
    /// Those of them that were dropped.
    pub dropped: u64,
}

impl InstanceCount {
    /// Counts an instance in. It is counted out when the value is dropped.
    pub(crate) fn add(&self, generation: GenerationId) -> InstanceGuard {
        let mut counted = self.lock();
        *counted.alive.entry(generation).or_default() += 1;
        counted.generations_max = counted.generations_max.max(counted.alive.len());
        counted.made += 1;
        drop(counted);
        InstanceGuard { instances: self.clone(), generation }
    }

    /// What was counted.
    pub(crate) fn status(&self) -> InstanceCountStatus {
        self.lock().clone()
    }

    /// Instances come and go with swaps and faults, and not with calls: this is held rarely and for a moment.
    fn lock(&self) -> MutexGuard<'_, InstanceCountStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InstanceGuard {
    fn drop(&mut self) {
        let mut counted = self.instances.lock();
        counted.dropped += 1;
        if let Some(alive) = counted.alive.get_mut(&self.generation) {
            *alive -= 1;
            if *alive == 0 {
                counted.alive.remove(&self.generation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_counted_out_and_the_most_at_once_is_remembered() {
        let instances = InstanceCount::default();
        let [one, two] = [1, 2].map(|id| instances.add(GenerationId(id)));
        let again = instances.add(GenerationId(2));
        drop(one);
        let three = instances.add(GenerationId(3));
        drop(two);
        let InstanceCountStatus { alive, generations_max, made, dropped } = instances.status();
        assert_eq!(alive, [(GenerationId(2), 1), (GenerationId(3), 1)].into());
        assert_eq!((generations_max, made, dropped), (2, 4, 2));
        drop((again, three));
        assert!(instances.status().alive.is_empty());
    }
}
