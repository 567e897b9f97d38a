//! Text of differences, plain or in colours.
//!
//! Owns the emphasis of what differs between an expected and an actual effect. Knows nothing of how they were compared.

use std::fmt::Write;
use std::ops::Range;

use herd_sdk::transcript::{Difference, Run};

use super::super::colour::{CYAN, GREEN, RED, bold};

/// Form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Colours,
}

/// Writes all differences of a run.
pub(super) fn differences(run: &Run, paint: Paint) -> String {
    match paint {
        Paint::Plain => run.to_string(),
        Paint::Colours => run.differences().iter().map(coloured).collect(),
    }
}

fn coloured(difference: &Difference) -> String {
    let mut out = bold(&format!("{}:{}", difference.name, difference.line), CYAN);
    out.push('\n');
    for line in difference.event.lines() {
        let _ = writeln!(out, "  {line}");
    }
    let effects: Vec<(char, &str)> = difference.effects().collect();
    for (index, &(mark, text)) in effects.iter().enumerate() {
        let (colour, other) = match mark {
            '-' => (RED, counterpart(&effects, index, '+')),
            '+' => (GREEN, counterpart(&effects, index, '-')),
            '=' => (CYAN, None),
            _ => ("0", None),
        };
        let emphasized = other.map_or(0..0, |other| differing(text, other));
        write_coloured(&mut out, mark, text, colour, emphasized);
    }
    out
}

/// Finds the effect that another one took the place of: in the same block of differences, with the same first word, and the same number
/// of such effects before it.
fn counterpart<'a>(effects: &[(char, &'a str)], index: usize, mark: char) -> Option<&'a str> {
    let begin = effects[..index].iter().rposition(|(mark, _)| *mark == ' ').map_or(0, |at| at + 1);
    let end = effects[index..].iter().position(|(mark, _)| *mark == ' ').map_or(effects.len(), |at| index + at);
    let (own, text) = effects[index];
    let word = |text: &str| text.split_whitespace().next().map(str::to_string);
    let alike = |wanted: char| move |(mark, other): &&(char, &'a str)| *mark == wanted && word(other) == word(text);
    let before = effects[begin..index].iter().filter(alike(own)).count();
    effects[begin..end].iter().filter(alike(mark)).nth(before).map(|(_, text)| *text)
}

/// Returns the bytes of a text between the beginning and the end that it has in common with another one.
fn differing(text: &str, other: &str) -> Range<usize> {
    let same = |(a, b): &(char, char)| a == b;
    let prefix: usize = text.chars().zip(other.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let (rest, other) = (&text[prefix..], &other[prefix..]);
    let suffix: usize = rest.chars().rev().zip(other.chars().rev()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    prefix..text.len() - suffix
}

/// Writes a text with its mark before each line, in reverse video where it differs.
fn write_coloured(out: &mut String, mark: char, text: &str, colour: &str, emphasized: Range<usize>) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        let begin = emphasized.start.saturating_sub(at).min(bare.len());
        let end = emphasized.end.saturating_sub(at).min(bare.len());
        let _ = write!(out, "\u{1b}[{colour}m{mark} {}", &bare[..begin]);
        if begin < end {
            let _ = write!(out, "\u{1b}[7m{}\u{1b}[27m", &bare[begin..end]);
        }
        let _ = writeln!(out, "{}\u{1b}[0m", &bare[end.max(begin)..]);
        at += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diff_emphasizes_what_differs() {
        assert_eq!(differing("  reply \"kiwi\"", "  reply \"kilo\""), 11..13);
        assert_eq!((differing("aa", "aaa"), differing("aaa", "aa"), differing("é", "è")), (2..2, 2..3, 0..2));
        let effects =
            [('-', "reply a"), ('-', "keep b"), ('-', "reply c"), ('+', "reply d"), (' ', "close"), ('+', "reply e")];
        assert_eq!(counterpart(&effects, 0, '+'), Some("reply d"));
        assert_eq!((counterpart(&effects, 1, '+'), counterpart(&effects, 2, '+')), (None, None));
        assert_eq!((counterpart(&effects, 3, '-'), counterpart(&effects, 5, '-')), (Some("reply a"), None));
    }

    #[test]
    fn diff_colours_each_line_of_an_effect() {
        let mut out = String::new();
        write_coloured(&mut out, '-', "reply \"a\"\n  else \"b\"", RED, 7..18);
        assert_eq!(
            out,
            "\u{1b}[31m- reply \"\u{1b}[7ma\"\u{1b}[27m\u{1b}[0m\n\u{1b}[31m- \u{1b}[7m  else \"\u{1b}[27mb\"\u{1b}[0m\n"
        );
    }
}
