//! Parser of transcripts.
//!
//! Owns lines, their indentation and continuations, the lines about the whole transcript, and which occurrence of a variable captures
//! it. It must not know files or guests. The text bounds it, and [`NODES_MAX`].

use std::collections::BTreeSet;
use std::fmt;

use crate::logic::Settings;
use crate::transcript::document::{Document, Item};
use crate::transcript::effect_line::EFFECT_WORDS;
use crate::transcript::event::{Event, ExpectationLine, Step};
use crate::transcript::event_line::event;
use crate::transcript::pattern::{Pattern, Piece, Values};
use crate::transcript::token::{Token, read};

/// Error in the text of a transcript. Its author is at fault; nothing ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Name of the transcript.
    pub name: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// The problem, with a correct example where one helps.
    pub problem: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.name, self.line, self.problem)
    }
}

impl std::error::Error for ParseError {}

/// Parses a transcript.
pub(super) fn document(name: &str, text: &str) -> Result<Document, ParseError> {
    let error = |line, problem| ParseError { name: name.into(), line, problem };
    let settings = Settings { node: DEFAULT_NODE.into(), table: vec![] };
    let (nodes, steps, items) = (vec![DEFAULT_NODE.into()], vec![], vec![]);
    let document = Document { settings, nodes, has_patterns: false, not_live: None, steps, items };
    let mut reader =
        Reader { document, comments: vec![], names_node: false, at: DEFAULT_NODE.into(), captured: BTreeSet::new() };
    let mut lines: Vec<Line> = vec![];
    for (text, number) in text.lines().zip(1..) {
        Line::append(&mut lines, text, number).map_err(|problem| error(number, problem))?;
    }
    for line in lines {
        let number = line.number;
        reader.line(line).map_err(|problem| error(number, problem))?;
    }
    reader.flush_comments();
    Ok(reader.document)
}

/// A line with its continuations.
#[derive(Debug)]
struct Line {
    number: usize,
    kind: Kind,
    tokens: Vec<Token>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Comment,
    /// Not indented: a setting or an event.
    Event,
    /// Indented by two.
    Effect,
}

impl Line {
    /// Appends a line of text, as a continuation of the last line if it is indented as such.
    fn append(lines: &mut Vec<Self>, text: &str, number: usize) -> Result<(), String> {
        let bare = text.trim_start_matches(' ');
        let mut tokens = vec![];
        let kind = match text.len() - bare.len() {
            _ if bare.trim().is_empty() || bare.starts_with('#') => Kind::Comment,
            _ if bare.starts_with('\t') => return Err("a tab before the first word; indent with spaces".into()),
            0 => Kind::Event,
            2 => Kind::Effect,
            4.. => {
                let Some(last) = lines.last_mut().filter(|last| last.kind != Kind::Comment) else {
                    return Err("indented by four, but no line above it to continue".into());
                };
                read(bare, &mut last.tokens)?;
                last.text = format!("{}\n{text}", last.text);
                return Ok(());
            }
            _ => return Err("indent an expected effect by two spaces, a continuation by four or more".into()),
        };
        // Settings and reasons are free text, in which quotes and stars have no meaning.
        let is_plain_text = kind == Kind::Event && (bare.starts_with("set ") || bare.starts_with("live "));
        if kind != Kind::Comment && !is_plain_text {
            read(bare, &mut tokens)?;
        }
        lines.push(Self { number, kind, tokens, text: text.into() });
        Ok(())
    }
}

struct Reader {
    document: Document,
    /// Comments since the last line. The next line decides whether they belong to its event or stand between two events.
    comments: Vec<String>,
    /// Set by the line that names the first node; later ones are events.
    names_node: bool,
    /// Node of the following events.
    at: String,
    /// Variables that an expectation above captures.
    captured: BTreeSet<String>,
}

