//! Rest: faults are over and clients are quiet, and the herd has to become equal.

use super::{Herd, MILLISECOND, SECOND};
use crate::history::{Compared, check_equal};
use crate::options::Report;
use crate::violation::Violation;

impl Herd {
    /// Heals everything and waits until all nodes are equal.
    pub(super) fn rest(mut self) -> Result<Report, Violation> {
        let began = self.now;
        self.resting = true;
        for (from, to) in self.blocked.clone() {
            self.unblock(from, to);
        }
        self.latency_ns.clear();
        for number in 0..self.nodes.len() {
            self.wake(number);
            let node = &mut self.nodes[number];
            node.files.heal();
            node.sync_ns = 4 * MILLISECOND;
            self.start(number)?;
        }
        loop {
            let until = self.now + LOOK_NS;
            self.run_until(until)?;
            self.check_answers()?;
            match self.check_rest() {
                Ok(()) => break,
                Err(violation) if self.now - began > REST_NS_MAX => return Err(violation),
                Err(_) => {}
            }
        }
        self.report.rest_ms = (self.now - began) / MILLISECOND;
        Ok(self.report)
    }

    fn check_rest(&self) -> Result<(), Violation> {
        let nodes = || {
            let processes = self.nodes.iter().filter_map(|node| Some((node.name, node.process.as_ref()?)));
            processes.map(|(name, process)| (name, &*process.replica))
        };
        check_equal(nodes(), if self.restamped { Compared::NewestEpochs } else { Compared::All })?;
        nodes().try_for_each(|(name, node)| self.history.check_everywhere(name, node))
    }
}

/// Between two looks at the whole herd.
const LOOK_NS: u64 = 500 * MILLISECOND;
/// Time in which a healed herd has to be equal: a connection that is half open is given up after 3 s, and dialled within another.
const REST_NS_MAX: u64 = 15 * SECOND;
