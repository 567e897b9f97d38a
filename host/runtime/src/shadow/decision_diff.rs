//! How two decisions on the same input differ: by effect, by its part, and by the field of a text.
//!
//! Pure. Effects are compared with the bytes that they point at: where those lie in the output is no difference, and
//! which of the keeps of a call a tie names counts from the first keep of its input. Both were given the same moment,
//! so times of receipt are equal, and nothing has to be masked.
//!
//! Knows nothing of calls, generations or counts. Bounds: those of a decision; at most [`FIELDS_MAX`] fields per text.

use std::borrow::Cow;

use herd_sdk::{Awaiting, Decision, Effect, FanOut, Level, Method};

/// What was decided on one input, one report, or one answer.
pub(crate) struct Decided<'a> {
    effects: Vec<View<'a>>,
}

/// One way in which a decision differs from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference<'a> {
    /// The effect and its part, such as `reply` or `keep rank`; `reply missing` and `reply extra` for whole effects.
    pub(crate) what: What,
    /// Where in a text: which blank-separated field of which line.
    pub(crate) field: Option<Field>,
    /// What the first one decided; none where it has no such effect.
    pub(crate) before: Option<Cow<'a, [u8]>>,
    /// What the second one decided.
    pub(crate) after: Option<Cow<'a, [u8]>>,
}

/// An effect and its part. The part is empty where the effect has one that goes without saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct What {
    pub(crate) effect: &'static str,
    pub(crate) part: &'static str,
}

/// Counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) line: usize,
    pub(crate) field: usize,
}

/// One effect, with what it points at.
struct View<'a> {
    effect: &'static str,
    parts: Vec<(&'static str, Cow<'a, [u8]>)>,
}

/// What was decided on each input. Effects behind the last end count to the last one.
pub(crate) fn by_input(decision: &Decision) -> Vec<Decided<'_>> {
    let (mut all, mut effects) = (Vec::new(), Vec::new());
    let (mut keeps, mut keeps_before) = (0_i64, 0_i64);
    for effect in &decision.effects {
        effects.push(View::of(effect, decision, keeps_before));
        match effect {
            Effect::Keep(_) => keeps += 1,
            Effect::Done(_) => {
                all.push(Decided { effects: std::mem::take(&mut effects) });
                keeps_before = keeps;
            }
            _ => {}
        }
    }
    if let Some(last) = all.last_mut() {
        last.effects.extend(effects);
    }
    all
}

/// What was decided on each of so many reports, and behind them what belongs to none.
pub(crate) fn by_report(decision: &Decision, reports: usize) -> Vec<Decided<'_>> {
    let mut all: Vec<_> = (0..=reports).map(|_| Decided { effects: Vec::new() }).collect();
    for effect in &decision.effects {
        let report = match effect {
            Effect::Refuse(report) => Some(report),
            Effect::Publish(publish) => publish.tie,
            _ => None,
        };
        let index = report.map_or(reports, |report| (report as usize).min(reports));
        // Which report it is on is said by where it stands here.
        all[index].effects.push(View::of(effect, decision, i64::from(report.unwrap_or_default())));
    }
    all
}

impl Decided<'_> {
    /// How another decision differs from this one.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> Vec<Difference<'a>> {
        let mut differences = Vec::new();
        let (mut ours, mut theirs) = (&*self.effects, &*other.effects);
        loop {
            match (ours, theirs) {
                ([], []) => return differences,
                ([our, our_rest @ ..], [their, their_rest @ ..]) if our.effect == their.effect => {
                    our.compare(their, &mut differences);
                    (ours, theirs) = (our_rest, their_rest);
                }
                // What comes later on the other side was not left out: something was put in before it.
                ([our, ..], [their, rest @ ..]) if rest.iter().any(|later| later.effect == our.effect) => {
                    differences.push(their.alone(EXTRA));
                    theirs = rest;
                }
                ([our, rest @ ..], _) => {
                    differences.push(our.alone(MISSING));
                    ours = rest;
                }
                ([], [their, rest @ ..]) => {
                    differences.push(their.alone(EXTRA));
                    theirs = rest;
                }
            }
        }
    }
}