impl Reader {
    fn line(&mut self, line: Line) -> Result<(), String> {
        match line.kind {
            Kind::Comment => self.comments.push(line.text),
            Kind::Effect => self.effect(line)?,
            Kind::Event => {
                self.flush_comments();
                if self.header(&line)? {
                    self.document.items.push(Item::Verbatim(line.text));
                } else {
                    self.event(line)?;
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, line: Line) -> Result<(), String> {
        let Line { number, tokens, text, .. } = line;
        let variables = tokens.iter().any(|token| matches!(token, Token::Pattern(_)));
        if variables {
            self.check_uses(&tokens)?;
            self.document.has_patterns = true;
        }
        // Any bytes will do to find mistakes in the rest of the line.
        let empty: Values = self.captured.iter().map(|name| (name.clone(), vec![])).collect();
        let event = event(&with_values(&tokens, &empty)?)?;
        match &event {
            Event::Node(name) => self.node(name)?,
            Event::Flood { from } if *from == self.at => {
                return Err(format!("`{from}` is the selected node; write `node NAME` for the one that receives"));
            }
            Event::Flood { from } if !self.document.nodes.contains(from) => {
                return Err(format!("no node `{from}` above; write `node {from}`, and events there, before"));
            }
            _ => {}
        }
        self.document.items.push(Item::Step(self.document.steps.len()));
        let template = variables.then_some(tokens);
        self.document.steps.push(Step { line: number, event, template, text, expectations: vec![] });
        Ok(())
    }

    fn node(&mut self, name: &str) -> Result<(), String> {
        let nodes = &mut self.document.nodes;
        if !nodes.iter().any(|node| node == name) {
            if nodes.len() == NODES_MAX {
                return Err(format!("a transcript has at most {NODES_MAX} nodes"));
            }
            nodes.push(name.into());
        }
        self.at = name.into();
        Ok(())
    }

    /// Checks that an event has no wildcards, and no variables without a value.
    fn check_uses(&self, tokens: &[Token]) -> Result<(), String> {
        let patterns = tokens.iter().filter_map(|token| match token {
            Token::Pattern(pattern) => Some(pattern),
            _ => None,
        });
        for pattern in patterns {
            if pattern.0.iter().any(|piece| matches!(piece, Piece::Any | Piece::One | Piece::Digits)) {
                return Err("\\*, \\? and \\# match bytes of effects; in an event write the bytes, or \\{name}".into());
            }
            if let Some(name) = pattern.variables().find(|name| !self.captured.contains(*name)) {
                return Err(format!("no expectation above captures \\{{{name}}}"));
            }
        }
        Ok(())
    }

    /// Turns the first occurrence of each variable into its capture. Fails if the same string has it again: a match knows the variables
    /// of the strings before it, and not its own.
    fn capture(&mut self, tokens: &mut [Token]) -> Result<(), String> {
        for token in tokens {
            let Token::Pattern(Pattern(pieces)) = token else { continue };
            self.document.has_patterns = true;
            let mut captured_here = BTreeSet::new();
            for piece in pieces {
                let Piece::Use(name) = piece else { continue };
                if captured_here.contains(name.as_str()) {
                    return Err(format!(
                        "one string cannot capture \\{{{name}}} and need its value; give one of the two another name"
                    ));
                }
                if self.captured.insert(name.clone()) {
                    captured_here.insert(name.clone());
                    *piece = Piece::Capture(std::mem::take(name));
                }
            }
        }
        Ok(())
    }

    fn flush_comments(&mut self) {
        self.document.items.extend(self.comments.drain(..).map(Item::Verbatim));
    }

    fn effect(&mut self, line: Line) -> Result<(), String> {
        let Line { number, mut tokens, text, .. } = line;
        if !tokens.first().is_some_and(|first| EFFECT_WORDS.iter().any(|word| first.is(word))) {
            let known = EFFECT_WORDS.join(", ");
            return Err(format!("an expected effect begins with one of {known}; an event is not indented"));
        }
        let step = match self.document.items.last() {
            Some(Item::Step(index)) => &mut self.document.steps[*index],
            _ => return Err("an expected effect, but no event above it".into()),
        };
        if !step.event.calls_guest() {
            return Err("an expected effect below an event that does not call the guest".into());
        }
        step.expectations.extend(self.comments.drain(..).map(ExpectationLine::Comment));
        let index = self.document.steps.len() - 1;
        self.capture(&mut tokens)?;
        let line = ExpectationLine::Effect { tokens, line: number, text };
        self.document.steps[index].expectations.push(line);
        Ok(())
    }

    /// Parses a line about the whole transcript. Returns false for other lines.
    fn header(&mut self, line: &Line) -> Result<bool, String> {
        let document = &mut self.document;
        let word = line.text.split_whitespace().next().unwrap_or_default();
        let begins = document.steps.is_empty() && !self.names_node;
        if !["node", "set", "live"].contains(&word) || (word == "node" && !begins) {
            return Ok(false);
        }
        if !document.steps.is_empty() {
            return Err(format!("`{word}` applies to the whole transcript and must precede the first event"));
        }
        match word {
            "node" => match &line.tokens[1..] {
                [Token::Word(name)] => {
                    document.settings.node = name.clone();
                    document.nodes = vec![name.clone()];
                    (self.names_node, self.at) = (true, name.clone());
                }
                _ => return Err("expected a name: node Riley".into()),
            },
            "set" => {
                let (name, value) = setting(&line.text)?;
                let table = &mut document.settings.table;
                match table.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
                    Ok(_) => return Err(format!("`{name}` is set twice")),
                    Err(at) => table.insert(at, (name.into(), value.into())),
                }
            }
            _ => match line.text.split_once("live no:").map(|(_, reason)| without_comment(reason)) {
                Some(reason) if !reason.is_empty() => document.not_live = Some(reason.into()),
                _ => {
                    return Err(
                        "expected the reason why it cannot run against a live herd: live no: needs other clocks".into(),
                    );
                }
            },
        }
        Ok(true)
    }
}

/// Returns the tokens of an event with the bytes of its variables.
///
/// # Errors
///
/// The name of a variable without a value.
pub(super) fn with_values(tokens: &[Token], values: &Values) -> Result<Vec<Token>, String> {
    let token = |token: &Token| match token {
        Token::Pattern(pattern) => pattern.bytes(values).map(Token::Bytes),
        other => Ok(other.clone()),
    };
    tokens.iter().map(token).collect()
}

/// Parses `set NAME = VALUE`.
fn setting(text: &str) -> Result<(&str, &str), String> {
    let usage = || "expected a name and a value: set tolerance_s = 60".to_string();
    let (name, value) = text.strip_prefix("set ").and_then(|pair| pair.split_once('=')).ok_or_else(usage)?;
    let (name, value) = (name.trim(), without_comment(value));
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    if is_name { Ok((name, value)) } else { Err(usage()) }
}

fn without_comment(text: &str) -> &str {
    text.split_once(" #").map_or(text, |(text, _)| text).trim()
}

/// Node name of a transcript without a `node` line: the first node of the herd that runs without a configuration.
const DEFAULT_NODE: &str = "Riley";
/// Nodes of a transcript, each of which is an instance of the guest.
const NODES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Failure, Mark};
    use crate::transcript::event::{Event, PeerReport, UpstreamOutcome};

