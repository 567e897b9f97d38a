//! Effects of a guest are bytes from a stranger: what may be asked, and how much of it. A node checks every decision
//! here, and so does a transcript.
//!
//! A decision with one senseless effect is a fault of the guest, and none of its effects is performed: half a
//! decision would be a state that no guest ever decided on.

use std::fmt;

use crate::batch::Inputs;
use crate::decision::Decision;
use crate::effect::{Effect, FanOut, Span};
use crate::event::Awaiting;
use crate::limits::{
    EFFECTS_MAX, KEY_BYTES_MAX, NAME_BYTES_MAX, OUTPUT_BYTES_MAX, PATH_BYTES_MAX, PEERS_BYTES_MAX, RANK_BYTES_MAX,
    RECORD_BYTES_MAX, TOKEN_BYTES_MAX,
};

/// A decision that makes no sense. The guest is at fault; nothing was performed, and the instance dies.
///
/// Effects are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidDecision {
    /// The words from this effect on are no effect.
    Unreadable(usize),
    /// A span points outside of the output.
    Span(usize),
    /// A tie names something that is not an earlier keep, or not a report of the batch.
    Tie(usize),
    /// An effect that such a call cannot have.
    Scope(usize, &'static str),
    /// A key, rank, record, token or topic is over its limit, or empty where it must not be.
    Size(usize, &'static str, usize, &'static str),
    /// Too many effects.
    Effects(usize),
    /// Too much output.
    Output(usize),
    /// More bytes were consumed than were there.
    Consumed(usize, usize),
    /// Not one end for each input.
    Inputs(usize, usize),
    /// Waiting for no bytes at all would never end.
    AwaitsNothing,
}

impl fmt::Display for InvalidDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(effect) => write!(f, "effect {effect} cannot be read: its words are no effect"),
            Self::Span(effect) => write!(f, "effect {effect} points outside of the output"),
            Self::Tie(effect) => write!(f, "effect {effect} is tied to something that is not a keep before it"),
            Self::Scope(effect, why) => write!(f, "effect {effect} {why}"),
            Self::Size(effect, what, bytes, must) => {
                write!(f, "effect {effect} has a {what} of {bytes} bytes, which must be {must}")
            }
            Self::Effects(count) => write!(f, "{count} effects, over the limit of {EFFECTS_MAX}"),
            Self::Output(bytes) => write!(f, "{bytes} bytes of output, over the limit of {OUTPUT_BYTES_MAX}"),
            Self::Consumed(consumed, bytes) => write!(f, "consumed {consumed} of {bytes} bytes"),
            Self::Inputs(done, inputs) => write!(f, "{done} of {inputs} inputs are done"),
            Self::AwaitsNothing => f.write_str("awaits no bytes at all"),
        }
    }
}

impl std::error::Error for InvalidDecision {}

/// What a decision is on.
#[derive(Clone, Debug)]
pub enum Scope<'a> {
    /// Inputs of sessions.
    Inputs(Inputs<'a>),
    /// A batch of this many reports.
    Reports(usize),
    /// The answer to a fetch.
    Answer,
}

/// Checks every effect of a decision.
///
/// # Errors
///
/// The first that makes no sense.
pub fn check(decision: &Decision, scope: Scope<'_>) -> Result<(), InvalidDecision> {
    let output_bytes = decision.output.len();
    if output_bytes > OUTPUT_BYTES_MAX {
        return Err(InvalidDecision::Output(output_bytes));
    }
    let mut check = Check { output: &decision.output, scope, effect: 0, keeps: 0, done: 0 };
    let mut effects = decision.effects.iter();
    for effect in effects.by_ref() {
        check.effect += 1;
        check.effect(effect)?;
    }
    if !effects.rest().is_empty() {
        return Err(InvalidDecision::Unreadable(check.effect + 1));
    }
    if check.effect > EFFECTS_MAX {
        return Err(InvalidDecision::Effects(check.effect));
    }
    match check.scope {
        Scope::Inputs(left) if left.clone().next().is_some() => {
            Err(InvalidDecision::Inputs(check.done, check.done + left.count()))
        }
        _ => Ok(()),
    }
}

struct Check<'a> {
    output: &'a [u8],
    scope: Scope<'a>,
    effect: usize,
    keeps: u32,
    done: usize,
}

