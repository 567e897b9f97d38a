//! Writer of effect lines: the canonical text of an effect, and its tokens for comparison.
//!
//! Owns the notation of effects. It must not know what was expected. The decision bounds it.

use crate::decision::Decision;
use crate::effect::{Effect, FanOut, Fetch, Keep, Level, Method, Publish, Reply};
use crate::event::Awaiting;
use crate::transcript::token::{BYTES_CONTINUATION, CONTINUATION, Token, write_bytes, write_tokens};

/// First words of the lines below an event.
pub(super) const EFFECT_WORDS: [&str; 14] = [
    "reply",
    "keep",
    "fetch",
    "subscribe",
    "unsubscribe",
    "publish",
    "close",
    "note",
    "verdict",
    "duplicate",
    "left",
    "waits",
    "unasked",
    "fault",
];

/// Result of a keep or a report against the current record of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepResult {
    /// The record won, or the effect is not a keep.
    Applied,
    /// A higher record was current.
    Outranked,
}

/// One line of effects.
#[derive(Clone, Debug, Default)]
pub(super) struct EffectLine {
    pub(super) tokens: Vec<Token>,
    /// Text, indented by two, its continuations by four, or by six within a byte string. Without a newline at the end.
    pub(super) text: String,
}

impl EffectLine {
    /// Writes an effect of a decision. Returns none for `done` and `refuse`, which `left` and `verdict` lines show.
    pub(super) fn effect(decision: &Decision, index: usize, result: KeepResult) -> Option<Self> {
        let bytes = |span| decision.bytes(span);
        Some(match decision.effects.iter().nth(index)? {
            Effect::Done(_) | Effect::Refuse(_) => return None,
            Effect::Reply(reply) => Self::reply(decision, index, reply),
            Effect::Keep(keep) => Self::keep(decision, &keep, result),
            Effect::Fetch(fetch) => Self::fetch(decision, fetch),
            Effect::Subscribe(topic) => Self::word("subscribe").bytes(bytes(topic)),
            Effect::Unsubscribe(topic) => Self::word("unsubscribe").bytes(bytes(topic)),
            Effect::Publish(publish) => Self::publish(decision, index, publish),
            Effect::Close => Self::word("close"),
            Effect::Note(note) => {
                let level = match note.level {
                    Level::Debug => "debug",
                    Level::Info => "info",
                    Level::Warn => "warn",
                };
                Self::word("note").and(level).bytes(bytes(note.text))
            }
        })
    }

    fn reply(decision: &Decision, index: usize, reply: Reply) -> Self {
        let line = Self::word("reply").bytes(decision.bytes(reply.bytes));
        let Some(tie) = reply.tie else { return line };
        line.below("else").bytes(decision.bytes(tie.otherwise)).tied(decision, index, tie.keep)
    }

    fn keep(decision: &Decision, keep: &Keep, result: KeepResult) -> Self {
        let mut line = Self::word("keep").bytes(decision.bytes(keep.key));
        // Without the comma the two strings would read as one.
        line.comma();
        line = line.bytes(decision.bytes(keep.bytes)).below("form").and(&keep.form.to_string());
        line = line.and("rank").and(&hex(decision.bytes(keep.rank)));
        if let FanOut::TheseFirst(peers) = keep.fan_out {
            line = line.and("to");
            for (index, peer) in decision.peers(peers).enumerate() {
                if index > 0 {
                    line.comma();
                }
                line = line.bytes(peer);
            }
        }
        if result == KeepResult::Outranked { line.and("loses") } else { line }
    }

    fn fetch(decision: &Decision, fetch: Fetch) -> Self {
        let mut line = Self::word("fetch").and(if fetch.method == Method::Get { "get" } else { "post" });
        line = line.bytes(decision.bytes(fetch.upstream));
        line.comma();
        line = line.bytes(decision.bytes(fetch.path));
        if fetch.method == Method::Post {
            line = line.below("body").bytes(decision.bytes(fetch.body));
        }
        line = line.below("token").bytes(decision.bytes(fetch.token));
        line.below("else").bytes(decision.bytes(fetch.otherwise))
    }

    fn publish(decision: &Decision, index: usize, publish: Publish) -> Self {
        let mut line = Self::word("publish").bytes(decision.bytes(publish.topic));
        line.comma();
        line = line.bytes(decision.bytes(publish.bytes));
        match publish.tie {
            Some(tie) => line.and("if").and("kept").tied(decision, index, tie),
            None => line,
        }
    }

    /// Writes the number of bytes not consumed, and the condition for the next call.
    pub(super) fn left(bytes: usize, awaits: Awaiting) -> Self {
        let line = Self::word("left").and(&bytes.to_string()).and("awaits");
        match awaits {
            Awaiting::Delimiter(byte) => line.bytes(&[byte]),
            Awaiting::Bytes(number) => line.and(&number.to_string()),
        }
    }

    /// Writes that the guest was not called, because the bytes that it awaits have not arrived.
    pub(super) fn waits() -> Self {
        Self::word("waits")
    }

    /// Writes that no pending fetch matches an answer.
    pub(super) fn unasked() -> Self {
        Self::word("unasked")
    }

    /// Writes that a report was dropped before the call.
    pub(super) fn duplicate() -> Self {
        Self::word("duplicate")
    }

    /// Writes that the guest accepted a report.
    pub(super) fn kept(result: KeepResult) -> Self {
        let line = Self::word("verdict").and("keep");
        if result == KeepResult::Outranked { line.and("loses") } else { line }
    }

    /// Writes that the guest refused a report.
    pub(super) fn refused() -> Self {
        Self::word("verdict").and("refuse")
    }

    /// Writes that the guest failed to decide.
    pub(super) fn fault(problem: &str) -> Self {
        Self::word("fault").bytes(problem.as_bytes())
    }

    /// Writes tokens with the layout of a recording.
    pub(super) fn of_tokens(tokens: &[Token]) -> Self {
        let mut text = String::from("  ");
        write_tokens(&mut text, tokens);
        Self { tokens: tokens.into(), text }
    }

    fn word(word: &str) -> Self {
        Self { tokens: vec![Token::Word(word.into())], text: format!("  {word}") }
    }

    fn and(mut self, word: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(word);
        self.tokens.push(Token::Word(word.into()));
        self
    }

    fn below(mut self, word: &str) -> Self {
        self.text.push_str(CONTINUATION);
        self.text.push_str(word);
        self.tokens.push(Token::Word(word.into()));
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.text.push(' ');
        write_bytes(&mut self.text, bytes, BYTES_CONTINUATION);
        self.tokens.push(Token::Bytes(bytes.into()));
        self
    }

    fn comma(&mut self) {
        self.text.push(',');
        self.tokens.push(Token::Word(",".into()));
    }

    /// Writes the number of the keep or report that an effect is tied to, unless it is the keep just before.
    fn tied(self, decision: &Decision, index: usize, to: u32) -> Self {
        let keeps = |effects: usize| {
            decision.effects.iter().take(effects).filter(|effect| matches!(effect, Effect::Keep(_))).count()
        };
        let to = to as usize;
        if keeps(usize::MAX) == 0 {
            return self.and("report").and(&(to + 1).to_string());
        }
        if keeps(index) == to + 1 { self } else { self.and("keep").and(&(to + 1).to_string()) }
    }
}

/// Writes two hexadecimal digits a byte, or a dash for no bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
