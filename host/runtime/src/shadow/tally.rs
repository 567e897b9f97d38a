//! What a shadow has found so far: counts by command and kind, and the first examples.
//!
//! Knows nothing of how decisions are compared or made. Bounds: the kinds of differences, the words that are counted by
//! themselves, the examples of each kind and their length. What is over a bound is counted together.

use std::collections::HashSet;

use serde::Serialize;

use crate::sandbox::fault::Fault;
use crate::shadow::decision_diff::{Difference, Field};

/// The counts and examples of one shadow.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    found: Found,
    /// Command words that one of the guests knows. These are always named.
    commands: HashSet<String>,
    /// Other words that are counted by themselves.
    words: HashSet<String>,
}

/// What was found, for people and scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Found {
    /// Inputs and reports that both have decided.
    pub compared: u64,
    /// Those of them that the candidate decides in another way.
    pub different: u64,
    /// Calls, or lines where one can be named, on which the candidate faults.
    pub faults: u64,
    /// By command and kind.
    pub differences: Vec<DifferenceKind>,
    /// Differences of further kinds.
    pub other_differences: u64,
    /// By kind of fault.
    pub faults_by_kind: Vec<FaultKind>,
}

/// One kind of difference.
#[derive(Clone, Debug, Serialize)]
pub struct DifferenceKind {
    /// The first word of the line, escaped; or what stands for one, in parentheses.
    pub command: String,
    /// The effect.
    pub effect: &'static str,
    /// Which part of it; empty where that goes without saying. `missing` and `extra` for the effect as a whole.
    pub part: &'static str,
    /// In which line of a text, from 1.
    pub line: Option<usize>,
    /// In which blank-separated field of that line, from 1.
    pub field: Option<usize>,
    /// How often.
    pub count: u64,
    /// The first few.
    pub examples: Vec<Example>,
}

/// One difference. Texts are escaped and cut.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// The line, or the key of the report.
    pub input: String,
    /// What the active generation decided, and what was answered; none where it has no such effect.
    pub before: Option<String>,
    /// What the candidate decides.
    pub after: Option<String>,
}

/// One kind of fault of the candidate.
#[derive(Clone, Debug, Serialize)]
pub struct FaultKind {
    /// The word for it.
    pub kind: &'static str,
    /// How often.
    pub count: u64,
    /// The first few.
    pub examples: Vec<FaultExample>,
}

/// One fault. Texts are escaped and cut.
#[derive(Clone, Debug, Serialize)]
pub struct FaultExample {
    /// The line, or what stands for one, in parentheses.
    pub input: String,
    /// What went wrong.
    pub fault: String,
}

/// What a decision was on, for counts and examples.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// A line of a client.
    Line(&'a [u8]),
    /// Lines of a client that differ together, and none of them alone.
    Lines(&'a [u8]),
    /// A report of a peer, by its key.
    Report(&'a [u8]),
    /// No report in particular.
    Reports,
}

impl Differences {
    /// Nothing was found yet. These are the command words that one of the guests knows.
    pub(crate) fn new<'a>(commands: impl IntoIterator<Item = &'a String>) -> Self {
        let commands = commands.into_iter().map(|command| escaped(command.as_bytes(), WORD_BYTES_MAX)).collect();
        Self { found: Found::default(), commands, words: HashSet::new() }
    }

    /// A copy of what was found.
    pub(crate) fn found(&self) -> Found {
        self.found.clone()
    }

    /// Counts, without examples.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.found.compared, self.found.different, self.found.faults)
    }

    /// Inputs or reports were compared.
    pub(crate) fn compared(&mut self, count: usize) {
        self.found.compared += count as u64;
    }

    /// One input or report was decided in another way, however many differences that makes.
    pub(crate) fn different(&mut self) {
        self.found.different += 1;
    }

    /// Counts one difference.
    pub(crate) fn difference(&mut self, subject: Subject<'_>, difference: &Difference<'_>) {
        let command = self.command(subject);
        let (line, field) = difference.field.map(|Field { line, field }| (line, field)).unzip();
        let what = difference.what;
        let kinds = &mut self.found.differences;
        let known = kinds.iter().position(|known| {
            (known.effect, known.part, known.line, known.field) == (what.effect, what.part, line, field)
                && known.command == command
        });
        let index = known.unwrap_or(kinds.len());
        if index == KINDS_MAX {
            self.found.other_differences += 1;
            return;
        }
        if known.is_none() {
            let (effect, part) = (what.effect, what.part);
            kinds.push(DifferenceKind { command, effect, part, line, field, count: 0, examples: vec![] });
        }
        let kind = &mut kinds[index];
        kind.count += 1;
        if kind.examples.len() < EXAMPLES_MAX {
            let side = |side: Option<&[u8]>| side.map(|bytes| escaped(bytes, TEXT_BYTES_MAX));
            let (before, after) = (side(difference.before.as_deref()), side(difference.after.as_deref()));
            kind.examples.push(Example { input: subject.shown(), before, after });
        }
    }

    /// Counts a fault of the candidate, and says how many there are.
    pub(crate) fn fault(&mut self, subject: Subject<'_>, fault: &Fault) -> u64 {
        self.found.faults += 1;
        let kinds = &mut self.found.faults_by_kind;
        let index = kinds.iter().position(|known| known.kind == fault.kind()).unwrap_or_else(|| {
            kinds.push(FaultKind { kind: fault.kind(), count: 0, examples: vec![] });
            kinds.len() - 1
        });
        let kind = &mut kinds[index];
        kind.count += 1;
        if kind.examples.len() < EXAMPLES_MAX {
            let fault = escaped(fault.to_string().as_bytes(), FAULT_BYTES_MAX);
            kind.examples.push(FaultExample { input: subject.shown(), fault });
        }
        self.found.faults
    }

    /// Under which word something is counted.
    fn command(&mut self, subject: Subject<'_>) -> String {
        let line = match subject {
            Subject::Line(line) => line,
            Subject::Lines(_) => return "(several lines)".into(),
            Subject::Report(_) | Subject::Reports => return "(report)".into(),
        };
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(word) = words.next() else { return "(empty)".into() };
        let word = escaped(word, WORD_BYTES_MAX);
        if self.commands.contains(&word) || self.words.contains(&word) {
            return word;
        }
        if self.words.len() >= WORDS_MAX {
            return "(other)".into();
        }
        self.words.insert(word.clone());
        word
    }
}

