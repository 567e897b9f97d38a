//! What came of a transcript, and how it differs from what was expected.

use std::fmt;

use crate::transcript::document::{Document, Item};
use crate::transcript::effect_line::EffectLine;
use crate::transcript::event::{ExpectationLine, Step};
use crate::transcript::token::{Token, matches};

/// What came of a transcript.
#[derive(Clone, Debug)]
#[must_use]
pub struct Run {
    actual: String,
    differences: Vec<Difference>,
}

impl Run {
    /// Compares what happened at each step with what its author expected.
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

    /// Whether everything came as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// The transcript with the expectations that were not met replaced by what happened. The rest is as its author
    /// wrote it, comments included; only a comment behind a replaced effect is lost.
    #[must_use]
    pub fn actual(&self) -> &str {
        &self.actual
    }

    /// Where it came otherwise, one for each event.
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
    /// Every difference, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.iter().try_for_each(|difference| write!(f, "{difference}"))
    }
}

/// One event whose effects were not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the transcript.
    pub name: String,
    /// The number of the event's line.
    pub line: usize,
    /// The event as its author wrote it.
    pub event: String,
    lines: Vec<DiffLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DiffLine {
    /// `-` expected but not there, `+` there but not expected, or a blank.
    mark: char,
    text: String,
}

impl fmt::Display for Difference {
    /// `name:line`, the event, and its effects with marks as in a unified diff.
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

/// A longest common subsequence of what was expected and what happened: pairs of positions.
///
/// Takes time and memory in the product of both lengths, which people write by hand.
fn common(step: &Step, effects: &[EffectLine]) -> Vec<(usize, usize)> {
    let expected: Vec<&[Token]> = step.expected().collect();
    let same = |i: usize, j: usize| matches(expected[i], &effects[j].tokens);
    // length[i][j]: of what is common to expected[i..] and effects[j..].
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
