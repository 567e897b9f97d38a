//! Shrinks a scenario that breaks an invariant to the events that it takes.
//!
//! Removes events in runs of falling length and keeps what still breaks the same kind of invariant (delta debugging, Zeller and
//! Hildebrandt 2002). Knows nothing of events. Bounds: the number of runs.

use crate::scenario::{Action, Scenario};
use crate::violation::Violation;

/// Returns the shortest scenario found that still breaks what its replay breaks, and that violation. `run` replays a scenario.
///
/// Stops after `runs_max` replays. Returns none if the replay of `scenario` breaks nothing.
pub fn shrink(
    scenario: Scenario,
    runs_max: usize,
    run: impl Fn(&Scenario) -> Result<(), Violation>,
) -> Option<(Scenario, Violation)> {
    // A replay checks every decision, and so may break something other than the run of the seed did.
    let broken = run(&scenario).err()?;
    let mut shrinking = Shrinking { best: scenario, broken, left: runs_max, run };
    shrinking.shorten();
    shrinking.hurry_disks();
    shrinking.remove_events();
    // A shorter run is easier to read and faster to replay; nothing but its end happens behind the last event.
    shrinking.shorten();
    shrinking.simplify_lines();
    Some((shrinking.best, shrinking.broken))
}

struct Shrinking<R> {
    best: Scenario,
    broken: Violation,
    left: usize,
    run: R,
}

impl<R: Fn(&Scenario) -> Result<(), Violation>> Shrinking<R> {
    /// Replays a scenario, and keeps it if it breaks an invariant of the kind.
    fn keeps(&mut self, scenario: Scenario) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        match (self.run)(&scenario) {
            Err(violation) if violation.is_like(&self.broken) => {
                (self.best, self.broken) = (scenario, violation);
                true
            }
            _ => false,
        }
    }

    /// Ends the run soon after its last event.
    fn shorten(&mut self) {
        let last_s = self.best.events.last().map_or(0.0, |event| event.at);
        for after_ms in [200, 2000, 10_000] {
            let for_ms = (last_s * 1000.0) as u64 + after_ms;
            if for_ms < self.best.for_ms && self.keeps(Scenario { for_ms, ..self.best.clone() }) {
                return;
            }
        }
    }

    /// Leaves no room on disks that are to be full and has others fail at once, so that no events are needed until they do.
    fn hurry_disks(&mut self) {
        for number in 0..self.best.events.len() {
            let mut hurried = self.best.clone();
            let left = match &mut hurried.events[number].action {
                Action::DiskFull { bytes, .. } => std::mem::take(bytes),
                Action::DiskError { after, .. } => std::mem::take(after),
                _ => 0,
            };
            if left > 0 {
                self.keeps(hurried);
            }
        }
    }

    fn remove_events(&mut self) {
        let mut length = self.best.events.len().div_ceil(2);
        while length > 0 && self.left > 0 {
            let (mut at, mut removed) = (0, false);
            while at < self.best.events.len() && self.left > 0 {
                let mut fewer = self.best.clone();
                let end = (at + length).min(fewer.events.len());
                fewer.events.drain(at..end);
                if self.keeps(fewer) {
                    removed = true;
                } else {
                    at += length;
                }
            }
            // Once more at length 1 while that removes anything: an event may only matter to one that is gone.
            if length > 1 || !removed {
                length /= 2;
            }
        }
    }

    /// Sends single lines in one piece where that is enough.
    fn simplify_lines(&mut self) {
        for number in 0..self.best.events.len() {
            let whole = {
                let mut whole = self.best.clone();
                if let Some(Action::Send { cuts, .. }) = whole.events.get_mut(number).map(|event| &mut event.action) {
                    cuts.clear();
                }
                whole
            };
            if whole != self.best {
                self.keeps(whole);
            }
            let Some(Action::Send { text, .. }) = self.best.events.get(number).map(|event| &event.action) else {
                continue;
            };
            for single in text.split_inclusive('\n').map(str::to_string).collect::<Vec<_>>() {
                let mut fewer = self.best.clone();
                if let Some(Action::Send { text, .. }) = fewer.events.get_mut(number).map(|event| &mut event.action) {
                    if *text == single {
                        break;
                    }
                    *text = single;
                }
                if self.keeps(fewer) {
                    break;
                }
            }
        }
    }
}