impl<'a> View<'a> {
    fn of(effect: Effect, decision: &'a Decision, keeps_before: i64) -> Self {
        let bytes = |span| Cow::Borrowed(decision.bytes(span));
        let tie = |tie: u32| number(i64::from(tie) - keeps_before);
        let (effect, parts) = match effect {
            Effect::Reply(reply) => {
                let mut parts = vec![("", bytes(reply.bytes))];
                if let Some(tied) = reply.tie {
                    parts.extend([("tie", tie(tied.keep)), ("otherwise", bytes(tied.otherwise))]);
                }
                ("reply", parts)
            }
            Effect::Keep(keep) => {
                let fan_out = match keep.fan_out {
                    FanOut::Everyone => text("everyone"),
                    FanOut::TheseFirst(peers) => Cow::Owned([b"first ", decision.bytes(peers)].concat()),
                };
                let parts = vec![
                    ("key", bytes(keep.key)),
                    ("rank", bytes(keep.rank)),
                    ("form", number(i64::from(keep.form))),
                    ("record", bytes(keep.bytes)),
                    ("fan-out", fan_out),
                ];
                ("keep", parts)
            }
            Effect::Fetch(fetch) => {
                let method = match fetch.method {
                    Method::Get => text("get"),
                    Method::Post => text("post"),
                };
                let parts = vec![
                    ("upstream", bytes(fetch.upstream)),
                    ("method", method),
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
                let mut parts = vec![("topic", bytes(publish.topic)), ("", bytes(publish.bytes))];
                parts.extend(publish.tie.map(|tied| ("tie", tie(tied))));
                ("publish", parts)
            }
            Effect::Close => ("close", vec![]),
            Effect::Note(note) => {
                let level = match note.level {
                    Level::Debug => "debug",
                    Level::Info => "info",
                    Level::Warn => "warn",
                };
                ("note", vec![("", bytes(note.text)), ("level", text(level))])
            }
            Effect::Done(progress) => {
                let awaits = match progress.awaits {
                    Awaiting::Delimiter(byte) => Cow::Owned(format!("{byte:#04x}").into_bytes()),
                    Awaiting::Bytes(count) => Cow::Owned(format!("{count} bytes").into_bytes()),
                };
                let consumed = Cow::Owned(progress.consumed.to_string().into_bytes());
                ("input", vec![("consumed", consumed), ("awaits", awaits)])
            }
            Effect::Refuse(_) => ("refuse", vec![]),
        };
        Self { effect, parts }
    }

    fn part(&self, part: &str) -> Option<&[u8]> {
        self.parts.iter().find(|(name, _)| *name == part).map(|(_, bytes)| &**bytes)
    }

    /// Compares an effect with another of its kind.
    fn compare<'b>(&'b self, other: &'b Self, differences: &mut Vec<Difference<'b>>) {
        let added = other.parts.iter().filter(|(name, _)| self.part(name).is_none());
        for (part, _) in self.parts.iter().chain(added) {
            let what = What { effect: self.effect, part };
            match (self.part(part), other.part(part)) {
                (before, after) if before == after => {}
                (Some(before), Some(after)) => texts(what, before, after, differences),
                (before, after) => {
                    let (before, after) = (before.map(Cow::Borrowed), after.map(Cow::Borrowed));
                    differences.push(Difference { what, field: None, before, after });
                }
            }
        }
    }

    /// An effect that only one of the two has.
    fn alone(&self, part: &'static str) -> Difference<'_> {
        let bytes = self.part("").or_else(|| self.parts.first().map(|(_, bytes)| &**bytes)).unwrap_or_default();
        let bytes = Some(Cow::Borrowed(bytes));
        let (before, after) = if part == MISSING { (bytes, None) } else { (None, bytes) };
        Difference { what: What { effect: self.effect, part }, field: None, before, after }
    }
}

/// Compares two byte strings field by field where both are texts of the same shape, and as a whole where they are not.
fn texts<'b>(what: What, before: &'b [u8], after: &'b [u8], differences: &mut Vec<Difference<'b>>) {
    let found = differing_fields(before, after);
    if found.is_empty() {
        let (before, after) = (Some(Cow::Borrowed(before)), Some(Cow::Borrowed(after)));
        differences.push(Difference { what, field: None, before, after });
    }
    for (field, before, after) in found {
        let (before, after) = (Some(Cow::Borrowed(before)), Some(Cow::Borrowed(after)));
        differences.push(Difference { what, field: Some(field), before, after });
    }
}

