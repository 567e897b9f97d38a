//! Check of a decision, on a node and in a transcript.
//!
//! Owns the rules for effects that `wit/effects.wit` states: spans, ties, sizes, and which effects a call may have. It must
//! not perform an effect or know who decided: the words of a guest are untrusted input. The [limits](crate::limits) bound
//! it, since it visits each effect once.
//!
//! One invalid effect invalidates the whole decision. Performing the rest would produce a state that no guest decided on.

use std::fmt;

use crate::batch::Inputs;
use crate::decision::Decision;
use crate::effect::{Effect, FanOut, Span};
use crate::event::Awaiting;
use crate::limits::{
    EFFECTS_MAX, KEY_BYTES_MAX, NAME_BYTES_MAX, OUTPUT_BYTES_MAX, PATH_BYTES_MAX, PEERS_BYTES_MAX, RANK_BYTES_MAX,
    RECORD_BYTES_MAX, SPANS_BYTES_MAX, TOKEN_BYTES_MAX,
};

/// Reason why a decision is invalid. The guest is at fault. No effect was performed, and the instance dies.
///
/// The number of an effect counts from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidDecision {
    /// The words of this effect have an unknown kind, end early or hold a value out of range.
    Malformed(usize),
    /// A span of this effect exceeds the output.
    Span(usize),
    /// This effect is tied to a keep that does not precede it.
    TiedKeep(usize),
    /// This effect is tied to a report that the batch does not have.
    TiedReport(usize),
    /// This effect is not allowed in such a call, for the given reason.
    Scope(usize, &'static str),
    /// A key, rank, record, token or topic is out of bounds.
    Size {
        /// Number of the effect.
        effect: usize,
        /// Name of the field.
        field: &'static str,
        /// Size of the field.
        bytes: usize,
        /// Allowed sizes.
        bounds: Bounds,
    },
    /// This many effects, more than the limit.
    Effects(usize),
    /// This many bytes of output, more than the limit.
    Output(usize),
    /// With this effect, the spans of the decision are longer together than the limit.
    Spans(usize),
    /// More bytes consumed than the input has.
    Consumed {
        /// Bytes consumed.
        consumed: usize,
        /// Bytes of the input.
        bytes: usize,
    },
    /// Not exactly one `done` for each input.
    Inputs {
        /// Number of `done` effects.
        done: usize,
        /// Number of inputs.
        inputs: usize,
    },
    /// A guest that awaits 0 more bytes would be called without end.
    AwaitsNothing,
}

impl fmt::Display for InvalidDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(effect) => write!(f, "effect {effect} cannot be decoded"),
            Self::Span(effect) => write!(f, "effect {effect} points outside of the output"),
            Self::TiedKeep(effect) => write!(f, "effect {effect} is tied to a keep that does not precede it"),
            Self::TiedReport(effect) => write!(f, "effect {effect} is tied to a report that is not in the batch"),
            Self::Scope(effect, reason) => write!(f, "effect {effect} {reason}"),
            Self::Size { effect, field, bytes, bounds } => {
                write!(f, "effect {effect} has a {field} of {bytes} bytes, which must be {bounds}")
            }
            Self::Effects(count) => write!(f, "{count} effects, over the limit of {EFFECTS_MAX}"),
            Self::Output(bytes) => write!(f, "{bytes} bytes of output, over the limit of {OUTPUT_BYTES_MAX}"),
            Self::Spans(effect) => write!(
                f,
                "effect {effect} exceeds the {} MiB that the effects of one decision may name together",
                SPANS_BYTES_MAX >> 20
            ),
            Self::Consumed { consumed, bytes } => write!(f, "consumed {consumed} of {bytes} bytes"),
            Self::Inputs { done, inputs } => write!(f, "{done} of {inputs} inputs are done"),
            Self::AwaitsNothing => f.write_str("awaits 0 more bytes"),
        }
    }
}

impl std::error::Error for InvalidDecision {}

/// Allowed sizes of a field, in bytes, both limits included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Smallest size: 0 or 1.
    pub min: usize,
    /// Largest size.
    pub max: usize,
}