impl Check<'_> {
    fn effect(&mut self, effect: Effect) -> Result<(), InvalidDecision> {
        match effect {
            Effect::Publish(_) | Effect::Note(_) => {}
            Effect::Done(_) => {
                if !matches!(self.scope, Scope::Inputs(_)) {
                    return Err(InvalidDecision::Scope(self.effect, "ends an input, and there is none"));
                }
            }
            Effect::Refuse(_) => {
                if !matches!(self.scope, Scope::Reports(_)) {
                    return Err(InvalidDecision::Scope(self.effect, "refuses a report, and there is none"));
                }
            }
            _ => {
                if matches!(self.scope, Scope::Reports(_)) {
                    return Err(InvalidDecision::Scope(
                        self.effect,
                        "needs a session, and a decision on reports has none",
                    ));
                }
            }
        }
        match effect {
            Effect::Reply(reply) => {
                self.within(reply.bytes)?;
                let Some(tie) = reply.tie else { return Ok(()) };
                self.within(tie.otherwise)?;
                self.kept(tie.keep)
            }
            Effect::Keep(keep) => {
                self.keeps += 1;
                self.sized(keep.key, "key", 1, KEY_BYTES_MAX, "1 byte to 64 KiB")?;
                self.sized(keep.rank, "rank", 0, RANK_BYTES_MAX, "at most 64 bytes")?;
                self.sized(keep.bytes, "record", 0, RECORD_BYTES_MAX, "at most 128 KiB")?;
                match keep.fan_out {
                    FanOut::Everyone => Ok(()),
                    FanOut::TheseFirst(peers) => {
                        self.sized(peers, "list of peers", 0, PEERS_BYTES_MAX, "at most 4 KiB")
                    }
                }
            }
            Effect::Fetch(fetch) => {
                self.sized(fetch.upstream, "upstream name", 1, NAME_BYTES_MAX, "1 byte to 1 KiB")?;
                self.sized(fetch.path, "path", 0, PATH_BYTES_MAX, "at most 8 KiB")?;
                self.sized(fetch.body, "body", 0, RECORD_BYTES_MAX, "at most 128 KiB")?;
                self.sized(fetch.token, "token", 0, TOKEN_BYTES_MAX, "at most 4 KiB")?;
                self.within(fetch.otherwise)
            }
            Effect::Subscribe(topic) | Effect::Unsubscribe(topic) => self.topic(topic),
            Effect::Publish(publish) => {
                self.topic(publish.topic)?;
                self.sized(publish.bytes, "publish", 0, RECORD_BYTES_MAX, "at most 128 KiB")?;
                publish.tie.map_or(Ok(()), |tie| self.kept(tie))
            }
            Effect::Close => Ok(()),
            Effect::Note(note) => self.within(note.text),
            Effect::Done(progress) => {
                let Scope::Inputs(inputs) = &mut self.scope else { return Ok(()) };
                let input = inputs.next().ok_or(InvalidDecision::Inputs(self.done + 1, self.done))?;
                self.done += 1;
                match progress.awaits {
                    _ if progress.consumed > input.bytes.len() => {
                        Err(InvalidDecision::Consumed(progress.consumed, input.bytes.len()))
                    }
                    Awaiting::Bytes(0) => Err(InvalidDecision::AwaitsNothing),
                    _ => Ok(()),
                }
            }
            Effect::Refuse(report) => match self.scope {
                Scope::Reports(reports) if report as usize >= reports => {
                    Err(InvalidDecision::Scope(self.effect, "refuses a report that is not there"))
                }
                _ => Ok(()),
            },
        }
    }

    fn topic(&self, topic: Span) -> Result<(), InvalidDecision> {
        self.sized(topic, "topic", 1, KEY_BYTES_MAX, "1 byte to 64 KiB")
    }

    fn within(&self, span: Span) -> Result<(), InvalidDecision> {
        let end = u64::from(span.start) + u64::from(span.length);
        if end <= self.output.len() as u64 { Ok(()) } else { Err(InvalidDecision::Span(self.effect)) }
    }

    fn sized(
        &self,
        span: Span,
        what: &'static str,
        min: usize,
        max: usize,
        must: &'static str,
    ) -> Result<(), InvalidDecision> {
        self.within(span)?;
        let length = span.length as usize;
        if (min..=max).contains(&length) { Ok(()) } else { Err(InvalidDecision::Size(self.effect, what, length, must)) }
    }

    /// Whether there is such a keep, or report.
    fn kept(&self, number: u32) -> Result<(), InvalidDecision> {
        let exists = match self.scope {
            Scope::Reports(count) => (number as usize) < count,
            _ => number < self.keeps,
        };
        if exists { Ok(()) } else { Err(InvalidDecision::Tie(self.effect)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::InputBatch;
    use crate::effect::{Keep, Publish, Reply, Tie};
    use crate::effects::Effects;
    use crate::event::{Input, Mark, Progress};

    /// Over 16 bytes of output.
    fn decision(effects: &[Effect]) -> Decision {
        Decision { output: vec![b'x'; 16], effects: effects.iter().copied().collect() }
    }

    fn checked(effects: &[Effect]) -> Result<(), InvalidDecision> {
        check(&decision(effects), Scope::Answer)
    }

    fn span(length: u32) -> Span {
        Span { start: 0, length }
    }

    fn keep(key: u32, rank: u32) -> Effect {
        Effect::Keep(Keep { key: span(key), rank: span(rank), form: 0, bytes: span(1), fan_out: FanOut::Everyone })
    }

    fn tied_reply(to: u32) -> Effect {
        Effect::Reply(Reply { bytes: span(1), tie: Some(Tie { keep: to, otherwise: span(1) }) })
    }

    fn done(consumed: usize) -> Effect {
        Effect::Done(Progress { consumed, awaits: Awaiting::Delimiter(b'\n') })
    }

    #[test]
    fn a_span_outside_of_the_output_is_senseless_even_where_it_overflows() {
        for (start, length) in [(16, 1), (0, 17), (u32::MAX, u32::MAX)] {
            let reply = Effect::Reply(Reply { bytes: Span { start, length }, tie: None });
            assert_eq!(checked(&[reply]), Err(InvalidDecision::Span(1)));
        }
    }

    #[test]
    fn a_tie_must_name_a_keep_that_comes_before() {
        assert_eq!(checked(&[keep(1, 1), tied_reply(0), keep(1, 1), tied_reply(0), tied_reply(1)]), Ok(()));
        for (effects, wrong) in
            [(vec![tied_reply(0), keep(1, 1)], 1), (vec![keep(1, 1), tied_reply(1)], 2), (vec![tied_reply(0)], 1)]
        {
            assert_eq!(checked(&effects), Err(InvalidDecision::Tie(wrong)));
        }
    }

    #[test]
    fn a_decision_on_reports_may_only_refuse_publish_and_note() {
        let reports = |effect| check(&decision(&[effect]), Scope::Reports(2));
        let publish = |tie| Effect::Publish(Publish { topic: span(1), bytes: span(1), tie });
        assert_eq!((reports(publish(Some(1))), reports(Effect::Refuse(1))), (Ok(()), Ok(())));
        assert_eq!(reports(publish(Some(2))), Err(InvalidDecision::Tie(1)));
        for wrong in [Effect::Close, Effect::Refuse(2), done(0)] {
            assert!(matches!(reports(wrong), Err(InvalidDecision::Scope(1, _))), "{wrong:?}");
        }
        assert!(matches!(checked(&[Effect::Refuse(0)]), Err(InvalidDecision::Scope(1, _))));
        assert!(matches!(checked(&[done(0)]), Err(InvalidDecision::Scope(1, _))));
    }

    #[test]
    fn every_input_ends_once_and_consumes_no_more_than_it_has() {
        let batch: InputBatch = [b"a\n", b"b\n"].map(|bytes| Input { bytes, mark: Mark::More }).into_iter().collect();
        let inputs = |effects: &[Effect]| check(&decision(effects), Scope::Inputs(batch.iter()));
        assert_eq!(inputs(&[done(2), Effect::Close, done(0)]), Ok(()));
        assert_eq!(inputs(&[done(2)]), Err(InvalidDecision::Inputs(1, 2)));
        assert_eq!(inputs(&[done(2), done(2), done(0)]), Err(InvalidDecision::Inputs(3, 2)));
        assert_eq!(inputs(&[done(2), done(3)]), Err(InvalidDecision::Consumed(3, 2)));
        let awaits = Awaiting::Bytes(0);
        assert_eq!(inputs(&[Effect::Done(Progress { consumed: 0, awaits })]), Err(InvalidDecision::AwaitsNothing));
    }

    #[test]
    fn keys_and_ranks_have_limits() {
        assert!(matches!(checked(&[keep(0, 1)]), Err(InvalidDecision::Size(1, "key", 0, _))));
        let long = Decision { output: vec![0; 100], ..decision(&[keep(1, 65)]) };
        assert!(matches!(check(&long, Scope::Answer), Err(InvalidDecision::Size(1, "rank", 65, _))));
    }

    #[test]
    fn words_that_are_no_effect_are_senseless_and_so_are_too_many() {
        let unreadable = Decision { output: vec![], effects: Effects::from_words(vec![10, 99]) };
        assert_eq!(check(&unreadable, Scope::Answer), Err(InvalidDecision::Unreadable(2)));
        assert_eq!(checked(&vec![Effect::Close; EFFECTS_MAX + 1]), Err(InvalidDecision::Effects(EFFECTS_MAX + 1)));
    }
}