/// The fields that differ in the first line that does. Empty where that is not the way to say it.
fn differing_fields<'b>(before: &'b [u8], after: &'b [u8]) -> Vec<(Field, &'b [u8], &'b [u8])> {
    if !is_text(before) || !is_text(after) || is_word(before) {
        return vec![];
    }
    let lines = |text: &'b [u8]| text.split(|&byte| byte == b'\n');
    if lines(before).count() != lines(after).count() {
        return vec![];
    }
    let differing = lines(before).zip(lines(after)).enumerate().find(|(_, (before, after))| before != after);
    let Some((line, (before, after))) = differing else { return vec![] };
    let fields = |line: &'b [u8]| line.split(|&byte| byte == b' ');
    if fields(before).count() != fields(after).count() {
        return vec![];
    }
    let pairs = fields(before).zip(fields(after)).enumerate().filter(|(_, (before, after))| before != after);
    let found = pairs.map(|(field, (before, after))| (Field { line: line + 1, field: field + 1 }, before, after));
    found.take(FIELDS_MAX).collect()
}

fn is_text(bytes: &[u8]) -> bool {
    let blank = |byte: u8| matches!(byte, b'\n' | b'\r' | b'\t');
    str::from_utf8(bytes).is_ok() && bytes.iter().all(|&byte| blank(byte) || !byte.is_ascii_control())
}

/// Whether there is one field in one line: saying which would say nothing.
fn is_word(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    !text.iter().any(|byte| matches!(byte, b' ' | b'\n'))
}

fn text(text: &'static str) -> Cow<'static, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn number(number: i64) -> Cow<'static, [u8]> {
    Cow::Owned(number.to_string().into_bytes())
}

