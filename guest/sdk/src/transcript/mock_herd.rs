//! Mock herd: the nodes of a transcript, each with a mock host, and what passes between them.
//!
//! Owns the clock and the random bits, which all nodes share, and how far each node has sent to each other one. Nothing is sent but by a
//! `flood` event, so the order is that of the transcript. It must not know files or expectations. Bounds: the nodes of a transcript.

use std::collections::BTreeMap;

use crate::event::Moment;
use crate::transcript::coverage::Coverage;
use crate::transcript::effect_line::EffectLine;
use crate::transcript::event::Event;
use crate::transcript::mock_host::MockHost;

/// Nodes, and the state between them.
pub(super) struct MockHerd<'a> {
    names: &'a [String],
    hosts: Vec<MockHost<'a>>,
    /// Index of the node of the next event.
    selected: usize,
    at: Moment,
    /// Number of reports that the first node of a pair had kept when it last sent to the second.
    sent: BTreeMap<(usize, usize), usize>,
}

impl<'a> MockHerd<'a> {
    /// Makes a herd of these hosts, one for each name.
    pub(super) fn new(names: &'a [String], hosts: Vec<MockHost<'a>>) -> Self {
        Self { names, hosts, selected: 0, at: Moment::default(), sent: BTreeMap::new() }
    }

    /// Performs an event and returns its effects.
    pub(super) fn perform(&mut self, event: &Event, coverage: &mut Coverage) -> Vec<EffectLine> {
        let at = self.at;
        let Some(host) = self.hosts.get_mut(self.selected) else { return vec![EffectLine::fault(ONE_NODE)] };
        match event {
            Event::Now(ns) => self.at.now_ns = *ns,
            Event::Advance(ns) => self.at.now_ns = at.now_ns.saturating_add(*ns),
            Event::Random(first, second) => self.at.random = (*first, *second),
            Event::Session(name) => host.select(name),
            Event::Node(name) => self.selected = self.index(name),
            Event::Input { bytes, mark } => return host.input(at, bytes, *mark, coverage),
            Event::Reports(reports) => return host.reports(at, reports, None),
            Event::Answer { upstream, outcome } => return host.answer(at, upstream.as_deref(), outcome),
            Event::Flood { from } => return self.flood(from),
        }
        vec![]
    }

    fn flood(&mut self, from: &str) -> Vec<EffectLine> {
        let (from, to) = (self.index(from), self.selected);
        let sent = self.sent.entry((from, to)).or_default();
        let Some(sender) = self.hosts.get(from) else { return vec![EffectLine::fault(ONE_NODE)] };
        let (reports, kept) = sender.flood_to(to, *sent);
        *sent = kept;
        self.hosts[to].reports(self.at, &reports, Some(from))
    }

    /// Returns the index of a node, which the parser has seen.
    fn index(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or(usize::MAX)
    }
}

/// Fault of an event at a node that was not loaded.
const ONE_NODE: &str = "the transcript has several nodes, and only the first was loaded: run it with `run_herd`";
