//! Whether what a guest decided makes sense, within the limits that a host checks. A host treats a decision that
//! breaks one like a trap, so a transcript shows it as a fault.

use crate::effect::{Decision, Effect, FanOut, Span};
use crate::event::{Awaiting, Progress, Verdict};
use crate::native::Fault;

/// Checks what became of an input of this many bytes.
pub(super) fn progress(progress: Progress, input_bytes: usize) -> Result<(), Fault> {
    if progress.consumed > input_bytes {
        return Err(format!("consumed {} of {input_bytes} bytes", progress.consumed).into());
    }
    if progress.awaits == Awaiting::Bytes(0) {
        return Err("awaits no bytes at all".into());
    }
    Ok(())
}

/// Checks the verdicts on a batch.
pub(super) fn verdicts(verdicts: &[Verdict], reports: usize) -> Result<(), Fault> {
    if verdicts.len() == reports {
        return Ok(());
    }
    Err(format!("{} verdicts on {reports} reports", verdicts.len()).into())
}

/// Checks a decision. `reports`: if it is about a batch, how many reports it has.
pub(super) fn decision(decision: &Decision, reports: Option<usize>) -> Result<(), Fault> {
    at_most("bytes of output", decision.output.len(), OUTPUT_BYTES_MAX)?;
    at_most("effects", decision.effects.len(), EFFECTS_MAX)?;
    for (index, effect) in decision.effects.iter().enumerate() {
        let check = Check { decision, index, reports };
        check.effect(effect).map_err(|problem| format!("effect {}: {problem}", index + 1))?;
    }
    Ok(())
}

struct Check<'a> {
    decision: &'a Decision,
    index: usize,
    reports: Option<usize>,
}

impl Check<'_> {
    fn effect(&self, effect: &Effect) -> Result<(), String> {
        if self.reports.is_some() && !matches!(effect, Effect::Publish(_) | Effect::Note(_)) {
            return Err("only publish and note can follow from reports".into());
        }
        match effect {
            Effect::Reply(reply) => {
                self.span("reply", reply.bytes, 0, usize::MAX)?;
                let Some(tie) = reply.tie else { return Ok(()) };
                self.span("reply", tie.otherwise, 0, usize::MAX)?;
                self.keep_before(tie.keep)
            }
            Effect::Keep(keep) => {
                self.span("key", keep.key, 1, KEY_BYTES_MAX)?;
                self.span("rank", keep.rank, 0, RANK_BYTES_MAX)?;
                self.span("record", keep.bytes, 0, RECORD_BYTES_MAX)?;
                let FanOut::TheseFirst(peers) = &keep.fan_out else { return Ok(()) };
                at_most("peers to tell first", peers.len(), PEERS_MAX)
            }
            Effect::Fetch(fetch) => {
                self.span("upstream", fetch.upstream, 1, UPSTREAM_BYTES_MAX)?;
                self.span("path", fetch.path, 0, PATH_BYTES_MAX)?;
                self.span("body", fetch.body, 0, RECORD_BYTES_MAX)?;
                self.span("token", fetch.token, 0, TOKEN_BYTES_MAX)?;
                self.span("reply", fetch.otherwise, 0, usize::MAX)
            }
            Effect::Subscribe(topic) | Effect::Unsubscribe(topic) => self.span("topic", *topic, 1, KEY_BYTES_MAX),
            Effect::Publish(publish) => {
                self.span("topic", publish.topic, 1, KEY_BYTES_MAX)?;
                self.span("publish", publish.bytes, 0, usize::MAX)?;
                match (publish.tie, self.reports) {
                    (None, _) => Ok(()),
                    (Some(tie), None) => self.keep_before(tie),
                    (Some(tie), Some(reports)) if (tie as usize) < reports => Ok(()),
                    (Some(_), Some(_)) => Err("tied to a report that is not there".into()),
                }
            }
            Effect::Close => Ok(()),
            Effect::Note(note) => self.span("note", note.text, 0, usize::MAX),
        }
    }

    fn span(&self, what: &str, span: Span, min: usize, max: usize) -> Result<(), String> {
        let bytes = span.of(&self.decision.output).ok_or_else(|| format!("{what} outside of the output"))?;
        if bytes.len() < min {
            return Err(format!("empty {what}"));
        }
        at_most(&format!("bytes of {what}"), bytes.len(), max)
    }

    fn keep_before(&self, index: u32) -> Result<(), String> {
        let index = index as usize;
        let is_keep = matches!(self.decision.effects.get(index), Some(Effect::Keep(_)));
        if is_keep && index < self.index {
            Ok(())
        } else {
            Err("tied to something that is not a keep before it".into())
        }
    }
}

fn at_most(what: &str, number: usize, max: usize) -> Result<(), String> {
    if number <= max { Ok(()) } else { Err(format!("{number} {what}, at most {max} are allowed")) }
}

const OUTPUT_BYTES_MAX: usize = 8 << 20;
const EFFECTS_MAX: usize = 8 << 10;
/// Topics too.
const KEY_BYTES_MAX: usize = 64 << 10;
/// Bodies too.
const RECORD_BYTES_MAX: usize = 128 << 10;
const RANK_BYTES_MAX: usize = 64;
const TOKEN_BYTES_MAX: usize = 4 << 10;
const UPSTREAM_BYTES_MAX: usize = 1 << 10;
const PATH_BYTES_MAX: usize = 8 << 10;
const PEERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Keep, Publish, Reply, Tie};

    fn problem(effect: impl FnOnce(&mut Decision) -> Effect, reports: Option<usize>) -> String {
        let mut decided = Decision::default();
        let effect = effect(&mut decided);
        decided.effects.push(effect);
        decision(&decided, reports).unwrap_err().to_string()
    }

    #[test]
    fn senseless_effects_are_named() {
        let outside = Span { start: 0, length: 1 };
        let tied =
            |keep| Effect::Reply(Reply { bytes: Span::default(), tie: Some(Tie { keep, otherwise: Span::default() }) });
        let keep = |decision: &mut Decision, key: &[u8], rank: &[u8]| {
            let (key, rank) = (decision.copy(key), decision.copy(rank));
            Effect::Keep(Keep { key, rank, form: 1, bytes: Span::default(), fan_out: FanOut::Everyone })
        };
        let publish = Publish { topic: Span { start: 0, length: 1 }, bytes: Span::default(), tie: Some(1) };
        assert_eq!(problem(|_| Effect::Subscribe(outside), None), "effect 1: topic outside of the output");
        assert_eq!(problem(|_| tied(0), None), "effect 1: tied to something that is not a keep before it");
        assert_eq!(problem(|decision| keep(decision, b"", b""), None), "effect 1: empty key");
        assert_eq!(
            problem(|decision| keep(decision, b"k", &[0; 65]), None),
            "effect 1: 65 bytes of rank, at most 64 are allowed"
        );
        assert_eq!(problem(|_| Effect::Close, Some(1)), "effect 1: only publish and note can follow from reports");
        let tied_outside = |decision: &mut Decision| {
            decision.output.push(b't');
            Effect::Publish(publish)
        };
        assert_eq!(problem(tied_outside, Some(1)), "effect 1: tied to a report that is not there");
        assert!(progress(Progress { consumed: 2, awaits: Awaiting::Bytes(1) }, 1).is_err());
        assert!(progress(Progress { consumed: 0, awaits: Awaiting::Bytes(0) }, 1).is_err());
        assert!(verdicts(&[], 1).is_err());
    }
}