/// The part of an effect that the second decision does not have.
const MISSING: &str = "missing";
/// The part of an effect that only the second decision has.
const EXTRA: &str = "extra";
/// Enough to see what a change of format has done to a line.
const FIELDS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use herd_sdk::{Fetch, Keep, Note, Progress, Publish, Reply, Tie};

    use super::*;

    /// A decision that is written effect by effect.
    #[derive(Clone, Default)]
    struct Draft(Decision);

    impl Draft {
        /// Moves everything behind it: where bytes lie must not matter.
        fn shifted() -> Self {
            let mut draft = Self::default();
            let _ = draft.0.copy(b"something else");
            draft
        }

        fn reply(mut self, bytes: &str) -> Self {
            let bytes = self.0.copy(bytes.as_bytes());
            self.0.effects.push(Effect::Reply(Reply { bytes, tie: None }));
            self
        }

        fn tied(mut self, bytes: &str, keep: u32, otherwise: &str) -> Self {
            let (bytes, otherwise) = (self.0.copy(bytes.as_bytes()), self.0.copy(otherwise.as_bytes()));
            self.0.effects.push(Effect::Reply(Reply { bytes, tie: Some(Tie { keep, otherwise }) }));
            self
        }

        fn keep(mut self, key: &str, rank: &[u8], form: u32, record: &str, peers: Option<&str>) -> Self {
            let (key, rank, bytes) = (self.0.copy(key.as_bytes()), self.0.copy(rank), self.0.copy(record.as_bytes()));
            let fan_out = peers.map_or(FanOut::Everyone, |peers| FanOut::TheseFirst(self.0.copy(peers.as_bytes())));
            self.0.effects.push(Effect::Keep(Keep { key, rank, form, bytes, fan_out }));
            self
        }

        fn fetch(mut self, parts: [&str; 5], method: Method) -> Self {
            let [upstream, path, body, token, otherwise] = parts.map(|part| self.0.copy(part.as_bytes()));
            self.0.effects.push(Effect::Fetch(Fetch { upstream, method, path, body, token, otherwise }));
            self
        }

        fn publish(mut self, topic: &str, bytes: &str, tie: Option<u32>) -> Self {
            let (topic, bytes) = (self.0.copy(topic.as_bytes()), self.0.copy(bytes.as_bytes()));
            self.0.effects.push(Effect::Publish(Publish { topic, bytes, tie }));
            self
        }

        fn plain(mut self, effect: Effect) -> Self {
            self.0.effects.push(effect);
            self
        }

        fn done(self, consumed: usize) -> Self {
            self.plain(Effect::Done(Progress { consumed, awaits: Awaiting::Delimiter(b'\n') }))
        }
    }

    /// The differences between two inputs, in words.
    fn differences(before: &Draft, after: &Draft) -> Vec<String> {
        let (before, after) = (by_input(&before.0), by_input(&after.0));
        assert_eq!(before.len(), after.len());
        let pairs = before.iter().zip(&after);
        pairs.flat_map(|(before, after)| before.differences(after).iter().map(words).collect::<Vec<_>>()).collect()
    }

    fn words(difference: &Difference<'_>) -> String {
        let Difference { what: What { effect, part }, field, before, after } = difference;
        let field = field.map_or(String::new(), |Field { line, field }| format!(" {line}:{field}"));
        let shown = |side: &Option<Cow<'_, [u8]>>| {
            side.as_ref().map_or("-".into(), |bytes| format!("\"{}\"", bytes.escape_ascii()))
        };
        format!("{effect} {part}{field} {} > {}", shown(before), shown(after))
    }

    #[test]
    fn the_same_effects_are_the_same_wherever_their_bytes_lie() {
        let written = |draft: Draft| {
            let draft = draft.keep("kiwi", b"\x01", 1, "AT", None).tied("AT\n", 0, "? x\n").done(3);
            draft.fetch(["u", "/p", "", "t", "o"], Method::Get).publish("topic", "x", None).done(0)
        };
        assert_eq!(differences(&written(Draft::default()), &written(Draft::shifted())), Vec::<String>::new());
    }

    #[test]
    fn a_field_of_a_text_is_named_and_other_bytes_are_compared_whole() {
        let reply = |text: &str| Draft::default().reply(text).done(1);
        let told = |before, after| differences(&reply(before), &reply(after));
        assert_eq!(
            told("AT Riley +0.655837000 kiwi\n", "AT Riley +0.655837 kiwi\n"),
            ["reply  1:3 \"+0.655837000\" > \"+0.655837\""]
        );
        assert_eq!(told("a b\nc d e\n", "a b\nc x y\n"), ["reply  2:2 \"d\" > \"x\"", "reply  2:3 \"e\" > \"y\""]);
        assert_eq!(told("a b\n", "a b c\n"), ["reply  \"a b\\n\" > \"a b c\\n\""]);
        assert_eq!(told("a b\n", "a b\n\n"), ["reply  \"a b\\n\" > \"a b\\n\\n\""]);
        assert_eq!(told("a \x01\n", "a \x02\n"), ["reply  \"a \\x01\\n\" > \"a \\x02\\n\""]);
        let many = "x ".repeat(40);
        assert_eq!(told(&many, &many.replace('x', "y")).len(), FIELDS_MAX);
    }

    #[test]
    fn every_part_of_an_effect_is_told_apart() {
        let keep = |key, rank, form, record, peers| Draft::default().keep(key, rank, form, record, peers).done(1);
        let kept = keep("kiwi", b"\x01", 1, "AT 1", None);
        for (other, told) in [
            (keep("mango", b"\x01", 1, "AT 1", None), "keep key \"kiwi\" > \"mango\""),
            (keep("kiwi", b"\x02", 1, "AT 1", None), "keep rank \"\\x01\" > \"\\x02\""),
            (keep("kiwi", b"\x01", 2, "AT 1", None), "keep form \"1\" > \"2\""),
            (keep("kiwi", b"\x01", 1, "AT 2", None), "keep record 1:2 \"1\" > \"2\""),
            (keep("kiwi", b"\x01", 1, "AT 1", Some("Riley")), "keep fan-out \"everyone\" > \"first Riley\""),
        ] {
            assert_eq!(differences(&kept, &other), [told]);
        }
        let fetch = |parts, method| Draft::default().fetch(parts, method).done(1);
        let parts = ["u", "/p", "b", "t", "o"];
        for (index, part) in ["upstream", "path", "body", "token", "otherwise"].into_iter().enumerate() {
            let mut others = parts;
            others[index] = "z";
            let told = format!("fetch {part} \"{}\" > \"z\"", parts[index]);
            assert_eq!(differences(&fetch(parts, Method::Get), &fetch(others, Method::Get)), [told]);
        }
        let told = ["fetch method \"get\" > \"post\""];
        assert_eq!(differences(&fetch(parts, Method::Get), &fetch(parts, Method::Post)), told);
        let note = |level, text: &str| {
            let mut draft = Draft::default();
            let text = draft.0.copy(text.as_bytes());
            draft.plain(Effect::Note(Note { level, text })).done(1)
        };
        let told = ["note  \"a\" > \"b\"", "note level \"info\" > \"warn\""];
        assert_eq!(differences(&note(Level::Info, "a"), &note(Level::Warn, "b")), told);
        let done = |consumed, awaits| Draft::default().plain(Effect::Done(Progress { consumed, awaits }));
        let told = ["input consumed \"1\" > \"2\"", "input awaits \"0x0a\" > \"3 bytes\""];
        let found = differences(&done(1, Awaiting::Delimiter(b'\n')), &done(2, Awaiting::Bytes(3)));
        assert_eq!(found, told);
    }

    #[test]
    fn effects_that_are_missing_or_extra_do_not_hide_the_others() {
        let both = Draft::default().keep("kiwi", b"", 1, "AT", None).reply("AT\n").done(1);
        let reply = Draft::default().reply("AT\n").done(1);
        assert_eq!(differences(&both, &reply), ["keep missing \"kiwi\" > -"]);
        assert_eq!(differences(&reply, &both), ["keep extra - > \"kiwi\""]);
        let closed = Draft::default().reply("x\n").plain(Effect::Close).done(1);
        assert_eq!(differences(&reply, &closed), ["reply  \"AT\\n\" > \"x\\n\"", "close extra - > \"\""]);
        let twice = Draft::default().reply("AT\n").reply("b\n").done(1);
        assert_eq!(differences(&reply, &twice), ["reply extra - > \"b\\n\""]);
    }

    #[test]
    fn a_tie_counts_from_the_first_keep_of_its_input() {
        let second = |draft: Draft, keep| draft.keep("b", b"", 1, "", None).tied("AT\n", keep, "?").done(1);
        let before = second(Draft::default().keep("a", b"", 1, "", None).done(1), 1);
        let after = second(Draft::default().done(1), 0);
        assert_eq!(differences(&before, &after), ["keep missing \"a\" > -"]);
        let untied = Draft::default().keep("b", b"", 1, "", None).reply("AT\n").done(1);
        let tied = second(Draft::default(), 0);
        assert_eq!(differences(&untied, &tied), ["reply tie - > \"0\"", "reply otherwise - > \"?\""]);
    }

    #[test]
    fn decisions_on_reports_are_compared_report_by_report() {
        let before = Draft::default().publish("a", "x", Some(0)).publish("c", "z", Some(2));
        let after = Draft::default().publish("a", "y", Some(0)).plain(Effect::Refuse(1)).publish("c", "z", Some(2));
        let (before, after) = (by_report(&before.0, 3), by_report(&after.0, 3));
        let told: Vec<Vec<String>> =
            before.iter().zip(&after).map(|(a, b)| a.differences(b).iter().map(words).collect()).collect();
        let nothing: Vec<String> = vec![];
        let first = vec!["publish  \"x\" > \"y\"".to_string()];
        assert_eq!(told, [first, vec!["refuse extra - > \"\"".to_string()], nothing.clone(), nothing]);
    }
}
