//! Protocol logic of {{name}}.
//!
//! - `HELLO <name>` replies `hello, <name>` and keeps which node said it last.
//! - `SEEN <name>` replies with that node.
//!
//! Any other line is copied back behind a question mark. Add a command in `Guest::line`.

use herd_sdk::{Awaiting, BadSetting, Context, Description, Input, Logic, Mark, Progress, Settings};

/// Form of the records of this logic. Write a new number when their format changes, and export `Forms`.
const FORM: u32 = 1;

/// The logic, configured for one node. Nothing that it remembers from an earlier call may change what it decides.
pub struct Guest {
    node: String,
}

impl Logic for Guest {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            commands: vec!["HELLO".into(), "SEEN".into()],
        }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        Ok(Self { node: settings.node.clone() })
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            // The host ends the session of a line over its limit.
            return Progress { consumed: input.bytes.len(), awaits: Awaiting::Delimiter(b'\n') };
        }
        input.lines(|line| self.line(line.strip_suffix(b"\r").unwrap_or(line), context))
    }
}

impl Guest {
    fn line(&self, line: &[u8], context: &mut Context<'_>) {
        let fields: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect();
        match *fields {
            [] => {}
            [b"HELLO", name] => self.hello(name, line, context),
            [b"SEEN", name] => match context.record(name) {
                Some(found) => context.reply(&[name, b" was greeted at ", &found.bytes, b"\n"].concat()),
                None => reply_invalid(line, context),
            },
            _ => reply_invalid(line, context),
        }
    }

    fn hello(&self, name: &[u8], line: &[u8], context: &mut Context<'_>) {
        // The highest rank wins at every node, compared as bytes: the latest greeting, and of equal times that of one node.
        let rank = format!("{:020}{}", context.now_ns(), self.node);
        let rank = &rank.as_bytes()[..rank.len().min(herd_sdk::limits::RANK_BYTES_MAX)];
        let keep = context.keep(name, rank, FORM, |record| record.extend_from_slice(self.node.as_bytes()));
        context.reply_if_kept(
            keep,
            |out| out.extend_from_slice(&[b"hello, ", name, b"\n"].concat()),
            |out| out.extend_from_slice(&[b"? ", line, b"\n"].concat()),
        );
    }
}

fn reply_invalid(line: &[u8], context: &mut Context<'_>) {
    context.reply(&[b"? ", line, b"\n"].concat());
}

herd_sdk::export!(Guest);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herd_sdk::native::{Decider, MemoryRecords, Native};
    use herd_sdk::{InputBatch, Moment};

    use super::*;

    #[test]
    fn hello_greets() {
        let mut guest = Native::new(Guest { node: "Riley".into() }, Arc::new(MemoryRecords::default()));
        let inputs = InputBatch::from_iter([Input { bytes: b"HELLO kiwi\n", mark: Mark::More }]);
        let decision = guest.inputs(Moment::default(), &inputs).unwrap();
        let output = String::from_utf8(decision.output).unwrap();
        assert!(output.contains("hello, kiwi\n"), "{output}");
    }
}
