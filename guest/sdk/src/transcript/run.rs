//! Result of running a transcript, and its differences from the expectations.
//!
//! Owns the comparison and the recorded text. It must not call the guest. The comparison of one event takes time and memory
//! in the product of its expected and actual effects.

use std::fmt;

use crate::transcript::compared::{Compared, observed_effects, observed_expectations, same_bytes};
use crate::transcript::coverage::Coverage;
use crate::transcript::effect_line::EffectLine;
use crate::transcript::event::{ExpectationLine, Step};
use crate::transcript::pattern::{Unset, Values};
use crate::transcript::token::{Token, matches, write_bytes};

/// Result of running a transcript.
#[derive(Clone, Debug)]
#[must_use]
pub struct Run {
    name: String,
    compared: Compared,
    actual: String,
    differences: Vec<Difference>,
    pub(super) values: Values,
    pub(super) coverage: Coverage,
}

impl Run {
    /// Begins a run of a transcript.
    pub(super) fn new(name: &str, compared: Compared) -> Self {
        let (actual, differences) = (String::new(), vec![]);
        let (values, coverage) = (Values::new(), Coverage::default());
        Self { name: name.into(), compared, actual, differences, values, coverage }
    }

    /// Returns whether every expectation was met and no other effect occurred, among those [compared](Compared).
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Returns the text of the transcript with unmet expectations of any effect replaced by the actual effects. The rest stays
    /// as written, including comments, except for a comment at the end of a replaced line. A replaced line keeps stars, patterns
    /// and variables where they still match. What could not be performed keeps its expectations.
    #[must_use]
    pub fn actual(&self) -> &str {
        &self.actual
    }

    /// Returns the differences, at most one for each event.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Returns the commands that the guest read, and the effects that it decided.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Writes a line of the transcript.
    pub(super) fn write(&mut self, text: &str) {
        self.actual.push_str(text);
        self.actual.push('\n');
    }

    /// Compares the effects of a step with its expectations.
    pub(super) fn step(&mut self, step: &Step, effects: &[EffectLine]) {
        self.coverage.add_effects(effects);
        self.write(&step.text);
        let merged = merge(&step.expectations, effects, &mut self.values);
        record(&merged, &self.values).iter().for_each(|text| self.write(text));
        let (expected, observed);
        let mut lines = match self.compared {
            Compared::Effects => merged,
            Compared::Replies => {
                (expected, observed) = (observed_expectations(&step.expectations), observed_effects(effects));
                if let Some(captured) = same_bytes(&expected, &observed, &self.values) {
                    self.values.extend(captured);
                    return;
                }
                merge(&expected, &observed, &mut self.values)
            }
        };
        lines.retain(|line| line.mark != Mark::Comment);
        if let Some(first) = lines.iter().find(|line| line.mark != Mark::Same) {
            // An effect that was not expected has no line of its own; its event does.
            let missing = lines.iter().find(|line| line.mark == Mark::Missing).unwrap_or(first);
            let line = missing.line.unwrap_or(step.line);
            let notes = self.notes(&lines);
            let lines = lines.iter().map(|line| DiffLine { mark: line.mark.sign(), text: line.text.into() });
            let lines = lines.chain(notes).collect();
            self.difference(step, line, lines);
        }
    }

    /// Notes that a step was not performed, since a variable has no value.
    pub(super) fn skip(&mut self, step: &Step, variable: &str) {
        self.write(&step.text);
        step.expectations.iter().for_each(|line| self.write(line.text()));
        let text =
            format!("  not performed: no value for \\{{{variable}}}, since the line that captures it does not hold");
        self.difference(step, step.line, vec![DiffLine { mark: '=', text }]);
    }

    fn difference(&mut self, step: &Step, line: usize, lines: Vec<DiffLine>) {
        let (name, event) = (self.name.clone(), step.text.clone());
        self.differences.push(Difference { name, line, event, lines });
    }

