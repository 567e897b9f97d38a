//! Marks of the activations of a node: how far its lanes were when each of its last generations began and ceased to serve.
//!
//! Owns a small file, because a node may be restarted between a swap and its rollback. Damaged or absent, it counts as empty: the node then
//! says that it does not know what it kept. Knows nothing of records and of how they are forgotten.
//!
//! Bounds: [`ACTIVATIONS_MAX`] activations.

use std::path::Path;

use herd_model::Digest;
use herd_replication::{Epoch, NodeMarks};
use herd_rollout::SwapId;
use herd_sys::FileStore;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Activations of a node, the newest last.
pub(crate) struct ActivationMarks {
    node: String,
    files: FileStore,
    file: String,
    activations: Mutex<Vec<Activation>>,
}

/// One activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activation {
    /// Swap of the herd that it adopted. The number is [`NO_SWAP`] if this node alone activated the guest.
    pub(crate) swap: SwapId,
    since: StoredMarks,
    /// Absent while the generation serves, and after a crash during the next activation.
    #[serde(default)]
    until: Option<StoredMarks>,
    /// True once the node has forgotten what it kept in between.
    #[serde(default)]
    is_discarded: bool,
}

/// Time during which a generation served, by the keeps of the node: those since the first moment, and not after the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) activation: Activation,
    pub(crate) since: NodeMarks,
    pub(crate) until: NodeMarks,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredMarks {
    started_ms: u64,
    random: u64,
    seqs: Vec<u64>,
}

impl ActivationMarks {
    /// Reads the activations of a node from the state directory of its herd. At this start, `serving` is the guest that serves, and
    /// `applied` the number of the last swap of the herd that the node has adopted.
    pub(crate) fn open(state: &Path, node: &str, serving: Digest, applied: u64) -> Self {
        let files = FileStore::new(state.join(DIRECTORY), usize::MAX);
        let file = format!("{}.json", herd_sys::file_name::of(node));
        let read = std::fs::read(files.path(&file)).ok().map(|bytes| serde_json::from_slice(&bytes));
        let mut activations: Vec<Activation> = match read {
            None => Vec::new(),
            Some(Ok(activations)) => activations,
            Some(Err(error)) => {
                tracing::error!(%node, path = %files.path(&file).display(), %error, "marks of activations are damaged and ignored");
                Vec::new()
            }
        };
        // The node could not note when that generation ceased to serve, so what it kept cannot be told from what followed. One whose
        // adoption was cut short by a crash stays: it is adopted once more, and may have kept something.
        activations.pop_if(|last| last.swap.digest != serving && last.swap.number <= applied);
        Self { node: node.into(), files, file, activations: Mutex::new(activations) }
    }

    /// Notes that a generation is about to serve. A swap of the herd that is adopted once more, after a crash, keeps its first mark.
    pub(crate) fn begin(&self, swap: SwapId, since: &NodeMarks) {
        let mut activations = self.activations.lock();
        if swap.number != NO_SWAP && activations.iter().any(|activation| activation.swap == swap) {
            return;
        }
        activations.push(Activation { swap, since: since.into(), until: None, is_discarded: false });
        let surplus = activations.len().saturating_sub(ACTIVATIONS_MAX);
        activations.drain(..surplus);
        self.write(&activations);
    }

    /// Notes that a swap of the herd is adopted whose guest serves already. What that kept since its activation belongs to the swap.
    pub(crate) fn adopt(&self, swap: SwapId, now: &NodeMarks) {
        let last = self.activations.lock().last().filter(|last| last.swap.digest == swap.digest).cloned();
        let since = last.map_or_else(|| now.clone(), |last| (&last.since).into());
        self.begin(swap, &since);
    }

    /// Notes that no generation but the newest serves any more. Reaches the disk with the next change: until then the mark of the next
    /// activation stands for it.
    pub(crate) fn end(&self, until: &NodeMarks) {
        let mut activations = self.activations.lock();
        let ended = activations.len().saturating_sub(1);
        activations[..ended].iter_mut().filter(|activation| activation.until.is_none()).for_each(|activation| {
            activation.until = Some(until.into());
        });
    }

