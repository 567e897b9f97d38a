//! Mock host: performs the events of one node of a transcript against a guest, one decision after the other.
//!
//! Owns the state of a host that a guest can observe: bytes left over from each session's input, pending fetches and quarantined
//! reports; and what the node would flood. It must not know files, expectations or other nodes. It has no deadlines; the transcript
//! bounds its state.

use std::collections::{HashMap, VecDeque};

use crate::batch::InputBatch;
use crate::check::{Scope, check};
use crate::decision::Decision;
use crate::effect::Effect;
use crate::event::{Awaiting, Input, Mark, Moment, Report};
use crate::native::{Decider, Fault, MemoryRecords};
use crate::transcript::coverage::Coverage;
use crate::transcript::effect_line::{EffectLine, KeepResult};
use crate::transcript::event::{PeerReport, UpstreamOutcome};

/// A guest, and the state of the host around it.
pub(super) struct MockHost<'a> {
    decider: &'a mut dyn Decider,
    records: &'a MemoryRecords,
    /// Name of the node, the origin of what its clients report.
    node: String,
    /// Reports that the node kept or quarantined, in order, each with the node of the transcript that it came from, if any.
    flood: Vec<(PeerReport, Option<usize>)>,
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
    pub(super) fn new(node: &str, decider: &'a mut dyn Decider, records: &'a MemoryRecords) -> Self {
        Self {
            decider,
            records,
            node: node.into(),
            flood: vec![],
            sessions: HashMap::new(),
            current: String::new(),
            quarantined: HashMap::new(),
        }
    }

    /// Selects the session of the following inputs and answers.
    pub(super) fn select(&mut self, session: &str) {
        session.clone_into(&mut self.current);
    }

    /// Returns what the node kept since it had kept `already` reports, except for what came from the node `to`. Also returns how
    /// many it has kept now.
    pub(super) fn flood_to(&self, to: usize, already: usize) -> (Vec<PeerReport>, usize) {
        let news = self.flood.iter().skip(already).filter(|(_, source)| *source != Some(to));
        (news.map(|(report, _)| report.clone()).collect(), self.flood.len())
    }

    /// Performs an input. Adds the commands of what the guest consumed to the coverage.
    pub(super) fn input(&mut self, at: Moment, bytes: &[u8], mark: Mark, coverage: &mut Coverage) -> Vec<EffectLine> {
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
            _ => self.decide_input(at, &mut session, mark, coverage),
        };
        self.sessions.insert(self.current.clone(), session);
        lines
    }

    fn decide_input(
        &mut self,
        at: Moment,
        session: &mut Session,
        mark: Mark,
        coverage: &mut Coverage,
    ) -> Vec<EffectLine> {
        let batch = InputBatch::from_iter([Input { bytes: &session.rest, mark }]);
        let decided = self.decider.inputs(at, &batch).and_then(|decision| {
            check(&decision, Scope::Inputs(batch.iter()))?;
            // The check requires one `done` for each input, so this does not fail.
            let progress = decision.progress().ok_or("the input is not done")?;
            Ok((progress, decision))
        });
        let (progress, decision) = match decided {
            Ok(decided) => decided,
            Err(fault) => {
                session.ended = true;
                coverage.add_commands(&session.rest);
                return vec![EffectLine::fault(&fault.to_string())];
            }
        };
        coverage.add_commands(&session.rest[..progress.consumed]);
        session.rest.drain(..progress.consumed);
        session.awaits = progress.awaits;
        session.ended = mark != Mark::More;
        let mut lines = self.effects(session, &decision);
        if !session.rest.is_empty() || progress.awaits != Awaiting::Delimiter(b'\n') {
            lines.push(EffectLine::left(session.rest.len(), progress.awaits));
        }
        lines
    }

    /// Performs the answer to the oldest pending fetch of the session.
    pub(super) fn answer(&mut self, at: Moment, upstream: Option<&[u8]>, outcome: &UpstreamOutcome) -> Vec<EffectLine> {
        let mut session = self.sessions.remove(&self.current).unwrap_or_else(Session::new);
        let matches = |fetch: &PendingFetch| upstream.is_none_or(|upstream| fetch.upstream == upstream);
        let fetch = session.fetches.iter().position(matches).and_then(|at| session.fetches.remove(at));
        let lines = match fetch {
            Some(PendingFetch { token, otherwise, .. }) => {
                let decided = self.decider.answer(at, &token, &otherwise, outcome.borrowed());
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

    /// Performs a batch of reports, from a node of the transcript or from one that it leaves out.
    pub(super) fn reports(&mut self, at: Moment, reports: &[PeerReport], source: Option<usize>) -> Vec<EffectLine> {
        // As on a node: a report that would not win never reaches the guest, so a flood ends whatever the guest decides.
        let news: Vec<bool> = reports.iter().map(|report| self.is_news(&report.borrowed())).collect();
        let batch: Vec<Report<'_>> =
            reports.iter().zip(&news).filter(|&(_, &news)| news).map(|(report, _)| report.borrowed()).collect();
        let decision = match self.decide_reports(at, &batch) {
            Ok(decided) => decided,
            Err(fault) => {
                // As on a node without another generation: the reports count by rank but stay hidden.
                batch.iter().for_each(|report| self.quarantine(report, source));
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
                    self.quarantine(report, source);
                    EffectLine::refused()
                }
                Some((report, false)) => EffectLine::kept(self.apply(report, source)),
            });
        }
        let count = decision.effects.iter().count();
        lines.extend((0..count).filter_map(|index| EffectLine::effect(&decision, index, KeepResult::Applied)));
        lines
    }

    fn decide_reports(&mut self, at: Moment, batch: &[Report<'_>]) -> Result<Decision, Fault> {
        if batch.is_empty() {
            return Ok(Default::default());
        }
        let decision = self.decider.reports(at, batch)?;
        check(&decision, Scope::Reports(batch.len()))?;
        Ok(decision)
    }

    /// Performs the effects of a decision on a session, in order.
    fn effects(&mut self, session: &mut Session, decision: &Decision) -> Vec<EffectLine> {
        let node = self.node.clone();
        let perform = |(effect, index): (Effect, usize)| {
            // The records must change within the loop: a later keep of the same decision competes with this one.
            let mut result = KeepResult::Applied;
            match effect {
                Effect::Keep(keep) => {
                    let report = Report {
                        key: decision.bytes(keep.key),
                        rank: decision.bytes(keep.rank),
                        form: keep.form,
                        bytes: decision.bytes(keep.bytes),
                        origin: node.as_bytes(),
                    };
                    result = self.apply(&report, None);
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

    /// Applies a record if it wins. Only then the node floods it.
    fn apply(&mut self, report: &Report<'_>, source: Option<usize>) -> KeepResult {
        if !self.is_news(report) {
            return KeepResult::Outranked;
        }
        self.records.apply_report(report);
        self.flood.push((report.into(), source));
        KeepResult::Applied
    }

    fn is_news(&self, report: &Report<'_>) -> bool {
        let quarantined = self.quarantined.get(report.key);
        let above_quarantined =
            quarantined.is_none_or(|(rank, bytes)| (&**rank, &**bytes) < (report.rank, report.bytes));
        above_quarantined && self.records.is_news(report)
    }

    /// Quarantines a report. As on a node, the nodes behind it receive it all the same.
    fn quarantine(&mut self, report: &Report<'_>, source: Option<usize>) {
        if self.is_news(report) {
            self.quarantined.insert(report.key.to_vec(), (report.rank.to_vec(), report.bytes.to_vec()));
            self.flood.push((report.into(), source));
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
