//! Check file: lines that clients send and the replies that have to come, for guests with commands of their own.
//!
//! Owns its grammar. Knows nothing of the meaning of lines. Bounds: those of the file.

/// Lines and the replies to them.
///
/// ```text
/// # A line and as many lines of its reply as matter. `*` stands for any text, `{client}` for the name of a client.
/// during
/// > WATCH {client}
/// < OK
///
/// at rest
/// > WATCH {client}
/// < OK
/// < AT * {client} *
/// ```
///
/// Lines under `during` are sent now and then while the run lasts, each in a session of its own, which then ends; what comes back is not
/// compared. Those under `at rest` are asked at every node once all is quiet, about every client that reported;
/// with [`Protocol::None`](crate::Protocol) about every client that a line may have named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckFile {
    pub(crate) during: Vec<Exchange>,
    pub(crate) at_rest: Vec<Exchange>,
}

/// A line and the reply to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) line: String,
    pub(crate) replies: Vec<String>,
}

impl CheckFile {
    /// Parses the text of a file.
    ///
    /// # Errors
    ///
    /// The number of a line, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut file, mut at_rest) = (Self::default(), None);
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |what: &str| Err(format!("line {number}: {what}"));
            let line = line.trim_end();
            let list = match at_rest {
                Some(true) => &mut file.at_rest,
                _ => &mut file.during,
            };
            match line {
                "" => {}
                comment if comment.starts_with('#') => {}
                "during" => at_rest = Some(false),
                "at rest" => at_rest = Some(true),
                _ if at_rest.is_none() => return wrong("write `during` or `at rest` above the first `>`"),
                line => match (line.strip_prefix("> "), line.strip_prefix("< ")) {
                    (Some(line), _) => list.push(Exchange { line: line.into(), replies: Vec::new() }),
                    (_, Some(reply)) => match list.last_mut() {
                        Some(exchange) => exchange.replies.push(reply.into()),
                        None => return wrong("a reply `<` needs a line `>` above it"),
                    },
                    _ => return wrong("begin it with `> ` (a line to send), `< ` (a line of the reply) or `#`"),
                },
            }
        }
        let silent = file.at_rest.iter().find(|exchange| exchange.replies.is_empty());
        match silent {
            Some(exchange) => Err(format!("`> {}` under `at rest` has no reply `<`", exchange.line)),
            None if file.during.is_empty() && file.at_rest.is_empty() => Err("it has no line `>`".into()),
            None => Ok(file),
        }
    }

    /// Returns whether nodes are asked something once all is quiet.
    #[must_use]
    pub fn asks_at_rest(&self) -> bool {
        !self.at_rest.is_empty()
    }
}

/// Returns whether a line of a reply is as a pattern says, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_file_names_the_line_that_is_wrong() {
        let file = CheckFile::parse("# hello\nduring\n> WATCH {client}\n\nat rest\n> PING\n< PONG\n< *\n").unwrap();
        assert_eq!((file.during.len(), &*file.at_rest[0].replies), (1, &["PONG".to_string(), "*".into()][..]));
        for (text, wrong) in [
            ("> PING\n", "line 1: write `during` or `at rest`"),
            ("at rest\n< PONG\n", "line 2: a reply `<` needs a line `>`"),
            ("at rest\nPING\n", "line 2: begin it with"),
            ("at rest\n> PING\n", "`> PING` under `at rest` has no reply"),
            ("\n", "it has no line"),
        ] {
            assert!(CheckFile::parse(text).unwrap_err().starts_with(wrong), "{text}");
        }
    }

    #[test]
    fn check_pattern_stands_for_any_text() {
        for (pattern, line, does) in [
            ("OK", "OK", true),
            ("OK", "OK?", false),
            ("AT * kiwi *", "AT Riley +0.1 kiwi +1-1 5", true),
            ("AT * kiwi *", "AT Riley +0.1 kiwi2 +1-1 5", false),
            ("*", "", true),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("*b*", "abc", true),
        ] {
            assert_eq!(matches(pattern, line), does, "{pattern} {line}");
        }
    }
}
