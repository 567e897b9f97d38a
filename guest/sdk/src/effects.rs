//! Codec of effects: one list of 32-bit words, encoded on one side of the WIT boundary and decoded on the other.
//!
//! Owns the encoding that the table in `wit/effects.wit` defines. Decoding must not judge spans, ties or sizes, only the
//! kind and number of words; `check` does the rest. The number of words bounds it.

use crate::effect::{Effect, FanOut, Fetch, Keep, Level, Method, Note, Publish, Reply, Span, Tie};
use crate::event::{Awaiting, Progress};

/// Encoded effects, in the order in which the host performs them.
///
/// ```
/// use herd_sdk::{Effect, Effects};
///
/// let effects = Effects::from_iter([Effect::Refuse(2), Effect::Close]);
/// assert_eq!(effects.words(), [13, 2, 10]);
/// assert_eq!(effects.iter().count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    words: Vec<u32>,
}

impl Effects {
    /// Returns an empty list with capacity for this many words.
    #[must_use]
    pub fn with_capacity(words: usize) -> Self {
        Self { words: Vec::with_capacity(words) }
    }

    /// Wraps words without decoding them.
    #[must_use]
    pub fn from_words(words: Vec<u32>) -> Self {
        Self { words }
    }

    /// Returns the words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Returns the words.
    #[must_use]
    pub fn into_words(self) -> Vec<u32> {
        self.words
    }

    /// Returns whether the list holds no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Decodes the effects one by one. Stops at words that it cannot decode; see [`Iter::rest`].
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { words: &self.words }
    }

    /// Decodes the effects from this word on.
    pub(crate) fn iter_from(&self, word: usize) -> Iter<'_> {
        Iter { words: self.words.get(word..).unwrap_or_default() }
    }

    /// Encodes one effect at the end.
    #[inline]
    pub fn push(&mut self, effect: Effect) {
        match effect {
            Effect::Reply(Reply { bytes, tie: None }) => self.extend([kind::REPLY, bytes.start, bytes.length]),
            Effect::Reply(Reply { bytes, tie: Some(Tie { keep, otherwise }) }) => {
                self.extend([kind::REPLY_IF_KEPT, bytes.start, bytes.length, keep, otherwise.start, otherwise.length]);
            }
            Effect::Keep(Keep { key, rank, form, bytes, fan_out }) => {
                let kind = if fan_out == FanOut::Everyone { kind::KEEP } else { kind::KEEP_THESE_FIRST };
                self.extend([kind, key.start, key.length, rank.start, rank.length, form, bytes.start, bytes.length]);
                if let FanOut::TheseFirst(peers) = fan_out {
                    self.extend([peers.start, peers.length]);
                }
            }
            Effect::Fetch(Fetch { upstream, method, path, body, token, otherwise }) => {
                self.extend([kind::FETCH, u32::from(method == Method::Post)]);
                for span in [upstream, path, body, token, otherwise] {
                    self.extend([span.start, span.length]);
                }
            }
            Effect::Subscribe(topic) => self.extend([kind::SUBSCRIBE, topic.start, topic.length]),
            Effect::Unsubscribe(topic) => self.extend([kind::UNSUBSCRIBE, topic.start, topic.length]),
            Effect::Publish(Publish { topic, bytes, tie }) => {
                let kind = if tie.is_none() { kind::PUBLISH } else { kind::PUBLISH_IF_APPLIED };
                self.extend([kind, topic.start, topic.length, bytes.start, bytes.length]);
                self.words.extend(tie);
            }
            Effect::Close => self.extend([kind::CLOSE]),
            Effect::Note(Note { level, text }) => {
                let level = match level {
                    Level::Debug => 0,
                    Level::Info => 1,
                    Level::Warn => 2,
                };
                self.extend([kind::NOTE, level, text.start, text.length]);
            }
            Effect::Done(Progress { consumed, awaits }) => {
                let (awaits, what) = match awaits {
                    Awaiting::Delimiter(byte) => (0, u32::from(byte)),
                    Awaiting::Bytes(number) => (1, number),
                };
                self.extend([kind::DONE, u32::try_from(consumed).unwrap_or(u32::MAX), awaits, what]);
            }
            Effect::Refuse(report) => self.extend([kind::REFUSE, report]),
        }
    }

    #[inline]
    fn extend<const N: usize>(&mut self, words: [u32; N]) {
        self.words.extend_from_slice(&words);
    }
}