    /// Lists the values of variables in unmet expectations.
    fn notes(&self, lines: &[Merged<'_>]) -> Vec<DiffLine> {
        let missing = lines.iter().filter(|line| line.mark == Mark::Missing);
        let patterns = missing.flat_map(|line| line.tokens).filter_map(|token| match token {
            Token::Pattern(pattern) => Some(pattern),
            _ => None,
        });
        let mut names: Vec<&str> = patterns.flat_map(|pattern| pattern.variables()).collect();
        names.sort_unstable();
        names.dedup();
        let note = |name: &&str| {
            let mut text = format!("  \\{{{name}}} is ");
            write_bytes(&mut text, self.values.get(*name)?, " ");
            Some(DiffLine { mark: '=', text })
        };
        names.iter().filter_map(note).collect()
    }
}

impl fmt::Display for Run {
    /// Writes every difference, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.iter().try_for_each(|difference| write!(f, "{difference}"))
    }
}

/// One event whose effects differ from its expectations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the transcript.
    pub name: String,
    /// Number of the line, from 1: of the first expectation that does not hold, or of the event if effects occurred that are not
    /// expected.
    pub line: usize,
    /// Text of the event as written.
    pub event: String,
    lines: Vec<DiffLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DiffLine {
    /// `-` for a missing effect, `+` for an unexpected one, `=` for a note, or a space.
    mark: char,
    text: String,
}

impl Difference {
    /// Iterates over the effects, each with its mark and its text: `-` for one that did not occur, `+` for one that was not expected, a
    /// space for one that was, and `=` for a note, such as the value of a variable.
    pub fn effects(&self) -> impl Iterator<Item = (char, &str)> {
        self.lines.iter().map(|line| (line.mark, &*line.text))
    }
}

impl fmt::Display for Difference {
    /// Writes `name:line`, the event, and its effects with marks as in a unified diff.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}", self.name, self.line)?;
        for line in self.event.lines() {
            writeln!(f, "  {line}")?;
        }
        for DiffLine { mark, text } in &self.lines {
            for line in text.lines() {
                writeln!(f, "{mark} {line}")?;
            }
        }
        Ok(())
    }
}

/// Line of expectations and effects merged into one list.
struct Merged<'a> {
    mark: Mark,
    text: &'a str,
    /// Tokens of an effect.
    tokens: &'a [Token],
    /// Number of the line of an expectation.
    line: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Not an effect.
    Comment,
    /// Expected, and occurred.
    Same,
    /// Expected, and did not occur.
    Missing,
    /// Not expected, and occurred.
    Unexpected,
}

impl Mark {
    fn sign(self) -> char {
        match self {
            Self::Comment | Self::Same => ' ',
            Self::Missing => '-',
            Self::Unexpected => '+',
        }
    }
}

/// Merges expectations with the effects that occurred. Adds what the expectations that hold capture to the values.
fn merge<'a>(expectations: &'a [ExpectationLine], effects: &'a [EffectLine], values: &mut Values) -> Vec<Merged<'a>> {
    let expected = expectations.iter().filter_map(|line| match line {
        ExpectationLine::Effect { tokens, .. } => Some(&**tokens),
        ExpectationLine::Comment(_) => None,
    });
    let expected = expected.collect::<Vec<_>>();
    let mut common = common(&expected, effects, values);
    // Lines were paired before the captures among them were known. What they capture decides which pairs hold.
    common.retain(|&(i, j)| {
        let captured = matches(expected[i], &effects[j].tokens, values, Unset::Fails);
        captured.map(|captured| values.extend(captured)).is_some()
    });
    let mut common = common.into_iter().peekable();
    let unexpected = |effect: &'a EffectLine| Merged {
        mark: Mark::Unexpected,
        text: &effect.text,
        tokens: &effect.tokens,
        line: None,
    };
    let mut merged = vec![];
    let mut actual = effects.iter();
    let mut position = 0;
    for line in expectations {
        let (tokens, number, text) = match line {
            ExpectationLine::Comment(text) => {
                merged.push(Merged { mark: Mark::Comment, text, tokens: &[], line: None });
                continue;
            }
            ExpectationLine::Effect { tokens, line, text } => (tokens, Some(*line), text),
        };
        match common.next_if(|&(expected, _)| expected == position) {
            None => merged.push(Merged { mark: Mark::Missing, text, tokens, line: number }),
            Some((_, same)) => {
                // Unexpected effects before the common line come first, so that the recording keeps the actual order.
                let before = same - (effects.len() - actual.len());
                merged.extend(actual.by_ref().take(before).map(unexpected));
                actual.next();
                merged.push(Merged { mark: Mark::Same, text, tokens, line: number });
            }
        }
        position += 1;
    }
    merged.extend(actual.map(unexpected));
    merged
}

