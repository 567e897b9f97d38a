//! Mock host: performs the events of a transcript against a guest, one decision after the other.
//!
//! Owns the state of a host that a guest can observe: the clock, bytes left over from each session's input, pending fetches
//! and quarantined reports. It must not know files or expectations. It has no queues and no deadlines; the transcript bounds
//! its state.

use std::collections::{HashMap, VecDeque};

use crate::batch::InputBatch;
use crate::check::{Scope, check};
use crate::decision::Decision;
use crate::effect::Effect;
use crate::event::{Awaiting, Input, Mark, Moment, Report};
use crate::native::{Decider, Fault, MemoryRecords};
use crate::transcript::effect_line::{EffectLine, KeepResult};
use crate::transcript::event::{Event, PeerReport, UpstreamOutcome};

/// A guest, and the state of the host around it.
pub(super) struct MockHost<'a> {
    decider: &'a mut dyn Decider,
    records: &'a MemoryRecords,
    at: Moment,
    sessions: HashMap<String, Session>,
    /// Name of the session that inputs and answers belong to.
    current: String,
    /// Rank and record of quarantined reports, by key. They count by rank, but no guest sees them.
    quarantined: HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
}

struct Session {
    /// Input that the guest has not consumed.
    rest: Vec<u8>,
    /// Condition for the next call.
    awaits: Awaiting,
    fetches: VecDeque<PendingFetch>,
    ended: bool,
}

/// Fetch without an answer.
struct PendingFetch {
    upstream: Vec<u8>,
    token: Vec<u8>,
    otherwise: Vec<u8>,
}

impl<'a> MockHost<'a> {
    pub(super) fn new(decider: &'a mut dyn Decider, records: &'a MemoryRecords) -> Self {
        Self {
            decider,
            records,
            at: Moment::default(),
            sessions: HashMap::new(),
            current: String::new(),
            quarantined: HashMap::new(),
        }
    }

    /// Performs an event and returns its effects.
    pub(super) fn perform(&mut self, event: &Event) -> Vec<EffectLine> {
        match event {
            Event::Now(ns) => self.at.now_ns = *ns,
            Event::Advance(ns) => self.at.now_ns = self.at.now_ns.saturating_add(*ns),
            Event::Random(first, second) => self.at.random = (*first, *second),
            Event::Session(name) => self.current.clone_from(name),
            Event::Input { bytes, mark } => return self.input(bytes, *mark),
            Event::Reports(reports) => return self.reports(reports),
            Event::Answer { upstream, outcome } => return self.answer(upstream.as_deref(), outcome),
        }
        vec![]
    }

    fn input(&mut self, bytes: &[u8], mark: Mark) -> Vec<EffectLine> {
        let mut session =
            self.sessions.remove(&self.current).filter(|session| !session.ended).unwrap_or_else(Session::new);
        session.rest.extend_from_slice(bytes);
        let satisfied = session.is_satisfied_by(bytes);
        let lines = match mark {
            Mark::More if !satisfied => vec![EffectLine::waits()],
            // As on a node: no call for an end of input without bytes.
            Mark::End if session.rest.is_empty() => {
                session.ended = true;
                vec![]
            }
            _ => self.decide_input(&mut session, mark),
        };
        self.sessions.insert(self.current.clone(), session);
        lines
    }

    fn decide_input(&mut self, session: &mut Session, mark: Mark) -> Vec<EffectLine> {
        let batch = InputBatch::from_iter([Input { bytes: &session.rest, mark }]);
        let decided = self.decider.inputs(self.at, &batch).and_then(|decision| {
            check(&decision, Scope::Inputs(batch.iter()))?;
            // The check requires one `done` for each input, so this does not fail.
            let progress = decision.progress().ok_or("the input is not done")?;
            Ok((progress, decision))
        });
        let (progress, decision) = match decided {
            Ok(decided) => decided,
            Err(fault) => {
                session.ended = true;
                return vec![EffectLine::fault(&fault.to_string())];
            }
        };
        session.rest.drain(..progress.consumed);
        session.awaits = progress.awaits;
        session.ended = mark != Mark::More;
        let mut lines = self.effects(session, &decision);
        if !session.rest.is_empty() || progress.awaits != Awaiting::Delimiter(b'\n') {
            lines.push(EffectLine::left(session.rest.len(), progress.awaits));
        }
        lines
    }

    fn answer(&mut self, upstream: Option<&[u8]>, outcome: &UpstreamOutcome) -> Vec<EffectLine> {
        let mut session = self.sessions.remove(&self.current).unwrap_or_else(Session::new);
        let matches = |fetch: &PendingFetch| upstream.is_none_or(|upstream| fetch.upstream == upstream);
        let fetch = session.fetches.iter().position(matches).and_then(|at| session.fetches.remove(at));
        let lines = match fetch {
            Some(PendingFetch { token, otherwise, .. }) => {
                let decided = self.decider.answer(self.at, &token, &otherwise, outcome.borrowed());
                match decided.and_then(|decision| Ok(check(&decision, Scope::Answer).map(|()| decision)?)) {
                    Ok(decision) => self.effects(&mut session, &decision),
                    Err(fault) => vec![EffectLine::fault(&fault.to_string())],
                }
            }
            None => vec![EffectLine::unasked()],
        };
        self.sessions.insert(self.current.clone(), session);
        lines
    }