    fn error(text: &str) -> String {
        document("t", text).unwrap_err().to_string()
    }

    #[test]
    fn parsing_reads_every_event() {
        let text = "\
            # a comment\n\
            node Riley\n\
            set b.c = 1, 2   # why\n\
            set a = \n\
            live no: needs other clocks\n\
            now 1.5\n\
            now +0.000000001\n\
            random 7 11\n\
            session alice\n\
            input \"x\\n\" end\n\
            \n\
            report \"k\", \"r\" form 1 rank 00fF origin \"B\"\n    and \"l\", \"s\" form 2 rank - origin \"C\"\n\
            answer 200 'a' \"b\"\n\
            answer from \"google\" failed too-large\n";
        let document = document("t", text).unwrap();
        assert_eq!(document.settings.node, "Riley");
        assert_eq!(document.settings.table, [("a".into(), String::new()), ("b.c".into(), "1, 2".into())]);
        assert_eq!(document.not_live.as_deref(), Some("needs other clocks"));
        let first = PeerReport { key: "k".into(), bytes: "r".into(), form: 1, rank: vec![0, 255], origin: "B".into() };
        let second = PeerReport { key: "l".into(), bytes: "s".into(), form: 2, rank: vec![], origin: "C".into() };
        let events: Vec<Event> = document.steps.iter().map(|step| step.event().clone()).collect();
        let answered = UpstreamOutcome::Answered { status: 200, body: b"ab".into() };
        let expected = [
            Event::Now(1_500_000_000),
            Event::Advance(1),
            Event::Random(7, 11),
            Event::Session("alice".into()),
            Event::Input { bytes: b"x\n".into(), mark: Mark::End },
            Event::Reports(vec![first, second]),
            Event::Answer { upstream: None, outcome: answered },
            Event::Answer { upstream: Some(b"google".into()), outcome: UpstreamOutcome::Failed(Failure::TooLarge) },
        ];
        assert_eq!(events, expected);
        assert_eq!(document.steps[5].line(), 12);
    }

