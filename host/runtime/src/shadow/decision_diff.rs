//! Differences between two decisions on one call: by effect, by part of an effect, and by field of a text.
//!
//! Pure. Effects are compared with the bytes that they point at, so the layout of the output makes no difference. Both
//! decisions were made for the same moment and over the same records, so times of receipt are equal and nothing is masked.
//!
//! Knows nothing of calls, generations or counts. Bounds: those of a decision; at most [`FIELDS_MAX`] fields of a text.

use std::borrow::Cow;
use std::fmt::Debug;

use herd_sdk::{Decision, Effect, FanOut};

/// One difference between two decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Effect, such as `reply`.
    pub effect: &'static str,
    /// Part of the effect, such as `rank`: empty for its main text, `missing` or `extra` for the whole effect.
    pub part: &'static str,
    /// Line, and blank-separated field of that line, both from 1. None where two values differ as a whole.
    pub field: Option<(usize, usize)>,
    /// Value in the first decision; none where it lacks the effect.
    pub before: Option<Vec<u8>>,
    /// Value in the second decision; none where it lacks the effect.
    pub after: Option<Vec<u8>>,
}

/// An effect with the bytes that it points at. Two views of one effect have the same parts in the same order.
#[derive(PartialEq, Eq)]
struct View<'a> {
    effect: &'static str,
    parts: Vec<(&'static str, Cow<'a, [u8]>)>,
}

/// Returns whether two decisions have the same effects, wherever their bytes lie in the output.
#[must_use]
pub fn has_same_effects(before: &Decision, after: &Decision) -> bool {
    before == after || views(before) == views(after)
}

/// Lists the differences between two decisions, in the order of their effects.
#[must_use]
pub fn diff(before: &Decision, after: &Decision) -> Vec<Difference> {
    let (before, after) = (views(before), views(after));
    let (mut after, mut differences) = (&*after, Vec::new());
    for first in &before {
        match after.iter().position(|second| second.effect == first.effect) {
            // The effects in front of the counterpart were inserted.
            Some(at) => {
                differences.extend(after[..at].iter().map(View::extra));
                first.compare(&after[at], &mut differences);
                after = &after[at + 1..];
            }
            None => differences.push(first.missing()),
        }
    }
    differences.extend(after.iter().map(View::extra));
    differences
}

fn views(decision: &Decision) -> Vec<View<'_>> {
    decision.effects.iter().map(|effect| View::of(effect, decision)).collect()
}

impl<'a> View<'a> {
    fn of(effect: Effect, decision: &'a Decision) -> Self {
        let bytes = |span| Cow::Borrowed(decision.bytes(span));
        let (effect, parts) = match effect {
            Effect::Reply(reply) => {
                let otherwise = reply.tie.map_or(Cow::default(), |tie| bytes(tie.otherwise));
                let tie = tie_text(reply.tie.map(|tie| tie.keep));
                ("reply", vec![("", bytes(reply.bytes)), ("tie", tie), ("otherwise", otherwise)])
            }
            Effect::Keep(keep) => {
                let fan_out = match keep.fan_out {
                    FanOut::Everyone => Cow::Borrowed(&b"everyone"[..]),
                    FanOut::TheseFirst(peers) => Cow::Owned([b"first ", decision.bytes(peers)].concat()),
                };
                let parts = vec![
                    ("key", bytes(keep.key)),
                    ("rank", bytes(keep.rank)),
                    ("form", text(keep.form)),
                    ("record", bytes(keep.bytes)),
                    ("fan-out", fan_out),
                ];
                ("keep", parts)
            }
            Effect::Fetch(fetch) => {
                let parts = vec![
                    ("upstream", bytes(fetch.upstream)),
                    ("method", text(fetch.method)),
                    ("path", bytes(fetch.path)),
                    ("body", bytes(fetch.body)),
                    ("token", bytes(fetch.token)),
                    ("otherwise", bytes(fetch.otherwise)),
                ];
                ("fetch", parts)
            }
            Effect::Subscribe(topic) => ("subscribe", vec![("topic", bytes(topic))]),
            Effect::Unsubscribe(topic) => ("unsubscribe", vec![("topic", bytes(topic))]),
            Effect::Publish(publish) => {
                let (topic, tie) = (bytes(publish.topic), tie_text(publish.tie));
                ("publish", vec![("topic", topic), ("", bytes(publish.bytes)), ("tie", tie)])
            }
            Effect::Close => ("close", vec![]),
            Effect::Note(note) => ("note", vec![("", bytes(note.text)), ("level", text(note.level))]),
            Effect::Done(progress) => {
                ("input", vec![("consumed", text(progress.consumed)), ("awaits", text(progress.awaits))])
            }
            Effect::Refuse(report) => ("refuse", vec![("report", text(report))]),
        };
        Self { effect, parts }
    }

