//! Rest: faults are over and clients are quiet, and the herd has to become equal.

use super::{Herd, MILLISECOND, SECOND};
use crate::history::{Compared, check_equal};
use crate::options::Report;
use crate::process::Process;
use crate::violation::Violation;

impl Herd<'_> {
    /// Heals everything and waits until all nodes are equal.
    pub(super) fn rest(&mut self) -> Result<Report, Violation> {
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
            node.swap_files.heal();
            node.sync_ns = 4 * MILLISECOND;
            self.start(number)?;
        }
        // What was damaged under load is found by the timer of proofs.
        self.wait_for(
            if self.report.damages > 0 { REST_NS_MAX + DAMAGED_NS_MAX } else { REST_NS_MAX },
            Self::check_rest,
        )?;
        self.report.rest_ms = (self.now - began) / MILLISECOND;
        self.settle_swaps()?;
        self.wait_for(REST_NS_MAX, Self::check_rest)?;
        self.ask_everywhere()?;
        self.prove()?;
        for Process { deciders, .. } in self.nodes.iter().filter_map(|node| node.process.as_ref()) {
            self.report.trace = self.report.trace.rotate_left(9) ^ deciders.trace();
        }
        Ok(self.report)
    }

    /// Lets time pass until a condition holds.
    ///
    /// # Errors
    ///
    /// It does not within `ns_max`, or something else is broken.
    pub(super) fn wait_for(
        &mut self,
        ns_max: u64,
        condition: impl Fn(&Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let began = self.now;
        loop {
            let until = self.now + LOOK_NS;
            self.run_until(until)?;
            self.check_answers()?;
            match condition(self) {
                Ok(()) => return Ok(()),
                Err(violation) if self.now - began > ns_max => return Err(violation),
                Err(_) => {}
            }
        }
    }

    pub(super) fn check_rest(&self) -> Result<(), Violation> {
        let nodes = || {
            let processes = self.nodes.iter().filter_map(|node| Some((node.name, node.process.as_ref()?)));
            processes.map(|(name, process)| (name, &*process.replica))
        };
        check_equal(nodes(), if self.restamped { Compared::NewestEpochs } else { Compared::All })?;
        nodes().try_for_each(|(name, node)| {
            self.history.check_everywhere(name, node)?;
            self.history.check_forgotten(name, node)
        })
    }
}

/// Between two looks at the whole herd.
const LOOK_NS: u64 = 500 * MILLISECOND;
/// Time in which a healed herd has to be equal: a connection that is half open is given up after 3 s, and dialled within another.
const REST_NS_MAX: u64 = 15 * SECOND;
/// Time in which proofs find by their timer what was damaged: two periods.
const DAMAGED_NS_MAX: u64 = 70 * SECOND;
