//! Result of running a transcript, and its differences from the expectations.
//!
//! Owns the comparison and the recorded text. It must not call the guest. The comparison of one event takes time and memory
//! in the product of its expected and actual effects.

use std::fmt;

use crate::transcript::compared::{Compared, observed_effects, observed_expectations, same_bytes};
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
    pub(super) fn new(name: &str, document: &Document, effects: &[Vec<EffectLine>], compared: Compared) -> Self {
        let mut run = Self { actual: String::new(), differences: vec![] };
        for item in &document.items {
            match item {
                Item::Verbatim(text) => run.write(text),
                Item::Step(index) => run.step(name, &document.steps[*index], &effects[*index], compared),
            }
        }
        run
    }

    /// Returns whether every expectation was met and no other effect occurred, among those [compared](Compared).
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Returns the text of the transcript with unmet expectations of any effect replaced by the actual effects. The rest stays
    /// as written, including comments, except for a comment at the end of a replaced line.
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

    fn step(&mut self, name: &str, step: &Step, effects: &[EffectLine], compared: Compared) {
        self.write(&step.text);
        let merged = merge(&step.expectations, effects);
        merged.iter().filter(|line| line.mark != Mark::Missing).for_each(|line| self.write(line.text));
        let (expected, observed);
        let mut lines = match compared {
            Compared::Effects => merged,
            Compared::Replies => {
                (expected, observed) = (observed_expectations(&step.expectations), observed_effects(effects));
                if same_bytes(&expected, &observed) {
                    return;
                }
                merge(&expected, &observed)
            }
        };
        lines.retain(|line| line.mark != Mark::Comment);
        if lines.iter().any(|line| line.mark != Mark::Same) {
            let lines = lines.iter().map(|line| DiffLine { mark: line.mark.sign(), text: line.text.into() }).collect();
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

/// Line of expectations and effects merged into one list.
struct Merged<'a> {
    mark: Mark,
    text: &'a str,
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

/// Merges expectations with the effects that occurred. Without the missing ones, the lines are a recording.
fn merge<'a>(expectations: &'a [ExpectationLine], effects: &'a [EffectLine]) -> Vec<Merged<'a>> {
    let expected = expectations.iter().filter_map(|line| match line {
        ExpectationLine::Effect { tokens, .. } => Some(&**tokens),
        ExpectationLine::Comment(_) => None,
    });
    let mut common = common(&expected.collect::<Vec<_>>(), effects).into_iter().peekable();
    let unexpected = |effect: &'a EffectLine| Merged { mark: Mark::Unexpected, text: &effect.text };
    let mut merged = vec![];
    let mut actual = effects.iter();
    let mut position = 0;
    for line in expectations {
        let (tokens, text) = match line {
            ExpectationLine::Comment(text) => {
                merged.push(Merged { mark: Mark::Comment, text });
                continue;
            }
            ExpectationLine::Effect { tokens, text } => (tokens, text),
        };
        match common.next_if(|&(expected, _)| expected == position) {
            None => merged.push(Merged { mark: Mark::Missing, text }),
            Some((_, same)) => {
                // Unexpected effects before the common line come first, so that the recording keeps the actual order.
                let before = same - (effects.len() - actual.len());
                merged.extend(actual.by_ref().take(before).map(unexpected));
                actual.next();
                debug_assert!(matches(tokens, &effects[same].tokens), "the common lines match");
                merged.push(Merged { mark: Mark::Same, text });
            }
        }
        position += 1;
    }
    merged.extend(actual.map(unexpected));
    merged
}

/// Returns a longest common subsequence of expected and actual effects, as pairs of positions.
///
/// Takes time and memory in the product of both lengths, which are short in a file written by hand.
fn common(expected: &[&[Token]], effects: &[EffectLine]) -> Vec<(usize, usize)> {
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