    fn compare(&self, other: &Self, differences: &mut Vec<Difference>) {
        for ((part, before), (_, after)) in self.parts.iter().zip(&other.parts) {
            if before == after {
                continue;
            }
            let mut add = |field, before: &[u8], after: &[u8]| {
                let (before, after) = (Some(before.into()), Some(after.into()));
                differences.push(Difference { effect: self.effect, part, field, before, after });
            };
            let fields = differing_fields(before, after);
            if fields.is_empty() {
                add(None, before, after);
            }
            fields.into_iter().for_each(|(field, before, after)| add(Some(field), before, after));
        }
    }

    fn missing(&self) -> Difference {
        Difference { effect: self.effect, part: "missing", field: None, before: Some(self.main_text()), after: None }
    }

    fn extra(&self) -> Difference {
        Difference { effect: self.effect, part: "extra", field: None, before: None, after: Some(self.main_text()) }
    }

    /// The part that shows best which effect it is.
    fn main_text(&self) -> Vec<u8> {
        let main = self.parts.iter().find(|(part, _)| part.is_empty()).or(self.parts.first());
        main.map_or(vec![], |(_, bytes)| bytes.to_vec())
    }
}

/// A field, and its value in the first and in the second text.
type DifferingField<'a> = ((usize, usize), &'a [u8], &'a [u8]);

/// Lists the fields that differ in the first line that does. Empty unless both are texts with the same number of lines, of
/// fields in that line, and more than one field: otherwise the number of a field says nothing.
fn differing_fields<'a>(before: &'a [u8], after: &'a [u8]) -> Vec<DifferingField<'a>> {
    let lines = |text: &'a [u8]| text.split(|&byte| byte == b'\n');
    let fields = |line: &'a [u8]| line.split(|&byte| byte == b' ');
    let is_word = !before.trim_ascii_end().iter().any(|byte| matches!(byte, b' ' | b'\n'));
    if is_word || !is_text(before) || !is_text(after) || lines(before).count() != lines(after).count() {
        return vec![];
    }
    let mut pairs = lines(before).zip(lines(after)).zip(1..);
    let Some(((before, after), line)) = pairs.find(|((before, after), _)| before != after) else { return vec![] };
    if fields(before).count() != fields(after).count() {
        return vec![];
    }
    let differing = fields(before).zip(fields(after)).zip(1..).filter(|((before, after), _)| before != after);
    differing.map(|((before, after), field)| ((line, field), before, after)).take(FIELDS_MAX).collect()
}

fn is_text(bytes: &[u8]) -> bool {
    let is_blank = |byte: u8| matches!(byte, b'\n' | b'\r' | b'\t');
    str::from_utf8(bytes).is_ok() && bytes.iter().all(|&byte| is_blank(byte) || !byte.is_ascii_control())
}

/// Writes a number or a variant as people read it, such as `get`.
fn text(value: impl Debug) -> Cow<'static, [u8]> {
    Cow::Owned(format!("{value:?}").to_lowercase().into_bytes())
}

fn tie_text(keep: Option<u32>) -> Cow<'static, [u8]> {
    keep.map_or(Cow::Borrowed(b"none"), text)
}