impl fmt::Display for Bounds {
    /// Such as `1 byte to 64 KiB` or `at most 64 bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.min == 0 { "at most " } else { "1 byte to " })?;
        match self.max {
            max if max % 1024 == 0 => write!(f, "{} KiB", max / 1024),
            max => write!(f, "{max} bytes"),
        }
    }
}

/// Kind of call that a decision answers.
#[derive(Clone, Debug)]
pub enum Scope<'a> {
    /// A call on inputs of sessions.
    Inputs(Inputs<'a>),
    /// A call on a batch of this many reports.
    Reports(usize),
    /// A call on the answer to a fetch.
    Answer,
}

/// Checks every effect of a decision.
///
/// # Errors
///
/// The first violation, in the order of the effects; a batch whose inputs are not all done is reported last.
///
/// ```
/// use herd_sdk::check::{InvalidDecision, Scope, check};
/// use herd_sdk::{Decision, Effect};
///
/// let mut decision = Decision::default();
/// let topic = decision.copy(b"news");
/// decision.effects.push(Effect::Subscribe(topic));
/// assert_eq!(check(&decision, Scope::Answer), Ok(()));
/// // Reports come from a peer, so there is no session that could subscribe.
/// assert!(matches!(check(&decision, Scope::Reports(1)), Err(InvalidDecision::Scope(1, _))));
/// ```
pub fn check(decision: &Decision, scope: Scope<'_>) -> Result<(), InvalidDecision> {
    let output_bytes = decision.output.len();
    if output_bytes > OUTPUT_BYTES_MAX {
        return Err(InvalidDecision::Output(output_bytes));
    }
    let mut check = Check { output: &decision.output, scope, effect: 0, keeps: 0, done: 0, span_bytes: 0 };
    let mut effects = decision.effects.iter();
    for effect in effects.by_ref() {
        check.effect += 1;
        check.effect(effect)?;
    }
    // The iterator stops at words that it cannot decode and leaves them.
    if !effects.rest().is_empty() {
        return Err(InvalidDecision::Malformed(check.effect + 1));
    }
    if check.effect > EFFECTS_MAX {
        return Err(InvalidDecision::Effects(check.effect));
    }
    match check.scope {
        Scope::Inputs(left) if left.clone().next().is_some() => {
            Err(InvalidDecision::Inputs { done: check.done, inputs: check.done + left.count() })
        }
        _ => Ok(()),
    }
}

/// State of a check: the position in the decision, and the keeps and inputs seen before it.
struct Check<'a> {
    output: &'a [u8],
    /// The inputs of the scope are those that are not done yet.
    scope: Scope<'a>,
    effect: usize,
    keeps: u32,
    done: usize,
    /// Bytes of the spans seen so far. Cannot overflow: it passes the limit before.
    span_bytes: usize,
}

