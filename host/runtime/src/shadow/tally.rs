//! Counts of differences and faults that a shadow found, by command and kind, with the first examples.
//!
//! Knows nothing of how decisions are compared or made. Bounds: the kinds of differences, the command words, and the examples
//! of each kind with their length. Anything over a bound is counted together.

use std::collections::HashSet;

use serde::Serialize;

use crate::sandbox::fault::Fault;
use crate::shadow::decision_diff::Difference;

/// Counts and examples of one shadow.
#[derive(Debug)]
pub(crate) struct Tally {
    findings: Findings,
    /// Words with a count of their own: first the commands of both guests, then words that clients send.
    words: HashSet<String>,
    words_max: usize,
}

/// Findings of a shadow, for people and scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Inputs and reports that both generations decided.
    pub(crate) compared: u64,
    /// Inputs and reports of these that the candidate decides otherwise.
    pub(crate) different: u64,
    /// Lines or reports on which the candidate faults; calls where none of them faults alone.
    pub(crate) faults: u64,
    differences: Vec<DifferenceKind>,
    /// Differences over the limit of kinds.
    other_differences: u64,
    faults_by_kind: Vec<FaultKind>,
}

/// One kind of difference.
#[derive(Clone, Debug, Serialize)]
struct DifferenceKind {
    /// First word of the line, escaped; a description in parentheses where no line has one.
    command: String,
    effect: &'static str,
    /// Part of the effect: empty for its main text, `missing` or `extra` for the whole effect.
    part: &'static str,
    /// Line of a text, from 1.
    line: Option<usize>,
    /// Blank-separated field of that line, from 1.
    field: Option<usize>,
    count: u64,
    examples: Vec<Example>,
}

/// One difference. Texts are escaped and cut.
#[derive(Clone, Debug, Serialize)]
struct Example {
    /// Line, or key of the report.
    input: String,
    /// Decision of the active generation; none where it lacks the effect.
    before: Option<String>,
    /// Decision of the candidate; none where it lacks the effect.
    after: Option<String>,
}

/// One kind of fault of the candidate.
#[derive(Clone, Debug, Serialize)]
struct FaultKind {
    kind: &'static str,
    count: u64,
    examples: Vec<FaultExample>,
}

/// One fault. Texts are escaped and cut.
#[derive(Clone, Debug, Serialize)]
struct FaultExample {
    /// Line, or key of the report.
    input: String,
    fault: String,
}

/// Input of a decision, for counts and examples.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// A line of a client.
    Line(&'a [u8]),
    /// Lines of clients that show the finding together only.
    Lines(&'a [u8]),
    /// A report of a peer, by its key.
    Report(&'a [u8]),
    /// Reports that show the finding together only.
    Reports,
}

impl Tally {
    /// Starts at zero. `commands` are the command words of both guests; these always have a count of their own.
    pub(crate) fn new<'a>(commands: impl IntoIterator<Item = &'a String>) -> Self {
        let commands = commands.into_iter().map(|command| escaped(command.as_bytes(), WORD_BYTES_MAX));
        let words: HashSet<String> = commands.collect();
        Self { findings: Findings::default(), words_max: words.len() + WORDS_MAX, words }
    }

    /// Returns counts and examples so far.
    pub(crate) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Counts compared inputs and reports, and how many of them differ.
    pub(crate) fn compared(&mut self, compared: usize, different: usize) {
        self.findings.compared += compared as u64;
        self.findings.different += different as u64;
    }

    /// Counts one difference.
    pub(crate) fn difference(&mut self, subject: Subject<'_>, difference: &Difference) {
        let command = self.command(subject);
        let &Difference { effect, part, field, .. } = difference;
        let (line, field) = field.unzip();
        let kinds = &mut self.findings.differences;
        let known = kinds.iter().position(|known| {
            (known.effect, known.part, known.line, known.field) == (effect, part, line, field)
                && known.command == command
        });
        let index = known.unwrap_or(kinds.len());
        if index == KINDS_MAX {
            self.findings.other_differences += 1;
            return;
        }
        if known.is_none() {
            kinds.push(DifferenceKind { command, effect, part, line, field, count: 0, examples: vec![] });
        }
        let kind = &mut kinds[index];
        kind.count += 1;
        if kind.examples.len() < EXAMPLES_MAX {
            let [before, after] = [&difference.before, &difference.after]
                .map(|side| side.as_ref().map(|bytes| escaped(bytes, TEXT_BYTES_MAX)));
            kind.examples.push(Example { input: subject.escaped(), before, after });
        }
    }

    /// Counts a fault of the candidate.
    pub(crate) fn fault(&mut self, subject: Subject<'_>, fault: &Fault) {
        self.findings.faults += 1;
        let kinds = &mut self.findings.faults_by_kind;
        let index = kinds.iter().position(|known| known.kind == fault.kind()).unwrap_or_else(|| {
            kinds.push(FaultKind { kind: fault.kind(), count: 0, examples: vec![] });
            kinds.len() - 1
        });
        let kind = &mut kinds[index];
        kind.count += 1;
        if kind.examples.len() < EXAMPLES_MAX {
            let fault = escaped(fault.to_string().as_bytes(), FAULT_BYTES_MAX);
            kind.examples.push(FaultExample { input: subject.escaped(), fault });
        }
    }

    /// Returns the word under which a finding is counted.
    fn command(&mut self, subject: Subject<'_>) -> String {
        let line = match subject {
            Subject::Line(line) => line.trim_ascii(),
            Subject::Lines(_) => return "(several lines)".into(),
            Subject::Report(_) | Subject::Reports => return "(report)".into(),
        };
        let Some(word) = line.split(u8::is_ascii_whitespace).next().filter(|word| !word.is_empty()) else {
            return "(empty)".into();
        };
        let word = escaped(word, WORD_BYTES_MAX);
        if self.words.contains(&word) {
            return word;
        }
        // Clients choose their words, and could otherwise use up all kinds.
        if self.words.len() == self.words_max {
            return "(other)".into();
        }
        self.words.insert(word.clone());
        word
    }
}

impl Subject<'_> {
    fn escaped(self) -> String {
        match self {
            Self::Line(bytes) | Self::Lines(bytes) => escaped(bytes.trim_ascii_end(), TEXT_BYTES_MAX),
            Self::Report(key) => escaped(key, TEXT_BYTES_MAX),
            Self::Reports => "(reports)".into(),
        }
    }
}