impl<'a> IntoIterator for &'a Effects {
    type Item = Effect;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Extend<Effect> for Effects {
    fn extend<T: IntoIterator<Item = Effect>>(&mut self, effects: T) {
        effects.into_iter().for_each(|effect| self.push(effect));
    }
}

impl FromIterator<Effect> for Effects {
    fn from_iter<T: IntoIterator<Item = Effect>>(effects: T) -> Self {
        let mut all = Self::default();
        Extend::extend(&mut all, effects);
        all
    }
}

/// Iterator that decodes effects.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    words: &'a [u32],
}

impl<'a> Iter<'a> {
    /// Returns the words that are not decoded yet. If the iterator has ended and words are left, they are malformed.
    #[must_use]
    pub fn rest(&self) -> &'a [u32] {
        self.words
    }
}

impl Iterator for Iter<'_> {
    type Item = Effect;

    #[inline]
    fn next(&mut self) -> Option<Effect> {
        let span = |start, length| Span { start, length };
        let (effect, rest) = match *self.words {
            [kind::REPLY, start, length, ref rest @ ..] => {
                (Effect::Reply(Reply { bytes: span(start, length), tie: None }), rest)
            }
            [kind::REPLY_IF_KEPT, a, b, keep, c, d, ref rest @ ..] => {
                let tie = Some(Tie { keep, otherwise: span(c, d) });
                (Effect::Reply(Reply { bytes: span(a, b), tie }), rest)
            }
            [kind::KEEP, a, b, c, d, form, e, f, ref rest @ ..] => {
                let keep =
                    Keep { key: span(a, b), rank: span(c, d), form, bytes: span(e, f), fan_out: FanOut::Everyone };
                (Effect::Keep(keep), rest)
            }
            [kind::KEEP_THESE_FIRST, a, b, c, d, form, e, f, g, h, ref rest @ ..] => {
                let fan_out = FanOut::TheseFirst(span(g, h));
                (Effect::Keep(Keep { key: span(a, b), rank: span(c, d), form, bytes: span(e, f), fan_out }), rest)
            }
            [kind::FETCH, method @ 0..=1, a, b, c, d, e, f, g, h, i, j, ref rest @ ..] => {
                let fetch = Fetch {
                    upstream: span(a, b),
                    method: if method == 1 { Method::Post } else { Method::Get },
                    path: span(c, d),
                    body: span(e, f),
                    token: span(g, h),
                    otherwise: span(i, j),
                };
                (Effect::Fetch(fetch), rest)
            }
            [kind::SUBSCRIBE, start, length, ref rest @ ..] => (Effect::Subscribe(span(start, length)), rest),
            [kind::UNSUBSCRIBE, start, length, ref rest @ ..] => (Effect::Unsubscribe(span(start, length)), rest),
            [kind::PUBLISH, a, b, c, d, ref rest @ ..] => {
                (Effect::Publish(Publish { topic: span(a, b), bytes: span(c, d), tie: None }), rest)
            }
            [kind::PUBLISH_IF_APPLIED, a, b, c, d, tie, ref rest @ ..] => {
                (Effect::Publish(Publish { topic: span(a, b), bytes: span(c, d), tie: Some(tie) }), rest)
            }
            [kind::CLOSE, ref rest @ ..] => (Effect::Close, rest),
            [kind::NOTE, level @ 0..=2, start, length, ref rest @ ..] => {
                let level = [Level::Debug, Level::Info, Level::Warn][level as usize];
                (Effect::Note(Note { level, text: span(start, length) }), rest)
            }
            [kind::DONE, consumed, awaits @ 0..=1, what, ref rest @ ..] => {
                let awaits =
                    if awaits == 1 { Awaiting::Bytes(what) } else { Awaiting::Delimiter(u8::try_from(what).ok()?) };
                (Effect::Done(Progress { consumed: consumed as usize, awaits }), rest)
            }
            [kind::REFUSE, report, ref rest @ ..] => (Effect::Refuse(report), rest),
            _ => return None,
        };
        self.words = rest;
        Some(effect)
    }
}