/// Enough to see what a change of format did to a line.
const FIELDS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use herd_sdk::native::MemoryRecords;
    use herd_sdk::{Awaiting, Context, Level, Moment, Progress};

    use super::*;

    fn decision(decide: impl FnOnce(&mut Context<'_>)) -> Decision {
        let records = MemoryRecords::default();
        let mut context = Context::new(Moment::default(), &records);
        decide(&mut context);
        context.finish()
    }

    fn reply(text: &str) -> Decision {
        decision(|context| context.reply(text.as_bytes()))
    }

    /// The differences in words.
    fn differences(before: &Decision, after: &Decision) -> Vec<String> {
        let differences = diff(before, after);
        assert_eq!(differences.is_empty(), has_same_effects(before, after));
        let words = |difference: &Difference| {
            let Difference { effect, part, field, before, after } = difference;
            let field = field.map_or(String::new(), |(line, field)| format!(" {line}:{field}"));
            let shown = |side: &Option<Vec<u8>>| {
                side.as_ref().map_or("-".into(), |bytes| format!("\"{}\"", bytes.escape_ascii()))
            };
            format!("{effect} {part}{field} {} > {}", shown(before), shown(after))
        };
        differences.iter().map(words).collect()
    }

    #[test]
    fn decision_diff_ignores_where_bytes_lie() {
        let shared = decision(|context| {
            context.keep_and_reply(b"kiwi", b"\x01", 1, |out| out.extend(b"AT"), b"\n", |out| out.extend(b"? x\n"));
        });
        let copied = decision(|context| {
            let kept = context.keep(b"kiwi", b"\x01", 1, |out| out.extend(b"AT"));
            context.reply_if_kept(kept, |out| out.extend(b"AT\n"), |out| out.extend(b"? x\n"));
        });
        assert_ne!(shared, copied);
        assert_eq!(differences(&shared, &copied), Vec::<String>::new());
    }

    #[test]
    fn decision_diff_names_fields_of_texts_and_compares_other_bytes_whole() {
        let told = |before, after| differences(&reply(before), &reply(after));
        assert_eq!(
            told("AT Riley +0.655837000 kiwi\n", "AT Riley +0.655837 kiwi\n"),
            ["reply  1:3 \"+0.655837000\" > \"+0.655837\""]
        );
        assert_eq!(told("a b\nc d e\n", "a b\nc x y\n"), ["reply  2:2 \"d\" > \"x\"", "reply  2:3 \"e\" > \"y\""]);
        assert_eq!(told("a\n", "b\n"), ["reply  \"a\\n\" > \"b\\n\""]);
        assert_eq!(told("a b\n", "a b c\n"), ["reply  \"a b\\n\" > \"a b c\\n\""]);
        assert_eq!(told("a b\n", "a b\n\n"), ["reply  \"a b\\n\" > \"a b\\n\\n\""]);
        assert_eq!(told("a \x01\n", "a \x02\n"), ["reply  \"a \\x01\\n\" > \"a \\x02\\n\""]);
        let many = "x ".repeat(40);
        assert_eq!(told(&many, &many.replace('x', "y")).len(), FIELDS_MAX);
    }

    #[test]
    fn decision_diff_names_the_part_of_an_effect() {
        type Decide = fn(&mut Context<'_>);
        let keep = |key: &[u8], rank: &[u8], form, record: &str, peers: &[&str]| {
            decision(|context| {
                let record = |out: &mut Vec<u8>| out.extend(record.as_bytes());
                if peers.is_empty() {
                    context.keep(key, rank, form, record);
                } else {
                    context.keep_telling_first(key, rank, form, record, peers);
                }
            })
        };
        let kept = keep(b"kiwi", b"\x01", 1, "AT 1", &[]);
        for (other, told) in [
            (keep(b"mango", b"\x01", 1, "AT 1", &[]), "keep key \"kiwi\" > \"mango\""),
            (keep(b"kiwi", b"\x02", 1, "AT 1", &[]), "keep rank \"\\x01\" > \"\\x02\""),
            (keep(b"kiwi", b"\x01", 2, "AT 1", &[]), "keep form \"1\" > \"2\""),
            (keep(b"kiwi", b"\x01", 1, "AT 2", &[]), "keep record 1:2 \"1\" > \"2\""),
            (keep(b"kiwi", b"\x01", 1, "AT 1", &["Riley"]), "keep fan-out \"everyone\" > \"first Riley\\n\""),
        ] {
            assert_eq!(differences(&kept, &other), [told]);
        }
        let post: Decide = |context| context.fetch_post("u", "/p", b"b", b"t", b"o");
        let others: [(Decide, &str); 6] = [
            (|context| context.fetch_post("z", "/p", b"b", b"t", b"o"), "upstream \"u\" > \"z\""),
            (|context| context.fetch_post("u", "/z", b"b", b"t", b"o"), "path \"/p\" > \"/z\""),
            (|context| context.fetch_post("u", "/p", b"z", b"t", b"o"), "body \"b\" > \"z\""),
            (|context| context.fetch_post("u", "/p", b"b", b"z", b"o"), "token \"t\" > \"z\""),
            (|context| context.fetch_post("u", "/p", b"b", b"t", b"z"), "otherwise \"o\" > \"z\""),
            (|context| context.fetch("u", "/p", b"t", b"o"), "method \"post\" > \"get\""),
        ];
        for (other, told) in others {
            assert_eq!(differences(&decision(post), &decision(other))[0], format!("fetch {told}"));
        }
        let note = |level, text| decision(|context| context.note(level, text));
        let told = ["note  \"a\" > \"b\"", "note level \"info\" > \"warn\""];
        assert_eq!(differences(&note(Level::Info, "a"), &note(Level::Warn, "b")), told);
        let done = |consumed, awaits| {
            let mut decision = Decision::default();
            decision.effects.push(Effect::Done(Progress { consumed, awaits }));
            decision
        };
        let told = ["input consumed \"1\" > \"2\"", "input awaits \"delimiter(10)\" > \"bytes(3)\""];
        assert_eq!(differences(&done(1, Awaiting::Delimiter(b'\n')), &done(2, Awaiting::Bytes(3))), told);
        let untied = decision(|context| {
            context.keep(b"b", b"", 1, |_| {});
            context.reply(b"AT\n");
        });
        let tied = decision(|context| {
            let kept = context.keep(b"b", b"", 1, |_| {});
            context.reply_if_kept(kept, |out| out.extend(b"AT\n"), |out| out.extend(b"?"));
        });
        assert_eq!(differences(&untied, &tied), ["reply tie \"none\" > \"0\"", "reply otherwise \"\" > \"?\""]);
    }

    #[test]
    fn decision_diff_aligns_effects_around_missing_and_extra_ones() {
        let both = decision(|context| {
            context.keep(b"kiwi", b"", 1, |out| out.extend(b"AT"));
            context.reply(b"AT\n");
        });
        let one = reply("AT\n");
        assert_eq!(differences(&both, &one), ["keep missing \"kiwi\" > -"]);
        assert_eq!(differences(&one, &both), ["keep extra - > \"kiwi\""]);
        let closed = decision(|context| {
            context.reply(b"x\n");
            context.close();
        });
        assert_eq!(differences(&one, &closed), ["reply  \"AT\\n\" > \"x\\n\"", "close extra - > \"\""]);
        let twice = decision(|context| {
            context.reply(b"AT\n");
            context.reply(b"b\n");
        });
        assert_eq!(differences(&one, &twice), ["reply extra - > \"b\\n\""]);
        assert_eq!(differences(&twice, &one), ["reply missing \"b\\n\" > -"]);
        let refused = decision(|context| context.refuse(0));
        assert_eq!(differences(&Decision::default(), &refused), ["refuse extra - > \"0\""]);
    }
}