    /// Returns whether the node has noted the adoption of a swap.
    pub(crate) fn has(&self, swap: SwapId) -> bool {
        self.activations.lock().iter().any(|activation| activation.swap == swap)
    }

    /// Returns the period of a swap of the herd, unless its generation serves or what was kept in it is discarded.
    pub(crate) fn period_of(&self, swap: SwapId) -> Option<Period> {
        self.periods().into_iter().find(|period| period.activation.swap == swap)
    }

    /// Returns the period of the generation before the one that serves, unless what was kept in it is discarded.
    pub(crate) fn last_period(&self) -> Option<Period> {
        let last = self.activations.lock().iter().rev().nth(1).cloned();
        self.periods().pop().filter(|period| Some(&period.activation) == last.as_ref())
    }

    /// Notes that what was kept in a period is forgotten.
    pub(crate) fn discarded(&self, period: &Period) {
        let mut activations = self.activations.lock();
        let is_it = |activation: &&mut Activation| {
            activation.swap == period.activation.swap && activation.since == period.activation.since
        };
        if let Some(activation) = activations.iter_mut().find(is_it) {
            activation.is_discarded = true;
            activation.until = Some((&period.until).into());
            self.write(&activations);
        }
    }

    /// Returns the periods that have ended and are not discarded.
    fn periods(&self) -> Vec<Period> {
        let activations = self.activations.lock();
        let period = |pair: &[Activation]| {
            let activation = pair[0].clone();
            let until = activation.until.as_ref().unwrap_or(&pair[1].since);
            Period { since: (&activation.since).into(), until: until.into(), activation }
        };
        activations.windows(2).filter(|pair| !pair[0].is_discarded).map(period).collect()
    }

    fn write(&self, activations: &[Activation]) {
        let text = serde_json::to_vec(activations).map_err(std::io::Error::other);
        // The swap goes on: a disk that is full must not keep a node on a guest.
        if let Err(error) = text.and_then(|text| self.files.write(&self.file, &[&text])) {
            tracing::warn!(node = %self.node, %error, "marks of an activation not written; after a restart the node does not know what it kept since");
        }
    }
}

impl From<&NodeMarks> for StoredMarks {
    fn from(NodeMarks { epoch: Epoch { started_ms, random }, seqs }: &NodeMarks) -> Self {
        Self { started_ms: *started_ms, random: *random, seqs: seqs.clone() }
    }
}

impl From<&StoredMarks> for NodeMarks {
    fn from(StoredMarks { started_ms, random, seqs }: &StoredMarks) -> Self {
        Self { epoch: Epoch { started_ms: *started_ms, random: *random }, seqs: seqs.clone() }
    }
}

