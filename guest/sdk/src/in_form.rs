//! Logic of one form that decides for a guest of another.
//!
//! Owns the two conversions around such a decision. It must not know what the records hold.

use crate::context::Context;
use crate::decision::Decision;
use crate::effect::{Effect, FanOut, Fetch, Keep, Note, Publish, Reply, Span, Tie};
use crate::event::Found;
use crate::forms::{Forms, Unconvertible};
use crate::records::Records;

impl Context<'_> {
    /// Lets logic that reads and writes the form `form` decide for a guest whose form is `F::NATIVE`: it sees records through
    /// [`F::downgrade`](Forms::downgrade), and what it keeps is written through [`F::upgrade`](Forms::upgrade). Its other effects are taken
    /// over as they are.
    ///
    /// This is all that a second form of existing logic takes. A record that cannot be converted is hidden from the logic; one that it
    /// keeps and that cannot be converted is kept in its own form.
    ///
    /// ```
    /// use herd_sdk::native::{Decider, MemoryRecords, Native};
    /// use herd_sdk::{
    ///     BadSetting, Context, Description, Forms, Input, Logic, Mark, Moment, Progress, Records, Settings, Unconvertible,
    /// };
    ///
    /// /// Keeps each line under the key `last`, in form 1, and replies with the one before.
    /// struct Last;
    ///
    /// impl Last {
    ///     fn line(&self, line: &[u8], context: &mut Context<'_>) {
    ///         let before = context.record(b"last").unwrap_or_default();
    ///         context.reply(&before.bytes);
    ///         let rank = context.now_ns().to_be_bytes();
    ///         context.keep(b"last", &rank, 1, |out| out.extend_from_slice(line));
    ///     }
    /// }
    ///
    /// /// The same, with records in capitals, which is form 2.
    /// struct Shouting(Last);
    ///
    /// impl Forms for Shouting {
    ///     const NATIVE: u32 = 2;
    ///
    ///     fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    ///         if from == 1 { Ok(bytes.to_ascii_uppercase()) } else { Err(Unconvertible::UnknownForm) }
    ///     }
    ///
    ///     fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    ///         if to == 1 { Ok(bytes.to_ascii_lowercase()) } else { Err(Unconvertible::UnknownForm) }
    ///     }
    /// }
    ///
    /// impl Logic for Shouting {
    ///     fn describe() -> Description {
    ///         Description { name: "shouting".into(), version: "1".into(), commands: vec![] }
    ///     }
    ///
    ///     fn configure(_: &Settings) -> Result<Self, BadSetting> {
    ///         Ok(Self(Last))
    ///     }
    ///
    ///     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
    ///         input.lines(|line| context.in_form::<Self, _>(1, |context| self.0.line(line, context)))
    ///     }
    /// }
    ///
    /// let records = std::sync::Arc::new(MemoryRecords::default());
    /// let mut guest = Native::new(Shouting(Last), records.clone()).converting();
    /// let decision = guest.input(Moment::default(), Input { bytes: b"one\ntwo\n", mark: Mark::More })?;
    /// records.apply(&decision);
    /// let found = records.find(&[b"last"]).remove(0).unwrap();
    /// assert_eq!((found.form, &*found.bytes), (2, &b"TWO"[..]));
    /// # Ok::<(), herd_sdk::native::Fault>(())
    /// ```
    pub fn in_form<F: Forms, R>(&mut self, form: u32, decide: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let view = Downgraded { outer: self, form, downgrade: F::downgrade };
        let mut inner = Context::within(self, &view);
        let result = decide(&mut inner);
        let decision = inner.finish();
        self.take_over::<F>(form, &decision);
        result
    }

    /// Adds the effects of a decision within this one, with its keeps of the form `form` in the form of the guest. Its ties stay: its keeps
    /// are numbered from those before it on.
    fn take_over<F: Forms>(&mut self, form: u32, decision: &Decision) {
        for effect in &decision.effects {
            let mut copy = |span: Span| self.decision.copy(decision.bytes(span));
            let effect = match effect {
                Effect::Keep(Keep { key, rank, form: kept_in, bytes, fan_out }) => {
                    let native = (kept_in == form).then(|| F::upgrade(form, decision.bytes(bytes)).ok()).flatten();
                    let (key, rank) = (copy(key), copy(rank));
                    let fan_out = match fan_out {
                        FanOut::Everyone => FanOut::Everyone,
                        FanOut::TheseFirst(peers) => FanOut::TheseFirst(copy(peers)),
                    };
                    let (form, bytes) = match native {
                        Some(native) => (F::NATIVE, self.decision.copy(&native)),
                        None => (kept_in, copy(bytes)),
                    };
                    self.keeps += 1;
                    Effect::Keep(Keep { key, rank, form, bytes, fan_out })
                }
                Effect::Reply(Reply { bytes, tie }) => {
                    let bytes = copy(bytes);
                    let tie = tie.map(|Tie { keep, otherwise }| Tie { keep, otherwise: copy(otherwise) });
                    Effect::Reply(Reply { bytes, tie })
                }
                Effect::Fetch(Fetch { upstream, method, path, body, token, otherwise }) => Effect::Fetch(Fetch {
                    upstream: copy(upstream),
                    method,
                    path: copy(path),
                    body: copy(body),
                    token: copy(token),
                    otherwise: copy(otherwise),
                }),
                Effect::Subscribe(topic) => Effect::Subscribe(copy(topic)),
                Effect::Unsubscribe(topic) => Effect::Unsubscribe(copy(topic)),
                Effect::Publish(Publish { topic, bytes, tie }) => {
                    Effect::Publish(Publish { topic: copy(topic), bytes: copy(bytes), tie })
                }
                Effect::Note(Note { level, text }) => Effect::Note(Note { level, text: copy(text) }),
                Effect::Close | Effect::Refuse(_) => effect,
                // Ends an input, which the guest around the logic does.
                Effect::Done(_) => continue,
            };
            self.decision.effects.push(effect);
        }
    }
}