    #[test]
    fn errors_quote_the_line_and_the_problem() {
        for (text, expected) in [
            ("\n   reply \"a\"", "t:2: indent an expected effect by two spaces, a continuation by four or more"),
            ("    reply", "t:1: indented by four, but no line above it to continue"),
            ("\tinput", "t:1: a tab before the first word; indent with spaces"),
            ("  reply \"a\"", "t:1: an expected effect, but no event above it"),
            ("now 1\n  reply \"a\"", "t:2: an expected effect below an event that does not call the guest"),
            ("input \"a\"\nset a = 1", "t:2: `set` applies to the whole transcript and must precede the first event"),
            (
                "node A\nnode B\nset a = 1",
                "t:3: `set` applies to the whole transcript and must precede the first event",
            ),
            ("now 1\nnode", "t:2: expected a name: node Riley"),
            ("flood", "t:1: expected a node: flood from Riley"),
            ("flood from Riley", "t:1: `Riley` is the selected node; write `node NAME` for the one that receives"),
            ("flood from A", "t:1: no node `A` above; write `node A`, and events there, before"),
            ("input \"\\{x}\"", "t:1: no expectation above captures \\{x}"),
            ("input \"\\*\"", "t:1: \\*, \\? and \\# match bytes of effects; in an event write the bytes, or \\{name}"),
            ("input \"\\{x\"", "t:1: a variable ends with a brace: \\{name}"),
            (
                "input \"a\"\n  reply \"\\{x y}\"",
                "t:2: `x y` is not the name of a variable: 1 to 32 letters, digits and underscores",
            ),
            (
                "input \"a\"\n  reply \"\\{x} \\{x}\"",
                "t:2: one string cannot capture \\{x} and need its value; give one of the two another name",
            ),
            ("input \"a\"\n  reply \"\\*\"*3", "t:2: a string with wildcards or variables cannot be repeated"),
            ("node", "t:1: expected a name: node Riley"),
            ("set a", "t:1: expected a name and a value: set tolerance_s = 60"),
            ("set a = 1\nset a = 2", "t:2: `a` is set twice"),
            ("live yes", "t:1: expected the reason why it cannot run against a live herd: live no: needs other clocks"),
            ("now", "t:1: expected a time: now 1479413884.655837, or now +0.5 to advance the clock"),
            (
                "now 1.0000000000",
                "t:1: `1.0000000000` is not a time: now 1479413884.655837, or now +0.5 to advance the clock",
            ),
            ("random 1", "t:1: expected two numbers of 64 bits: random 7 11"),
            ("session", "t:1: expected a name: session alice"),
            ("input x", "t:1: expected bytes: input \"IAMAT kiwi +34-118 1479413884\\n\""),
            ("input \"x\" last", "t:1: only `end` or `overlong` may follow the bytes of an input"),
            ("input \"x\"\n    \"y", "t:2: the byte string is not closed; end it with \""),
            ("answer 20 \"\"", "t:1: an HTTP status has three digits"),
            (
                "answer failed late",
                "t:1: `late` is not a failure; choose from unknown, unreachable, timeout, too-large, incomplete, busy",
            ),
            (
                "report \"k\", \"r\" form 1 rank 0 origin \"B\"",
                "t:1: a rank is an even number of hexadecimal digits, or a dash for none",
            ),
            (
                "\"x\"",
                "t:1: a byte string without a word before it; known are node, set, live, now, random, session, input, report, flood and answer",
            ),
            (
                "inputs \"x\"",
                "t:1: `inputs` is not an event; known are node, set, live, now, random, session, input, report, flood and answer",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert!(error("report \"k\" \"r\"").starts_with("t:1: expected: report \"KEY\", \"RECORD\" form 1"));
        assert!(error("answer").starts_with("t:1: expected a status and a body, or a failure (unknown,"));
        assert!(
            error("input \"x\"\n  replay \"y\"").starts_with("t:2: an expected effect begins with one of reply, keep,")
        );
    }
}