/// Number of an activation that no swap of the herd brought. The herd counts its swaps from 1.
pub(crate) const NO_SWAP: u64 = 0;
/// As many as the herd state carries discarded swaps along.
const ACTIVATIONS_MAX: usize = 16;
/// Directory of the files, in the state directory of the herd.
const DIRECTORY: &str = "activations";

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(guest: &str) -> Digest {
        Digest::of(guest.as_bytes())
    }

    fn id(number: u64, guest: &str) -> SwapId {
        SwapId { number, digest: digest(guest) }
    }

    fn marks(started_ms: u64, seq: u64) -> NodeMarks {
        NodeMarks { epoch: Epoch { started_ms, random: 9 }, seqs: vec![seq, 0] }
    }

    fn bounds(period: Option<Period>) -> Option<(NodeMarks, NodeMarks)> {
        period.map(|period| (period.since, period.until))
    }

    #[test]
    fn activation_marks_survive_a_restart_and_bound_a_period() {
        let state = tempfile::tempdir().unwrap();
        let open = |serving, applied| ActivationMarks::open(state.path(), "Riley", digest(serving), applied);
        let first = open("old", 0);
        first.begin(id(1, "new"), &marks(1, 5));
        first.begin(id(1, "new"), &marks(1, 8));
        assert_eq!((first.period_of(id(1, "new")), first.has(id(1, "new"))), (None, true), "it serves");
        // A crash before the swap was stored: it is adopted again.
        open("old", 0).begin(id(1, "new"), &marks(2, 1));
        let second = open("new", 1);
        second.begin(id(2, "old"), &marks(2, 3));
        assert_eq!(bounds(second.period_of(id(1, "new"))), Some((marks(1, 5), marks(2, 3))), "the first mark stands");
        second.end(&marks(2, 4));
        let period = second.period_of(id(1, "new")).unwrap();
        assert_eq!(period.until, marks(2, 4), "calls that were under way belong to it");
        second.discarded(&period);
        for marks in [second, open("old", 2)] {
            assert_eq!((marks.period_of(id(1, "new")), marks.last_period()), (None, None));
        }
    }

    #[test]
    fn activation_marks_tell_apart_what_one_node_did_alone() {
        let state = tempfile::tempdir().unwrap();
        let riley = ActivationMarks::open(state.path(), "Riley", digest("old"), 0);
        for (seq, swap) in [(1, id(1, "new")), (2, id(NO_SWAP, "own")), (3, id(NO_SWAP, "new")), (4, id(2, "old"))] {
            riley.begin(swap, &marks(1, seq));
            riley.end(&marks(1, seq));
        }
        assert_eq!(
            bounds(riley.period_of(id(1, "new"))),
            Some((marks(1, 1), marks(1, 2))),
            "and not what it kept since"
        );
        assert_eq!(bounds(riley.last_period()), Some((marks(1, 3), marks(1, 4))));
        let other = ActivationMarks::open(state.path(), "Juzang", digest("old"), 0);
        assert!(!other.has(id(1, "new")));
    }

    /// The rollback from a second swap to a guest goes back beyond the first.
    #[test]
    fn activation_marks_of_a_guest_that_serves_already_are_its_first() {
        let state = tempfile::tempdir().unwrap();
        let riley = ActivationMarks::open(state.path(), "Riley", digest("old"), 0);
        riley.adopt(id(1, "old"), &marks(1, 1));
        riley.begin(id(2, "new"), &marks(1, 2));
        riley.adopt(id(3, "new"), &marks(1, 3));
        riley.begin(id(4, "old"), &marks(1, 4));
        assert_eq!(bounds(riley.period_of(id(1, "old"))), Some((marks(1, 1), marks(1, 2))));
        assert_eq!(bounds(riley.period_of(id(3, "new"))), Some((marks(1, 2), marks(1, 4))));
    }

    /// An end that was not written would be taken for that of a later activation, and what a sound guest kept would be forgotten.
    #[test]
    fn activation_marks_without_an_end_are_dropped_at_a_start() {
        let state = tempfile::tempdir().unwrap();
        ActivationMarks::open(state.path(), "Riley", digest("old"), 0).begin(id(1, "new"), &marks(1, 5));
        let riley = ActivationMarks::open(state.path(), "Riley", digest("old"), 2);
        assert!(!riley.has(id(1, "new")));
        riley.begin(id(3, "newest"), &marks(2, 5));
        assert_eq!(riley.period_of(id(1, "new")), None);
    }

    #[test]
    fn activation_marks_are_bounded_and_outlive_damage() {
        let state = tempfile::tempdir().unwrap();
        let riley = ActivationMarks::open(state.path(), "Riley", digest("old"), 0);
        (1..=20).for_each(|number| riley.begin(id(number, "new"), &marks(1, number)));
        assert_eq!(riley.periods().len(), ACTIVATIONS_MAX - 1);
        assert!(!riley.has(id(4, "new")) && riley.has(id(5, "new")));
        std::fs::write(riley.files.path(&riley.file), b"{").unwrap();
        assert!(!ActivationMarks::open(state.path(), "Riley", digest("new"), 0).has(id(20, "new")));
    }
}
