//! Graph of the links of a herd: which nodes are linked.
//!
//! Bounds: none of its own; pairs of nodes.

use crate::chance::Chance;
use crate::options::Graph;

/// Returns the linked pairs of a herd, the higher number first.
pub(super) fn pairs(graph: Graph, count: usize, chance: &mut Chance) -> Vec<(usize, usize)> {
    let graph = match graph {
        Graph::Random => chance.pick(&[Graph::Random, Graph::Random, Graph::Line, Graph::Ring, Graph::Full]),
        graph => graph,
    };
    let all = (1..count).flat_map(|a| (0..a).map(move |b| (a, b)));
    let line = |a: usize, b: usize| a == b + 1;
    match graph {
        // `herd-node` has these links too, and this crate must not know it: docs/running.md says them to people.
        Graph::Default => all.filter(|&(a, b)| DEFAULT_LINKS.contains(&(a, b)) || (a >= 5 && a - b <= 2)).collect(),
        Graph::Random => all.filter(|&(a, b)| line(a, b) || chance.percent(40)).collect(),
        Graph::Line => all.filter(|&(a, b)| line(a, b)).collect(),
        Graph::Ring => all.filter(|&(a, b)| line(a, b) || (a == count - 1 && b == 0)).collect(),
        Graph::Full => all.collect(),
    }
}

/// Links of a herd without configuration, by the numbers of its nodes.
const DEFAULT_LINKS: [(usize, usize); 6] = [(1, 0), (2, 0), (4, 1), (4, 2), (3, 2), (4, 3)];