/// Records of a call, converted to an older form.
struct Downgraded<'t, 'a> {
    outer: &'t Context<'a>,
    form: u32,
    downgrade: fn(u32, &[u8]) -> Result<Vec<u8>, Unconvertible>,
}

impl Records for Downgraded<'_, '_> {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let convert = |found: Found| {
            if found.form == self.form {
                return Some(found);
            }
            Some(Found { bytes: (self.downgrade)(self.form, &found.bytes).ok()?, form: self.form, ..found })
        };
        keys.iter().map(|key| self.outer.record(key).and_then(convert)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Scope, check};
    use crate::event::Moment;
    use crate::native::MemoryRecords;

    struct Capitals;

    impl Forms for Capitals {
        const NATIVE: u32 = 2;

        fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
            if from == 1 && bytes != b"odd" { Ok(bytes.to_ascii_uppercase()) } else { Err(Unconvertible::Malformed) }
        }

        fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
            if to == 1 { Ok(bytes.to_ascii_lowercase()) } else { Err(Unconvertible::UnknownForm) }
        }
    }

    /// Goal: the guest's decision is that of the inner logic, but for the records. Method: keeps before it, so that ties move, and every
    /// kind of effect; decided once with records of the first form and once through the conversion.
    #[test]
    fn effects_of_the_inner_logic_are_taken_over() {
        let decide = |context: &mut Context<'_>| {
            let seen = context.record(b"before").unwrap_or_default().bytes;
            let keep = context.keep_telling_first(b"k", b"rank", 1, |out| out.extend(b"here"), &["Riley"]);
            context.reply_if_kept(keep, |out| out.extend(seen), |out| out.extend(b"FULL"));
            context.publish_if_kept(keep, b"topic", b"moved");
            context.keep_and_reply(b"l", b"rank", 1, |out| out.extend(b"text"), b"\n", |out| out.extend(b"FULL"));
            context.fetch_post("google", "/path", b"body", b"token", b"otherwise");
            context.subscribe(b"topic");
            context.unsubscribe(b"topic");
            context.publish(b"topic", b"text");
            context.note(crate::effect::Level::Info, "note");
            context.close();
        };
        let records = MemoryRecords::default();
        let (mut plain, mut through) =
            (Context::new(Moment::default(), &records), Context::new(Moment::default(), &records));
        plain.keep(b"before", b"rank", 1, |out| out.extend(b"there"));
        decide(&mut plain);
        through.keep(b"before", b"rank", 2, |out| out.extend(b"THERE"));
        through.in_form::<Capitals, _>(1, decide);
        through.keep(b"after", b"rank", 2, |_| {});
        assert_eq!(through.keeps(), 4);
        let (plain, through) = (plain.finish(), through.finish());
        check(&through, Scope::Answer).unwrap();
        let shown = |decision: &Decision, effect: Effect| match effect {
            Effect::Keep(keep) => (decision.bytes(keep.key).to_vec(), decision.bytes(keep.bytes).to_ascii_lowercase()),
            Effect::Reply(Reply { bytes, tie }) => {
                let tie = tie.unwrap();
                (decision.bytes(bytes).to_vec(), [&[tie.keep as u8], decision.bytes(tie.otherwise)].concat())
            }
            Effect::Publish(publish) => (decision.bytes(publish.bytes).to_vec(), vec![publish.tie.unwrap_or(9) as u8]),
            Effect::Fetch(fetch) => (decision.bytes(fetch.token).to_vec(), decision.bytes(fetch.otherwise).to_vec()),
            Effect::Note(note) => (decision.bytes(note.text).to_vec(), vec![]),
            Effect::Subscribe(topic) | Effect::Unsubscribe(topic) => (decision.bytes(topic).to_vec(), vec![]),
            Effect::Close | Effect::Done(_) | Effect::Refuse(_) => (vec![], vec![]),
        };
        let all =
            |decision: &Decision| decision.effects.iter().map(|effect| shown(decision, effect)).collect::<Vec<_>>();
        assert_eq!(all(&through)[..all(&plain).len()], all(&plain));
        let forms = through.effects.iter().filter_map(|effect| match effect {
            Effect::Keep(keep) => Some((keep.form, through.bytes(keep.bytes))),
            _ => None,
        });
        assert_eq!(forms.collect::<Vec<_>>(), [(2, &b"THERE"[..]), (2, b"HERE"), (2, b"TEXT"), (2, b"")]);
    }

    /// Goal: a rank may contain the number of a keep, and a limit the bytes of the call, also in inner logic. Method: a keep before it,
    /// and a reply after it that is tied to its keep.
    #[test]
    fn keeps_and_bytes_of_the_call_count_in_the_inner_logic() {
        let records = MemoryRecords::default();
        let mut context = Context::new(Moment::default(), &records);
        context.keep(b"k", b"rank", 2, |out| out.extend(b"THERE"));
        let before = (context.keeps(), context.output_bytes());
        let (counts, keep) = context.in_form::<Capitals, _>(1, |context| {
            let counts = (context.keeps(), context.output_bytes());
            (counts, context.keep(b"l", b"rank", 1, |out| out.extend(b"here")))
        });
        assert_eq!(counts, before);
        context.reply_if_kept(keep, |out| out.extend(b"yes"), |out| out.extend(b"no"));
        let decision = context.finish();
        check(&decision, Scope::Answer).unwrap();
        let Some(Effect::Reply(Reply { tie: Some(tie), .. })) = decision.effects.iter().last() else {
            panic!("no tied reply")
        };
        assert_eq!(tie.keep, 1);
    }

    #[test]
    fn record_that_cannot_be_converted_stays_in_its_form() {
        let records = MemoryRecords::default();
        let mut context = Context::new(Moment::default(), &records);
        context.in_form::<Capitals, _>(1, |context| {
            context.keep(b"k", b"rank", 1, |out| out.extend(b"odd"));
            context.keep(b"l", b"rank", 7, |out| out.extend(b"other"));
        });
        assert_eq!(context.record(b"k").map(|found| (found.form, found.bytes)), Some((1, b"odd".to_vec())));
        assert_eq!(context.record(b"l").map(|found| (found.form, found.bytes)), Some((7, b"other".to_vec())));
    }
}