/// First word of an effect.
mod kind {
    pub(super) const REPLY: u32 = 1;
    pub(super) const REPLY_IF_KEPT: u32 = 2;
    pub(super) const KEEP: u32 = 3;
    pub(super) const KEEP_THESE_FIRST: u32 = 4;
    pub(super) const FETCH: u32 = 5;
    pub(super) const SUBSCRIBE: u32 = 6;
    pub(super) const UNSUBSCRIBE: u32 = 7;
    pub(super) const PUBLISH: u32 = 8;
    pub(super) const PUBLISH_IF_APPLIED: u32 = 9;
    pub(super) const CLOSE: u32 = 10;
    pub(super) const NOTE: u32 = 11;
    pub(super) const DONE: u32 = 12;
    pub(super) const REFUSE: u32 = 13;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_effect() -> Vec<Effect> {
        let span = |start| Span { start, length: start + 1 };
        let keep = |fan_out| Keep { key: span(1), rank: span(2), form: 3, bytes: span(4), fan_out };
        let fetch = |method| Fetch {
            upstream: span(1),
            method,
            path: span(2),
            body: span(3),
            token: span(4),
            otherwise: span(5),
        };
        vec![
            Effect::Reply(Reply { bytes: span(1), tie: None }),
            Effect::Reply(Reply { bytes: span(1), tie: Some(Tie { keep: 7, otherwise: span(2) }) }),
            Effect::Keep(keep(FanOut::Everyone)),
            Effect::Keep(keep(FanOut::TheseFirst(span(5)))),
            Effect::Fetch(fetch(Method::Get)),
            Effect::Fetch(fetch(Method::Post)),
            Effect::Subscribe(span(1)),
            Effect::Unsubscribe(span(1)),
            Effect::Publish(Publish { topic: span(1), bytes: span(2), tie: None }),
            Effect::Publish(Publish { topic: span(1), bytes: span(2), tie: Some(3) }),
            Effect::Close,
            Effect::Note(Note { level: Level::Debug, text: span(1) }),
            Effect::Note(Note { level: Level::Info, text: span(1) }),
            Effect::Note(Note { level: Level::Warn, text: span(1) }),
            Effect::Done(Progress { consumed: 9, awaits: Awaiting::Delimiter(b'\n') }),
            Effect::Done(Progress { consumed: 9, awaits: Awaiting::Bytes(4) }),
            Effect::Refuse(3),
        ]
    }

    #[test]
    fn decoding_returns_every_encoded_effect() {
        let effects: Effects = every_effect().into_iter().collect();
        assert_eq!(effects.iter().collect::<Vec<_>>(), every_effect());
        let mut read = effects.iter();
        assert_eq!(read.by_ref().count(), every_effect().len());
        assert_eq!(read.rest(), [0_u32; 0]);
    }

    #[test]
    fn decoding_rejects_a_truncated_effect() {
        for effect in every_effect() {
            let mut words = Effects::from_iter([effect]).into_words();
            words.pop();
            let cut = Effects::from_words(words);
            // In particular, a `KEEP_THESE_FIRST` without its last word must not decode as a `KEEP`.
            assert_eq!(cut.iter().next(), None, "{effect:?}");
        }
    }

    #[test]
    fn decoding_leaves_malformed_words() {
        for words in [
            &[0][..],
            &[14, 1, 2],
            &[5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[11, 3, 0, 0],
            &[12, 0, 2, 0],
            &[12, 0, 0, 256],
        ] {
            let effects = Effects::from_words([&[10], words].concat());
            let mut read = effects.iter();
            assert_eq!((read.by_ref().count(), read.rest()), (1, words));
        }
    }
}
