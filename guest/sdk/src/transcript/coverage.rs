//! Coverage of a run: commands that the guest read, and effects that it decided.
//!
//! Owns the counts. It must not know what a command means: for a protocol of lines it is the first word of a line. Bounds:
//! [`COMMANDS_MAX`] commands of [`COMMAND_BYTES_MAX`] bytes.

use std::collections::BTreeMap;

use crate::transcript::effect_line::EffectLine;
use crate::transcript::token::Token;

/// Commands and effects of one or more runs.
///
/// ```
/// use herd_sdk::transcript::Coverage;
///
/// let coverage = Coverage::default();
/// assert_eq!(coverage.effects().find(|(kind, _)| *kind == "reply"), Some(("reply", 0)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    commands: BTreeMap<Vec<u8>, u64>,
    /// Lines whose command had no room.
    other_commands: u64,
    effects: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (command, count) in &other.commands {
            self.add_command(command, *count);
        }
        self.other_commands += other.other_commands;
        for (kind, count) in &other.effects {
            *self.effects.entry(kind).or_default() += count;
        }
    }

    /// Iterates over the first words of the lines that the guest read, and the number of lines. Words longer than 32 bytes are cut.
    pub fn commands(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.commands.iter().map(|(command, count)| (&**command, *count))
    }

    /// Returns the number of lines whose first word is not among [`commands`](Self::commands), because those are too many.
    #[must_use]
    pub fn other_commands(&self) -> u64 {
        self.other_commands
    }

    /// Iterates over all kinds of effects, with the number of times that each occurred.
    pub fn effects(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().map(|kind| (kind, self.effects.get(kind).copied().unwrap_or_default()))
    }

    /// Adds the first word of each line that a guest consumed.
    pub(super) fn add_commands(&mut self, consumed: &[u8]) {
        for line in consumed.split(|&byte| byte == b'\n') {
            let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
            if let Some(word) = word {
                self.add_command(&word[..word.len().min(COMMAND_BYTES_MAX)], 1);
            }
        }
    }

    /// Adds effects of an event.
    pub(super) fn add_effects(&mut self, effects: &[EffectLine]) {
        for effect in effects {
            for kind in KINDS.into_iter().filter(|kind| is_of_kind(kind, &effect.tokens)) {
                *self.effects.entry(kind).or_default() += 1;
            }
        }
    }

    fn add_command(&mut self, command: &[u8], count: u64) {
        if let Some(known) = self.commands.get_mut(command) {
            *known += count;
        } else if self.commands.len() < COMMANDS_MAX {
            self.commands.insert(command.into(), count);
        } else {
            self.other_commands += count;
        }
    }
}

/// Returns whether an effect is of a kind: begins with its first word, and has its others anywhere.
fn is_of_kind(kind: &str, tokens: &[Token]) -> bool {
    let mut words = kind.split(' ');
    let first = words.next().unwrap_or_default();
    tokens.first().is_some_and(|token| token.is(first)) && words.all(|word| tokens.iter().any(|token| token.is(word)))
}

/// Kinds of effects. A kind of several words is a part of that of its first word.
const KINDS: [&str; 20] = [
    "reply",
    "reply else",
    "keep",
    "keep to",
    "keep loses",
    "fetch get",
    "fetch post",
    "subscribe",
    "unsubscribe",
    "publish",
    "publish if kept",
    "close",
    "note debug",
    "note info",
    "note warn",
    "verdict keep",
    "verdict refuse",
    "duplicate",
    "left",
    "fault",
];
/// Commands that are told apart: a protocol has some dozens, and a test of malformed lines adds others.
const COMMANDS_MAX: usize = 256;
const COMMAND_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_counts_first_words_within_bounds() {
        let mut coverage = Coverage::default();
        coverage.add_commands(b"IAMAT kiwi\n  IAMAT dodo\r\n\n \nWHATSAT");
        coverage.add_commands(&[b'x'; 100]);
        let long = [b'x'; COMMAND_BYTES_MAX];
        assert_eq!(coverage.commands().collect::<Vec<_>>(), [(&b"IAMAT"[..], 2), (&b"WHATSAT"[..], 1), (&long[..], 1)]);
        for number in 0..1000 {
            coverage.add_commands(format!("c{number}").as_bytes());
        }
        assert_eq!((coverage.commands().count(), coverage.other_commands()), (COMMANDS_MAX, 747));
    }
}
