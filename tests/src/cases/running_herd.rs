//! Nodes that cases run against: at most one herd at a time, one process per node.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::topology::Topology;
use crate::{Herd, Places, Process};

/// A herd and its running nodes, kept from case to case. Empty at first.
#[derive(Default)]
pub struct RunningHerd(Option<Set>);

struct Set {
    // Fields drop in order: the processes end before the herd deletes its directory.
    running: BTreeMap<String, Process>,
    herd: Herd,
    topology: Topology,
}

impl RunningHerd {
    /// Creates it without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills all nodes.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Starts and kills nodes so that exactly these nodes of this herd run, with the links among them up.
    ///
    /// # Panics
    ///
    /// If a node or a link is not up in time.
    pub(super) fn set(&mut self, topology: &Topology, up: &[String]) {
        if self.0.as_ref().is_some_and(|set| set.topology != *topology) {
            self.clear();
        }
        let fresh = || Set { running: BTreeMap::new(), herd: topology.herd(), topology: topology.clone() };
        let set = self.0.get_or_insert_with(fresh);
        set.running.retain(|node, _| up.contains(node));
        self.start(up);
    }

    /// Starts those of these nodes that do not run, all at once, and waits until they accept clients and all links among running
    /// nodes are up.
    ///
    /// # Panics
    ///
    /// If a node or a link is not up in time.
    pub(super) fn start(&mut self, nodes: &[String]) {
        let Set { running, herd, .. } = self.set_up();
        let down: Vec<&String> = nodes.iter().filter(|node| !running.contains_key(*node)).collect();
        for node in &down {
            running.insert((*node).clone(), herd.run_without_waiting(node));
        }
        for node in down {
            running.get_mut(node).expect("just started").await_line(&format!("{node} ready"));
        }
        herd.await_linked(&running.keys().map(String::as_str).collect::<Vec<_>>());
    }

    /// Kills a node with SIGKILL, even a stopped one.
    pub(super) fn kill(&mut self, node: &str) {
        self.set_up().running.remove(node);
    }

    /// Process of a running node.
    ///
    /// # Errors
    ///
    /// The node does not run.
    pub(super) fn process(&mut self, node: &str) -> Result<&Process, String> {
        self.set_up().running.get(node).ok_or_else(|| format!("{node} does not run"))
    }

    pub(super) fn address(&mut self, node: &str) -> SocketAddr {
        self.herd().address(node)
    }

    pub(super) fn places(&mut self) -> &Places {
        self.herd().places()
    }

    fn herd(&mut self) -> &Herd {
        &self.set_up().herd
    }

    fn set_up(&mut self) -> &mut Set {
        self.0.as_mut().expect("a case starts its herd before its steps")
    }
}
