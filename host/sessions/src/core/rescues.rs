//! Calls with input of one session on which a generation faulted and which a fallback decided.
//!
//! Each costs the worker up to a deadline, and the session lives: a client that found a line on which the active guest loops
//! could send it for ever. So the rescues of a session are counted. After [`RESCUES_MAX`], the generation that rescued them
//! decides its input first; after as many again, the session ends.
//!
//! A call with input of several sessions does not show whose input it was. Each of them is *suspected*, and has calls of its own
//! for a while: twice as long each time, so that a client cannot hide its lines in the calls of others.
//!
//! Knows nothing of guests. Bounds: some numbers per session.

use herd_model::{GenerationId, Reroute};

/// Rescues of one session.
#[derive(Debug, Default)]
pub(crate) struct Rescues {
    /// Generation that faulted, and the one that decided in its place. None before the first rescue.
    route: Option<Reroute>,
    /// Rescues of input of this session alone, while that generation is first in line.
    count: u32,
    /// Rescues of calls that it shared.
    suspicions: u32,
    /// Calls of its own that are left from the last of them.
    alone: u32,
}

impl Rescues {
    /// Returns whether the next input of the session needs a call of its own.
    pub(crate) fn needs_own_call(&self) -> bool {
        self.alone > 0 || self.reroute().is_some()
    }

    /// Returns the order in which generations decide its next input.
    pub(crate) fn reroute(&self) -> Option<Reroute> {
        self.route.filter(|_| self.count >= RESCUES_MAX)
    }

    /// Returns whether the session has to end.
    pub(crate) fn are_too_many(&self) -> bool {
        self.count >= 2 * RESCUES_MAX
    }

    /// Records a call with input of this session and of `others` that `by` decided, after a fault if `rescued_from` says so.
    pub(crate) fn record(&mut self, by: GenerationId, rescued_from: Option<GenerationId>, others: usize) {
        match rescued_from {
            Some(_) if others > 0 => {
                self.suspicions = (self.suspicions + 1).min(SUSPICIONS_MAX);
                self.alone = 1 << self.suspicions;
            }
            Some(from) => {
                self.alone = self.alone.saturating_sub(1);
                // A generation that was swapped in since has not faulted yet.
                let same = self.route.filter(|route| route.from == from);
                self.count = if same.is_some() { self.count.saturating_add(1) } else { 1 };
                self.route = same.or(Some(Reroute { from, to: by }));
            }
            None => self.alone = self.alone.saturating_sub(1),
        }
    }
}

/// Rescues of a session before another generation decides its input first: as many as the faults of a probation.
pub(crate) const RESCUES_MAX: u32 = 8;
/// Doublings of the number of calls of its own, up to 1024. A client that shares a call with one that provokes faults must find its
/// way back to cheap calls.
const SUSPICIONS_MAX: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: GenerationId = GenerationId(2);
    const PREVIOUS: GenerationId = GenerationId(1);

    #[test]
    fn rescues_reroute_and_then_end_a_session() {
        let mut rescues = Rescues::default();
        for count in 1..=2 * RESCUES_MAX {
            assert_eq!(rescues.reroute().is_some(), count > RESCUES_MAX, "{count}");
            assert!(!rescues.are_too_many());
            rescues.record(PREVIOUS, Some(ACTIVE), 0);
        }
        assert_eq!(rescues.reroute(), Some(Reroute { from: ACTIVE, to: PREVIOUS }));
        assert!(rescues.needs_own_call() && rescues.are_too_many());
    }

    #[test]
    fn rescues_from_another_generation_start_over() {
        let mut rescues = Rescues::default();
        (0..RESCUES_MAX).for_each(|_| rescues.record(PREVIOUS, Some(ACTIVE), 0));
        rescues.record(ACTIVE, Some(GenerationId(3)), 0);
        assert!(rescues.reroute().is_none() && !rescues.needs_own_call());
    }

    /// Goal: a client that sends its line with every hundredth call is found, whatever calls it shares in between.
    #[test]
    fn rescues_of_shared_calls_lead_to_calls_of_its_own() {
        let mut rescues = Rescues::default();
        let mut calls = 0;
        while rescues.reroute().is_none() && calls < 10_000 {
            let others = if rescues.needs_own_call() { 0 } else { 63 };
            let faults = calls % 100 == 0;
            rescues.record(if faults { PREVIOUS } else { ACTIVE }, faults.then_some(ACTIVE), others);
            calls += 1;
        }
        assert!(rescues.reroute().is_some(), "not found in {calls} calls");
    }

    #[test]
    fn rescues_of_shared_calls_alone_end_no_session() {
        let mut rescues = Rescues::default();
        for _ in 0..10_000 {
            let own = rescues.needs_own_call();
            rescues.record(PREVIOUS, (!own).then_some(ACTIVE), if own { 0 } else { 63 });
        }
        assert!(rescues.reroute().is_none() && !rescues.are_too_many());
    }
}
