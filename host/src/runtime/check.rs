//! Effects of a guest are bytes from a stranger: what may be asked, and how much of it.
//!
//! A decision with one senseless effect is a fault of the guest, and none of its effects is performed: half a
//! decision would be a state that no guest ever decided on.

use herd_sdk::{Decision, Effect, FanOut, Span};

use crate::bounds::{KEY_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};

/// An effect that makes no sense. The guest is at fault; nothing was performed, and the instance dies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    /// A span points outside of the output.
    #[error("effect {0} points outside of the output")]
    Span(usize),
    /// A tie names something that is not an earlier keep, or not a report of the batch.
    #[error("effect {0} is tied to something that is not a keep before it")]
    Tie(usize),
    /// An effect needs a session and there is none.
    #[error("effect {0} needs a session, and a decision on reports has none")]
    NoSession(usize),
    /// A key, rank, record, token or topic is over its limit, or empty where it must not be.
    #[error("effect {0} has a {1} of {2} bytes, which must be {3}")]
    Size(usize, &'static str, usize, &'static str),
    /// Too many effects.
    #[error("{0} effects, over the limit of {EFFECTS_MAX}")]
    Effects(usize),
    /// Too much output.
    #[error("{0} bytes of output, over the limit of {OUTPUT_BYTES_MAX}")]
    Output(usize),
    /// More bytes were consumed than were there.
    #[error("consumed {0} of {1} bytes")]
    Consumed(u32, usize),
    /// A batch of reports got another number of verdicts.
    #[error("{0} verdicts for {1} reports")]
    Verdicts(usize, usize),
    /// Waiting for no bytes at all would never end.
    #[error("waits for 0 bytes")]
    AwaitsNothing,
}

/// Whom a decision is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A session: input, or the answer to a fetch.
    Session,
    /// A batch of this many reports.
    Reports(usize),
}

/// Checks every effect of a decision.
///
/// # Errors
///
/// The first that makes no sense.
pub(super) fn check(decision: &Decision, scope: Scope) -> Result<(), Senseless> {
    if decision.output.len() > OUTPUT_BYTES_MAX {
        return Err(Senseless::Output(decision.output.len()));
    }
    if decision.effects.len() > EFFECTS_MAX {
        return Err(Senseless::Effects(decision.effects.len()));
    }
    decision.effects.iter().enumerate().try_for_each(|(index, effect)| {
        if let Scope::Reports(_) = scope
            && !matches!(effect, Effect::Publish(_) | Effect::Note(_))
        {
            return Err(Senseless::NoSession(index));
        }
        Checker { decision, scope, index }.check(effect)
    })
}

struct Checker<'a> {
    decision: &'a Decision,
    scope: Scope,
    index: usize,
}

impl Checker<'_> {
    fn check(&self, effect: &Effect) -> Result<(), Senseless> {
        match effect {
            Effect::Reply(reply) => {
                self.within(reply.bytes)?;
                if let Some(tie) = reply.tie {
                    self.within(tie.otherwise)?;
                    self.tied(tie.keep)?;
                }
                Ok(())
            }
            Effect::Keep(keep) => {
                self.sized(keep.key, "key", 1, KEY_BYTES_MAX, "1 byte to 64 KiB")?;
                self.sized(keep.rank, "rank", 0, RANK_BYTES_MAX, "at most 64 bytes")?;
                self.sized(keep.bytes, "record", 0, RECORD_BYTES_MAX, "at most 128 KiB")?;
                match &keep.fan_out {
                    FanOut::TheseFirst(peers) if peers.len() > FAN_OUT_MAX => {
                        Err(Senseless::Size(self.index, "fan-out", peers.len(), "at most 64 names"))
                    }
                    _ => Ok(()),
                }
            }
            Effect::Fetch(fetch) => {
                self.sized(fetch.upstream, "upstream name", 1, NAME_BYTES_MAX, "1 byte to 1 KiB")?;
                self.sized(fetch.path, "path", 0, PATH_BYTES_MAX, "at most 8 KiB")?;
                self.sized(fetch.body, "body", 0, RECORD_BYTES_MAX, "at most 128 KiB")?;
                self.sized(fetch.token, "token", 0, TOKEN_BYTES_MAX, "at most 4 KiB")?;
                self.within(fetch.otherwise)
            }
            Effect::Subscribe(topic) | Effect::Unsubscribe(topic) => {
                self.sized(*topic, "topic", 1, KEY_BYTES_MAX, "1 byte to 64 KiB")
            }
            Effect::Publish(publish) => {
                self.sized(publish.topic, "topic", 1, KEY_BYTES_MAX, "1 byte to 64 KiB")?;
                self.sized(publish.bytes, "publish", 0, RECORD_BYTES_MAX, "at most 128 KiB")?;
                publish.tie.map_or(Ok(()), |tie| self.tied(tie))
            }
            Effect::Close => Ok(()),
            Effect::Note(note) => self.within(note.text),
        }
    }

    fn within(&self, span: Span) -> Result<(), Senseless> {
        span.of(&self.decision.output).map(drop).ok_or(Senseless::Span(self.index))
    }

    fn sized(
        &self,
        span: Span,
        what: &'static str,
        min: usize,
        max: usize,
        must: &'static str,
    ) -> Result<(), Senseless> {
        self.within(span)?;
        let length = span.length as usize;
        if (min..=max).contains(&length) { Ok(()) } else { Err(Senseless::Size(self.index, what, length, must)) }
    }

    fn tied(&self, to: u32) -> Result<(), Senseless> {
        let to = to as usize;
        let exists = match self.scope {
            Scope::Reports(count) => to < count,
            Scope::Session => to < self.index && matches!(self.decision.effects.get(to), Some(Effect::Keep(_))),
        };
        if exists { Ok(()) } else { Err(Senseless::Tie(self.index)) }
    }
}