/// Cuts a text, and escapes control characters so that it is safe for a terminal.
fn escaped(bytes: &[u8], bytes_max: usize) -> String {
    let mut text = bytes[..bytes.len().min(bytes_max)].escape_ascii().to_string();
    if bytes.len() > bytes_max {
        text.push_str("...");
    }
    text
}

/// Kinds of differences with a count of their own. A change to one reply makes a handful.
const KINDS_MAX: usize = 64;
/// Words beyond the commands of the guests.
const WORDS_MAX: usize = 16;
/// Examples of each kind.
const EXAMPLES_MAX: usize = 3;
/// A usual line has some 70 bytes, and an example should fit on a screen.
const TEXT_BYTES_MAX: usize = 120;
/// A trap includes its place in the guest.
const FAULT_BYTES_MAX: usize = 400;
const WORD_BYTES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(part: &'static str, field: usize) -> Difference {
        Difference { effect: "keep", part, field: Some((1, field)), before: Some(b"+0.5\x1b".into()), after: None }
    }

    fn tally() -> Tally {
        Tally::new(&["IAMAT".to_string()])
    }

    #[test]
    fn tally_counts_by_command_part_and_field_with_the_first_examples() {
        let mut tally = tally();
        for number in 0..10 {
            let line = format!("IAMAT kiwi-{number}\r\n");
            tally.difference(Subject::Line(line.as_bytes()), &difference("record", 3));
        }
        tally.difference(Subject::Line(b"IAMAT kiwi"), &difference("record", 4));
        tally.difference(Subject::Line(b" WHATSAT kiwi"), &difference("record", 3));
        tally.difference(Subject::Report(b"kiwi"), &difference("record", 3));
        tally.difference(Subject::Line(b"  \n"), &difference("record", 3));
        let kinds = &tally.findings().differences;
        let told: Vec<_> =
            kinds.iter().map(|kind| (&*kind.command, kind.field, kind.count, kind.examples.len())).collect();
        let three = Some(3);
        let wanted = [("IAMAT", three, 10, 3), ("IAMAT", Some(4), 1, 1), ("WHATSAT", three, 1, 1)];
        assert_eq!(told[..3], wanted);
        assert_eq!(told[3..], [("(report)", three, 1, 1), ("(empty)", three, 1, 1)]);
        let example = &kinds[0].examples[2];
        assert_eq!((&*example.input, example.before.as_deref()), ("IAMAT kiwi-2", Some("+0.5\\x1b")));
        assert_eq!(example.after, None);
    }

    #[test]
    fn tally_names_commands_however_many_words_clients_invent() {
        let mut tally = tally();
        for number in 0..1000 {
            tally.difference(Subject::Line(format!("{number} x").as_bytes()), &difference("key", 1));
        }
        tally.difference(Subject::Line(b"IAMAT x"), &difference("key", 1));
        let kinds = &tally.findings().differences;
        assert_eq!(kinds.len(), WORDS_MAX + 2);
        let count = |command: &str| kinds.iter().find(|kind| kind.command == command).unwrap().count;
        assert_eq!((count("IAMAT"), count("(other)")), (1, 1000 - WORDS_MAX as u64));
    }

    #[test]
    fn tally_limits_kinds_and_cuts_texts() {
        let mut tally = tally();
        let long = vec![b'x'; 10_000];
        for field in 1..=KINDS_MAX + 5 {
            tally.difference(Subject::Line(&long), &difference("key", field));
        }
        let found = tally.findings();
        assert_eq!((found.differences.len(), found.other_differences), (KINDS_MAX, 5));
        let kind = &found.differences[0];
        assert!(kind.command.len() < 30 && kind.command.ends_with("..."), "{}", kind.command);
        assert_eq!(kind.examples[0].input.len(), TEXT_BYTES_MAX + 3);
    }

    #[test]
    fn tally_counts_faults_by_kind() {
        let mut tally = tally();
        for _ in 0..5 {
            tally.fault(Subject::Line(b"BOOM\n"), &Fault::Trap("the bottom fell out".into()));
        }
        tally.fault(Subject::Lines(b"a\nb\n"), &Fault::Deadline);
        assert_eq!(tally.findings().faults, 6);
        let kinds = &tally.findings().faults_by_kind;
        let told: Vec<_> = kinds.iter().map(|kind| (kind.kind, kind.count, kind.examples.len())).collect();
        assert_eq!(told, [("trap", 5, 3), ("deadline", 1, 1)]);
        let first = &kinds[0].examples[0];
        assert_eq!((&*first.input, &*first.fault), ("BOOM", "trapped: the bottom fell out"));
    }
}