impl Subject<'_> {
    fn shown(self) -> String {
        match self {
            Self::Line(bytes) | Self::Lines(bytes) => escaped(bytes.trim_ascii_end(), TEXT_BYTES_MAX),
            Self::Report(key) => escaped(key, TEXT_BYTES_MAX),
            Self::Reports => "(reports)".into(),
        }
    }
}

/// For people: what a terminal could take amiss is escaped, and what is too long is cut.
fn escaped(bytes: &[u8], bytes_max: usize) -> String {
    let mut text = bytes[..bytes.len().min(bytes_max)].escape_ascii().to_string();
    if bytes.len() > bytes_max {
        text.push_str("...");
    }
    text
}

/// Kinds that are told apart. A change to one reply is a handful.
const KINDS_MAX: usize = 64;
/// Words beyond those that a guest knows: clients choose them.
const WORDS_MAX: usize = 16;
/// Of each kind.
const EXAMPLES_MAX: usize = 3;
/// A usual line is some 70 bytes; an example is to fit on a screen.
const TEXT_BYTES_MAX: usize = 120;
/// A trap says where.
const FAULT_BYTES_MAX: usize = 400;
const WORD_BYTES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::shadow::decision_diff::What;

    fn difference(part: &'static str, field: usize) -> Difference<'static> {
        Difference {
            what: What { effect: "keep", part },
            field: Some(Field { line: 1, field }),
            before: Some(Cow::Borrowed(b"+0.5\x1b")),
            after: None,
        }
    }

    fn differences() -> Differences {
        Differences::new(&["IAMAT".to_string()])
    }

    #[test]
    fn differences_are_counted_by_command_part_and_field_with_the_first_examples() {
        let mut differences = differences();
        for number in 0..10 {
            let line = format!("IAMAT kiwi-{number}\r\n");
            differences.difference(Subject::Line(line.as_bytes()), &difference("record", 3));
        }
        differences.difference(Subject::Line(b"IAMAT kiwi"), &difference("record", 4));
        differences.difference(Subject::Line(b"WHATSAT kiwi"), &difference("record", 3));
        differences.difference(Subject::Report(b"kiwi"), &difference("record", 3));
        differences.difference(Subject::Line(b"  \n"), &difference("record", 3));
        let found = differences.found();
        let told: Vec<_> = found
            .differences
            .iter()
            .map(|kind| (&*kind.command, kind.field, kind.count, kind.examples.len()))
            .collect();
        let three = Some(3);
        let wanted = [("IAMAT", three, 10, 3), ("IAMAT", Some(4), 1, 1), ("WHATSAT", three, 1, 1)];
        assert_eq!(told[..3], wanted);
        assert_eq!(told[3..], [("(report)", three, 1, 1), ("(empty)", three, 1, 1)]);
        let example = &found.differences[0].examples[2];
        assert_eq!((&*example.input, example.before.as_deref()), ("IAMAT kiwi-2", Some("+0.5\\x1b")));
        assert_eq!(example.after, None);
    }

    #[test]
    fn words_that_clients_make_up_do_not_crowd_out_commands() {
        let mut differences = differences();
        for number in 0..1000 {
            differences.difference(Subject::Line(format!("{number} x").as_bytes()), &difference("key", 1));
        }
        differences.difference(Subject::Line(b"IAMAT x"), &difference("key", 1));
        let found = differences.found();
        assert_eq!(found.differences.len(), WORDS_MAX + 2);
        let count = |command: &str| found.differences.iter().find(|kind| kind.command == command).unwrap().count;
        assert_eq!((count("IAMAT"), count("(other)")), (1, 1000 - WORDS_MAX as u64));
    }

    #[test]
    fn kinds_over_the_limit_are_counted_together_and_texts_are_cut() {
        let mut differences = differences();
        let long = vec![b'x'; 10_000];
        for field in 1..=KINDS_MAX + 5 {
            differences.difference(Subject::Line(&long), &difference("key", field));
        }
        let found = differences.found();
        assert_eq!((found.differences.len(), found.other_differences), (KINDS_MAX, 5));
        let kind = &found.differences[0];
        assert!(kind.command.len() < 30 && kind.command.ends_with("..."), "{}", kind.command);
        assert_eq!(kind.examples[0].input.len(), TEXT_BYTES_MAX + 3);
    }

    #[test]
    fn faults_are_counted_by_kind() {
        let mut differences = differences();
        for _ in 0..5 {
            differences.fault(Subject::Line(b"BOOM\n"), &Fault::Trap("the bottom fell out".into()));
        }
        assert_eq!(differences.fault(Subject::Lines(b"a\nb\n"), &Fault::Deadline), 6);
        let kinds = differences.found().faults_by_kind;
        let told: Vec<_> = kinds.iter().map(|kind| (kind.kind, kind.count, kind.examples.len())).collect();
        assert_eq!(told, [("trap", 5, 3), ("deadline", 1, 1)]);
        let first = &kinds[0].examples[0];
        assert_eq!((&*first.input, &*first.fault), ("BOOM", "trapped: the bottom fell out"));
    }
}
