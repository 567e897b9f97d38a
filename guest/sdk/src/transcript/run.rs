//! Result of running a transcript, and its differences from the expectations.
//!
//! Owns the comparison and the recorded text. It must not call the guest. The comparison of one event takes time and memory
//! in the product of its expected and actual effects.

use std::fmt;

use crate::transcript::document::{Document, Item};
use crate::transcript::effect_line::EffectLine;
use crate::transcript::event::{ExpectationLine, Step};
use crate::transcript::token::{Token, matches};

/// Result of running a transcript.
#[derive(Clone, Debug)]
#[must_use]
pub struct Run {
    actual: String,
    differences: Vec<Difference>,
}

impl Run {
    /// Compares the effects of each step with its expectations.
    pub(super) fn new(name: &str, document: &Document, effects: &[Vec<EffectLine>]) -> Self {
        let mut run = Self { actual: String::new(), differences: vec![] };
        for item in &document.items {
            match item {
                Item::Verbatim(text) => run.write(text),
                Item::Step(index) => run.step(name, &document.steps[*index], &effects[*index]),
            }
        }
        run
    }

    /// Returns whether every expectation was met and no other effect occurred.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Returns the text of the transcript with unmet expectations replaced by the actual effects. The rest stays as written,
    /// including comments, except for a comment at the end of a replaced line.
    #[must_use]
    pub fn actual(&self) -> &str {
        &self.actual
    }

    /// Returns the differences, at most one for each event.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    fn write(&mut self, text: &str) {
        self.actual.push_str(text);
        self.actual.push('\n');
    }

    fn step(&mut self, name: &str, step: &Step, effects: &[EffectLine]) {
        self.write(&step.text);
        let mut lines = vec![];
        let mut actual = effects.iter();
        let mut common = common(step, effects).into_iter().peekable();
        let mut position = 0;
        for line in &step.expectations {
            let (tokens, text) = match line {
                ExpectationLine::Comment(text) => {
                    self.write(text);
                    continue;
                }
                ExpectationLine::Effect { tokens, text } => (tokens, text),
            };
            match common.next_if(|&(expected, _)| expected == position) {
                None => lines.push(DiffLine { mark: '-', text: text.clone() }),
                Some((_, same)) => {
                    // Unexpected effects before the common line come first, so that the recording keeps the actual order.
                    let before = same - (effects.len() - actual.len());
                    for effect in actual.by_ref().take(before) {
                        lines.push(DiffLine { mark: '+', text: effect.text.clone() });
                        self.write(&effect.text);
                    }
                    actual.next();
                    debug_assert!(matches(tokens, &effects[same].tokens), "the common lines match");
                    lines.push(DiffLine { mark: ' ', text: text.clone() });
                    self.write(text);
                }
            }
            position += 1;
        }
        for effect in actual {
            lines.push(DiffLine { mark: '+', text: effect.text.clone() });
            self.write(&effect.text);
        }
        if lines.iter().any(|line| line.mark != ' ') {
            self.differences.push(Difference { name: name.into(), line: step.line, event: step.text.clone(), lines });
        }
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
    /// Number of the event's line, from 1.
    pub line: usize,
    /// Text of the event as written.
    pub event: String,
    lines: Vec<DiffLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DiffLine {
    /// `-` for a missing effect, `+` for an unexpected one, or a space.
    mark: char,
    text: String,
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

/// Returns a longest common subsequence of expected and actual effects, as pairs of positions.
///
/// Takes time and memory in the product of both lengths, which are short in a file written by hand.
fn common(step: &Step, effects: &[EffectLine]) -> Vec<(usize, usize)> {
    let expected: Vec<&[Token]> = step.expected().collect();
    let same = |i: usize, j: usize| matches(expected[i], &effects[j].tokens);
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
