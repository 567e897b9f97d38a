//! Writer of event lines, for programs that generate transcripts.
//!
//! Owns the text that [`event_line`](super::event_line) parses. It must not know effects. The event bounds it.

use std::fmt;

use crate::event::Mark;
use crate::transcript::effect_line::hex;
use crate::transcript::event::{Event, PeerReport, UpstreamOutcome};
use crate::transcript::token::{BYTES_CONTINUATION, write_bytes};

impl fmt::Display for Event {
    /// Writes the event with its continuations, without a newline at the end. A name of a session or node that is not one word does
    /// not parse again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(ns) => write!(f, "now {}", Seconds(*ns)),
            Self::Advance(ns) => write!(f, "now +{}", Seconds(*ns)),
            Self::Random(first, second) => write!(f, "random {first} {second}"),
            Self::Session(name) => write!(f, "session {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Flood { from } => write!(f, "flood from {from}"),
            Self::Input { bytes, mark } => {
                let mark = match mark {
                    Mark::More => "",
                    Mark::End => " end",
                    Mark::Overlong => " overlong",
                };
                write!(f, "input {}{mark}", Quoted(bytes))
            }
            Self::Reports(reports) => {
                for (report, word) in
                    reports.iter().zip(std::iter::once("report").chain(std::iter::repeat("\n    and")))
                {
                    let PeerReport { key, bytes, form, rank, origin } = report;
                    write!(f, "{word} {}, {}\n    ", Quoted(key), Quoted(bytes))?;
                    write!(f, "form {form} rank {} origin {}", hex(rank), Quoted(origin))?;
                }
                Ok(())
            }
            Self::Answer { upstream, outcome } => {
                f.write_str("answer")?;
                if let Some(upstream) = upstream {
                    write!(f, " from {}", Quoted(upstream))?;
                }
                match outcome {
                    UpstreamOutcome::Answered { status, body } => write!(f, " {status} {}", Quoted(body)),
                    UpstreamOutcome::Failed(failure) => write!(f, " failed {}", failure.word()),
                }
            }
        }
    }
}

/// Nanoseconds, displayed as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Bytes, displayed as a byte string.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_bytes(&mut text, self.0, BYTES_CONTINUATION);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::transcript::Transcript;

    #[test]
    fn parsing_returns_the_written_events() {
        let report = |key: &str, rank: &[u8]| PeerReport {
            key: key.into(),
            bytes: b"AT \"x\"\nsecond\n".to_vec(),
            form: 7,
            rank: rank.into(),
            origin: b"Bernard".to_vec(),
        };
        let odd = [&b"# a\tb\\\"'\n\nIAMAT \xff "[..], &[b'x'; 100], b"\n"].concat();
        let events = [
            Event::Now(1_479_413_884_655_837_001),
            Event::Advance(1),
            Event::Random(u64::MAX, 0),
            Event::Session("alice".into()),
            Event::Node("Jaquez".into()),
            Event::Node("Riley".into()),
            Event::Flood { from: "Jaquez".into() },
            Event::Input { bytes: odd.clone(), mark: Mark::More },
            Event::Input { bytes: vec![], mark: Mark::End },
            Event::Input { bytes: b"x".to_vec(), mark: Mark::Overlong },
            Event::Reports(vec![report("k", b""), report("l, and", b"\x00\xff")]),
            Event::Answer {
                upstream: Some(b"google".to_vec()),
                outcome: UpstreamOutcome::Answered { status: 200, body: odd },
            },
            Event::Answer { upstream: None, outcome: UpstreamOutcome::Failed(Failure::TooLarge) },
        ];
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        let read = Transcript::parse("t", &format!("node Riley\n{text}")).unwrap();
        let read: Vec<Event> = read.steps().iter().map(|step| step.event().clone()).collect();
        assert_eq!(read, events, "{text}");
    }
}