    fn reports(&mut self, reports: &[PeerReport]) -> Vec<EffectLine> {
        // As on a node: a report that would not win never reaches the guest, so a flood ends whatever the guest decides.
        let news: Vec<bool> = reports.iter().map(|report| self.is_news(&report.borrowed())).collect();
        let batch: Vec<Report<'_>> =
            reports.iter().zip(&news).filter(|&(_, &news)| news).map(|(report, _)| report.borrowed()).collect();
        let decision = match self.decide_reports(&batch) {
            Ok(decided) => decided,
            Err(fault) => {
                // As on a node without another generation: the reports count by rank but stay hidden.
                batch.iter().for_each(|report| self.quarantine(report));
                return vec![EffectLine::fault(&fault.to_string())];
            }
        };
        let refused = |index| decision.effects.iter().any(|effect| effect == Effect::Refuse(index));
        let mut decided = batch.iter().zip((0..).map(refused));
        let mut lines = vec![];
        // One line for each report of the event, in its order, though the guest saw only some of them.
        for news in news {
            lines.push(match news.then(|| decided.next()).flatten() {
                None => EffectLine::duplicate(),
                Some((report, true)) => {
                    self.quarantine(report);
                    EffectLine::refused()
                }
                Some((report, false)) => EffectLine::kept(self.apply(report)),
            });
        }
        let count = decision.effects.iter().count();
        lines.extend((0..count).filter_map(|index| EffectLine::effect(&decision, index, KeepResult::Applied)));
        lines
    }

    fn decide_reports(&mut self, batch: &[Report<'_>]) -> Result<Decision, Fault> {
        if batch.is_empty() {
            return Ok(Default::default());
        }
        let decision = self.decider.reports(self.at, batch)?;
        check(&decision, Scope::Reports(batch.len()))?;
        Ok(decision)
    }

    /// Performs the effects of a decision on a session, in order.
    fn effects(&mut self, session: &mut Session, decision: &Decision) -> Vec<EffectLine> {
        let perform = |(effect, index): (Effect, usize)| {
            // The records must change within the loop: a later keep of the same decision competes with this one.
            let mut result = KeepResult::Applied;
            match effect {
                Effect::Keep(keep) => {
                    result = self.apply(&Report {
                        key: decision.bytes(keep.key),
                        rank: decision.bytes(keep.rank),
                        form: keep.form,
                        bytes: decision.bytes(keep.bytes),
                        origin: b"",
                    });
                }
                Effect::Fetch(fetch) => session.fetches.push_back(PendingFetch {
                    upstream: decision.bytes(fetch.upstream).to_vec(),
                    token: decision.bytes(fetch.token).to_vec(),
                    otherwise: decision.bytes(fetch.otherwise).to_vec(),
                }),
                Effect::Close => session.ended = true,
                _ => {}
            }
            EffectLine::effect(decision, index, result)
        };
        decision.effects.iter().zip(0..).filter_map(perform).collect()
    }

    /// Applies a record if it wins.
    fn apply(&self, report: &Report<'_>) -> KeepResult {
        if !self.is_news(report) {
            return KeepResult::Outranked;
        }
        self.records.apply_report(report);
        KeepResult::Applied
    }

    fn is_news(&self, report: &Report<'_>) -> bool {
        let quarantined = self.quarantined.get(report.key);
        let above_quarantined =
            quarantined.is_none_or(|(rank, bytes)| (&**rank, &**bytes) < (report.rank, report.bytes));
        above_quarantined && self.records.is_news(report)
    }

    fn quarantine(&mut self, report: &Report<'_>) {
        if self.is_news(report) {
            self.quarantined.insert(report.key.to_vec(), (report.rank.to_vec(), report.bytes.to_vec()));
        }
    }
}

impl Session {
    /// Begins a session, which awaits a newline as on a node.
    fn new() -> Self {
        Self { rest: vec![], awaits: Awaiting::Delimiter(b'\n'), fetches: VecDeque::new(), ended: false }
    }

    /// Counts new bytes and returns whether the condition for the next call holds. Looks at the new bytes only, as a node
    /// does, so that input that arrives byte by byte is not scanned again.
    fn is_satisfied_by(&mut self, new: &[u8]) -> bool {
        match &mut self.awaits {
            Awaiting::Delimiter(byte) => new.contains(byte),
            Awaiting::Bytes(missing) => {
                *missing = missing.saturating_sub(u32::try_from(new.len()).unwrap_or(u32::MAX));
                *missing == 0
            }
        }
    }
}