impl Check<'_> {
    fn effect(&mut self, effect: Effect) -> Result<(), InvalidDecision> {
        match effect {
            Effect::Publish(_) | Effect::Note(_) => {}
            Effect::Done(_) => {
                if !matches!(self.scope, Scope::Inputs(_)) {
                    return Err(InvalidDecision::Scope(self.effect, "ends an input, but the call has none"));
                }
            }
            Effect::Refuse(_) => {
                if !matches!(self.scope, Scope::Reports(_)) {
                    return Err(InvalidDecision::Scope(self.effect, "refuses a report, but the call has none"));
                }
            }
            _ => {
                if matches!(self.scope, Scope::Reports(_)) {
                    return Err(InvalidDecision::Scope(self.effect, "needs a session, but a call on reports has none"));
                }
            }
        }
        match effect {
            Effect::Reply(reply) => {
                self.within_output(reply.bytes)?;
                let Some(tie) = reply.tie else { return Ok(()) };
                self.within_output(tie.otherwise)?;
                self.tie(tie.keep)
            }
            Effect::Keep(keep) => {
                self.keeps += 1;
                self.size(keep.key, "key", Bounds { min: 1, max: KEY_BYTES_MAX })?;
                self.size(keep.rank, "rank", Bounds { min: 0, max: RANK_BYTES_MAX })?;
                self.size(keep.bytes, "record", Bounds { min: 0, max: RECORD_BYTES_MAX })?;
                match keep.fan_out {
                    FanOut::Everyone => Ok(()),
                    FanOut::TheseFirst(peers) => {
                        self.size(peers, "list of peers", Bounds { min: 0, max: PEERS_BYTES_MAX })
                    }
                }
            }
            Effect::Fetch(fetch) => {
                self.size(fetch.upstream, "upstream name", Bounds { min: 1, max: NAME_BYTES_MAX })?;
                self.size(fetch.path, "path", Bounds { min: 0, max: PATH_BYTES_MAX })?;
                self.size(fetch.body, "body", Bounds { min: 0, max: RECORD_BYTES_MAX })?;
                self.size(fetch.token, "token", Bounds { min: 0, max: TOKEN_BYTES_MAX })?;
                self.within_output(fetch.otherwise)
            }
            Effect::Subscribe(topic) | Effect::Unsubscribe(topic) => self.topic(topic),
            Effect::Publish(publish) => {
                self.topic(publish.topic)?;
                self.size(publish.bytes, "publish", Bounds { min: 0, max: RECORD_BYTES_MAX })?;
                publish.tie.map_or(Ok(()), |tie| self.tie(tie))
            }
            Effect::Close => Ok(()),
            Effect::Note(note) => self.within_output(note.text),
            Effect::Done(progress) => {
                let Scope::Inputs(inputs) = &mut self.scope else { return Ok(()) };
                let input = inputs.next().ok_or(InvalidDecision::Inputs { done: self.done + 1, inputs: self.done })?;
                self.done += 1;
                let bytes = input.bytes.len();
                match progress.awaits {
                    _ if progress.consumed > bytes => {
                        Err(InvalidDecision::Consumed { consumed: progress.consumed, bytes })
                    }
                    Awaiting::Bytes(0) => Err(InvalidDecision::AwaitsNothing),
                    _ => Ok(()),
                }
            }
            Effect::Refuse(report) => match self.scope {
                Scope::Reports(reports) if report as usize >= reports => {
                    Err(InvalidDecision::Scope(self.effect, "refuses a report that is not in the batch"))
                }
                _ => Ok(()),
            },
        }
    }

    fn topic(&mut self, topic: Span) -> Result<(), InvalidDecision> {
        self.size(topic, "topic", Bounds { min: 1, max: KEY_BYTES_MAX })
    }

    fn within_output(&mut self, span: Span) -> Result<(), InvalidDecision> {
        // In 64 bits, because the sum of two words of a guest may overflow 32.
        let end = u64::from(span.start) + u64::from(span.length);
        if end > self.output.len() as u64 {
            return Err(InvalidDecision::Span(self.effect));
        }
        self.span_bytes += span.length as usize;
        if self.span_bytes <= SPANS_BYTES_MAX { Ok(()) } else { Err(InvalidDecision::Spans(self.effect)) }
    }

    fn size(&mut self, span: Span, field: &'static str, bounds: Bounds) -> Result<(), InvalidDecision> {
        self.within_output(span)?;
        let bytes = span.length as usize;
        if (bounds.min..=bounds.max).contains(&bytes) {
            Ok(())
        } else {
            Err(InvalidDecision::Size { effect: self.effect, field, bytes, bounds })
        }
    }

    /// Checks the number of a keep or, in a call on reports, the index of a report.
    fn tie(&self, number: u32) -> Result<(), InvalidDecision> {
        match self.scope {
            Scope::Reports(count) if number as usize >= count => Err(InvalidDecision::TiedReport(self.effect)),
            Scope::Reports(_) => Ok(()),
            // Only earlier keeps are counted: the host performs effects in order, so a later keep has no result yet.
            _ if number >= self.keeps => Err(InvalidDecision::TiedKeep(self.effect)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::InputBatch;
    use crate::effect::{Keep, Publish, Reply, Tie};
    use crate::effects::Effects;
    use crate::event::{Input, Mark, Progress};

    /// A decision with 16 bytes of output.
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
    fn span_outside_of_the_output_is_invalid_even_if_its_end_overflows() {
        for (start, length) in [(16, 1), (0, 17), (u32::MAX, u32::MAX)] {
            let reply = Effect::Reply(Reply { bytes: Span { start, length }, tie: None });
            assert_eq!(checked(&[reply]), Err(InvalidDecision::Span(1)));
        }
    }

    #[test]
    fn spans_together_are_bounded_however_often_they_name_the_same_bytes() {
        let output = vec![b'x'; 1 << 20];
        let reply = Effect::Reply(Reply { bytes: span(1 << 20), tie: None });
        let replies =
            |count: usize| Decision { output: output.clone(), effects: vec![reply; count].into_iter().collect() };
        let most = SPANS_BYTES_MAX >> 20;
        assert_eq!(check(&replies(most), Scope::Answer), Ok(()));
        assert_eq!(check(&replies(most + 1), Scope::Answer), Err(InvalidDecision::Spans(most + 1)));
        let told = InvalidDecision::Spans(33).to_string();
        assert_eq!(told, "effect 33 exceeds the 32 MiB that the effects of one decision may name together");
    }

    #[test]
    fn tie_must_name_an_earlier_keep() {
        assert_eq!(checked(&[keep(1, 1), tied_reply(0), keep(1, 1), tied_reply(0), tied_reply(1)]), Ok(()));
        for (effects, wrong) in
            [(vec![tied_reply(0), keep(1, 1)], 1), (vec![keep(1, 1), tied_reply(1)], 2), (vec![tied_reply(0)], 1)]
        {
            assert_eq!(checked(&effects), Err(InvalidDecision::TiedKeep(wrong)));
        }
    }

    #[test]
    fn reports_allow_refuse_publish_and_note_only() {
        let reports = |effect| check(&decision(&[effect]), Scope::Reports(2));
        let publish = |tie| Effect::Publish(Publish { topic: span(1), bytes: span(1), tie });
        assert_eq!((reports(publish(Some(1))), reports(Effect::Refuse(1))), (Ok(()), Ok(())));
        assert_eq!(reports(publish(Some(2))), Err(InvalidDecision::TiedReport(1)));
        for wrong in [Effect::Close, Effect::Refuse(2), done(0)] {
            assert!(matches!(reports(wrong), Err(InvalidDecision::Scope(1, _))), "{wrong:?}");
        }
        assert!(matches!(checked(&[Effect::Refuse(0)]), Err(InvalidDecision::Scope(1, _))));
        assert!(matches!(checked(&[done(0)]), Err(InvalidDecision::Scope(1, _))));
    }

    #[test]
    fn inputs_are_done_once_and_consume_no_more_than_they_have() {
        let batch: InputBatch = [b"a\n", b"b\n"].map(|bytes| Input { bytes, mark: Mark::More }).into_iter().collect();
        let inputs = |effects: &[Effect]| check(&decision(effects), Scope::Inputs(batch.iter()));
        assert_eq!(inputs(&[done(2), Effect::Close, done(0)]), Ok(()));
        assert_eq!(inputs(&[done(2)]), Err(InvalidDecision::Inputs { done: 1, inputs: 2 }));
        assert_eq!(inputs(&[done(2), done(2), done(0)]), Err(InvalidDecision::Inputs { done: 3, inputs: 2 }));
        assert_eq!(inputs(&[done(2), done(3)]), Err(InvalidDecision::Consumed { consumed: 3, bytes: 2 }));
        let awaits = Awaiting::Bytes(0);
        assert_eq!(inputs(&[Effect::Done(Progress { consumed: 0, awaits })]), Err(InvalidDecision::AwaitsNothing));
    }

    #[test]
    fn size_of_keys_and_ranks_is_bounded() {
        assert!(matches!(checked(&[keep(0, 1)]), Err(InvalidDecision::Size { effect: 1, field: "key", bytes: 0, .. })));
        let long = Decision { output: vec![0; 100], ..decision(&[keep(1, 65)]) };
        assert!(matches!(
            check(&long, Scope::Answer),
            Err(InvalidDecision::Size { effect: 1, field: "rank", bytes: 65, .. })
        ));
    }

    #[test]
    fn malformed_words_and_too_many_effects_are_invalid() {
        let unreadable = Decision { output: vec![], effects: Effects::from_words(vec![10, 99]) };
        assert_eq!(check(&unreadable, Scope::Answer), Err(InvalidDecision::Malformed(2)));
        assert_eq!(checked(&vec![Effect::Close; EFFECTS_MAX + 1]), Err(InvalidDecision::Effects(EFFECTS_MAX + 1)));
    }
}