/// A window of 4 KiB holds 2048 of the shortest lines, and a guest may want more than one effect for each.
const EFFECTS_MAX: usize = 8 << 10;
/// The longest answer is a page of places, some tens of KiB; a window may bring hundreds of reports or questions.
const OUTPUT_BYTES_MAX: usize = 8 << 20;
const FAN_OUT_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 1 << 10;
/// What common HTTP servers take.
const PATH_BYTES_MAX: usize = 8 << 10;
const TOKEN_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use herd_sdk::{Keep, Publish, Reply, Tie};

    use super::*;

    fn decision(effects: Vec<Effect>) -> Decision {
        Decision { output: vec![b'x'; 16], effects }
    }

    fn keep(key_length: u32, rank_length: u32) -> Effect {
        let span = |length| Span { start: 0, length };
        let fan_out = FanOut::Everyone;
        Effect::Keep(Keep { key: span(key_length), rank: span(rank_length), form: 0, bytes: span(1), fan_out })
    }

    fn tied_reply(to: u32) -> Effect {
        let span = Span { start: 0, length: 1 };
        Effect::Reply(Reply { bytes: span, tie: Some(Tie { keep: to, otherwise: span }) })
    }

    #[test]
    fn a_span_outside_of_the_output_is_senseless_even_where_it_overflows() {
        for (start, length) in [(16, 1), (0, 17), (u32::MAX, u32::MAX)] {
            let reply = Effect::Reply(Reply { bytes: Span { start, length }, tie: None });
            assert_eq!(check(&decision(vec![reply]), Scope::Session), Err(Senseless::Span(0)));
        }
    }

    #[test]
    fn a_tie_must_name_a_keep_that_comes_before() {
        assert_eq!(check(&decision(vec![keep(1, 1), tied_reply(0)]), Scope::Session), Ok(()));
        for senseless in [vec![tied_reply(1), keep(1, 1)], vec![tied_reply(0)], vec![keep(1, 1), tied_reply(9)]] {
            assert!(matches!(check(&decision(senseless), Scope::Session), Err(Senseless::Tie(_))));
        }
    }

    #[test]
    fn a_decision_on_reports_may_only_publish_and_note() {
        let span = Span { start: 0, length: 1 };
        let publish = |tie| Effect::Publish(Publish { topic: span, bytes: span, tie });
        assert_eq!(check(&decision(vec![publish(Some(1))]), Scope::Reports(2)), Ok(()));
        assert_eq!(check(&decision(vec![publish(Some(2))]), Scope::Reports(2)), Err(Senseless::Tie(0)));
        assert_eq!(check(&decision(vec![Effect::Close]), Scope::Reports(2)), Err(Senseless::NoSession(0)));
    }

    #[test]
    fn keys_and_ranks_have_limits() {
        assert!(matches!(check(&decision(vec![keep(0, 1)]), Scope::Session), Err(Senseless::Size(0, "key", 0, _))));
        let long = Decision { output: vec![0; 100], effects: vec![keep(1, 65)] };
        assert!(matches!(check(&long, Scope::Session), Err(Senseless::Size(0, "rank", 65, _))));
    }
}