/// Returns the lines of a recording: those that occurred. One that takes the place of a missing one keeps its stars, patterns and
/// variables where they match.
fn record(merged: &[Merged<'_>], values: &Values) -> Vec<String> {
    let mut recorded = vec![];
    let mut missing: Vec<&[Token]> = vec![];
    for line in merged {
        match line.mark {
            Mark::Comment => recorded.push(line.text.into()),
            Mark::Same => {
                missing.clear();
                recorded.push(line.text.into());
            }
            Mark::Missing => missing.push(line.tokens),
            Mark::Unexpected => {
                let replaced = missing.iter().position(|tokens| is_alike(tokens, line.tokens));
                let fitted = replaced.and_then(|at| fitted(missing.remove(at), line.tokens, values));
                recorded.push(fitted.map_or_else(|| line.text.into(), |tokens| EffectLine::of_tokens(&tokens).text));
            }
        }
    }
    recorded
}

/// Returns whether one effect may have taken the place of another: the same words in the same places.
fn is_alike(expected: &[Token], actual: &[Token]) -> bool {
    let alike = |(expected, actual): (&Token, &Token)| match (expected, actual) {
        (Token::Any, _) | (Token::Bytes(_) | Token::Pattern(_), Token::Bytes(_)) => true,
        (expected, actual) => expected == actual,
    };
    expected.first() == actual.first()
        && expected.len() == actual.len()
        // Words may change, such as a rank, but those of options and names of effects stay.
        && expected.iter().zip(actual).filter(|pair| !alike(*pair)).all(|(expected, _)| is_value(expected))
}

/// Returns whether a word is a number or a rank, and not the name of an option.
fn is_value(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word == "-" || word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Fits the expectations of a line to other effects. None if nothing but literal text would be left.
fn fitted(expected: &[Token], actual: &[Token], values: &Values) -> Option<Vec<Token>> {
    let fit = |(expected, actual): (&Token, &Token)| match (expected, actual) {
        (Token::Any, _) => Token::Any,
        (Token::Pattern(pattern), Token::Bytes(bytes)) => {
            pattern.fitted(bytes, values).map_or_else(|| actual.clone(), Token::Pattern)
        }
        _ => actual.clone(),
    };
    let fitted: Vec<Token> = expected.iter().zip(actual).map(fit).collect();
    (fitted != actual).then_some(fitted)
}

/// Returns a longest common subsequence of expected and actual effects, as pairs of positions. A variable without a value matches
/// anything.
///
/// Takes time and memory in the product of both lengths, which are short in a file written by hand.
fn common(expected: &[&[Token]], effects: &[EffectLine], values: &Values) -> Vec<(usize, usize)> {
    let same = |i: usize, j: usize| matches(expected[i], &effects[j].tokens, values, Unset::Matches).is_some();
    // Each pair is compared once: patterns take longer than literal text.
    let same: Vec<Vec<bool>> = (0..expected.len()).map(|i| (0..effects.len()).map(|j| same(i, j)).collect()).collect();
    let same = |i: usize, j: usize| same[i][j];
    // length[i][j] is the length of a longest common subsequence of expected[i..] and effects[j..].
    let mut length = vec![vec![0_usize; effects.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..effects.len()).rev() {
            let either = length[i + 1][j].max(length[i][j + 1]);
            length[i][j] = if same(i, j) { length[i + 1][j + 1] + 1 } else { either };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = vec![];
    while i < expected.len() && j < effects.len() {
        if same(i, j) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
