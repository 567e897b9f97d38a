//! Reasons why lines are invalid, for people who type them.
//!
//! Finds the copies of invalid lines in what a node sends, and parses each again as the default logic does: the protocol itself
//! gives no reason. Knows nothing of sockets. Bound: [`LINE_BYTES_MAX`] of a line are kept.

use herd_audit::sanitize;
use herd_logic::{Command, Malformed};

/// Lines that a node sent back as invalid.
#[derive(Default)]
pub(super) struct InvalidLines {
    /// Begin of the reply line that is not complete yet.
    line: Vec<u8>,
    count: usize,
}

impl InvalidLines {
    /// Takes the next bytes of the node: at most one line, with its newline if it is complete. Returns a reason if they complete
    /// the copy of an invalid line.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Option<String> {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if !bytes.ends_with(b"\n") {
            return None;
        }
        let line = std::mem::take(&mut self.line);
        // No other line of a reply begins so: that of a report begins with `AT`, and JSON has no question mark outside a string.
        let copy = line.strip_prefix(b"? ")?;
        self.count += 1;
        Some(explain(copy.strip_suffix(b"\n").unwrap_or(copy)))
    }

    /// Returns the number of invalid lines.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// Says why the default logic calls a line invalid, and what to type.
fn explain(line: &[u8]) -> String {
    let reason = match Command::parse(line) {
        Command::Malformed(malformed) => return of_malformed(malformed, line),
        Command::Whatsat { client, .. } => {
            let client = sanitize(&String::from_utf8_lossy(client));
            return format!(
                "well-formed, but the node has no location of {client}; did it send an IAMAT to a node of this herd?"
            );
        }
        Command::Iamat(_) => {
            "well-formed, but not confirmed: the node has no room, or its disk or its peers did not answer in time; perhaps \
             kept, send it again"
        }
        Command::Empty => "an empty line",
    };
    reason.into()
}

fn of_malformed(malformed: Malformed, line: &[u8]) -> String {
    let fields: Vec<String> = herd_logic::fields(line).map(|field| sanitize(&String::from_utf8_lossy(field))).collect();
    let field = |index: usize| fields.get(index).map_or("", String::as_str);
    match malformed {
        Malformed::Word if ["IAMAT", "WHATSAT"].contains(&&*field(0).to_ascii_uppercase()) => {
            format!("command words are upper case: {}", field(0).to_ascii_uppercase())
        }
        Malformed::Word => format!("`{}` is no command of the default logic: IAMAT or WHATSAT", field(0)),
        Malformed::FieldCount => {
            let usage = if field(0) == "IAMAT" { IAMAT } else { WHATSAT };
            format!("{} fields, not 4: {usage}", fields.len())
        }
        Malformed::Location => format!(
            "location `{}`: latitude within 90, then longitude within 180, in decimal degrees, each with its sign and nothing \
             between, at most 128 bytes: +34.068930-118.445127",
            field(2)
        ),
        Malformed::Time => format!(
            "time `{}`: seconds since 1970 UTC, at most 18 digits, optionally a point and one to nine digits: $(date +%s.%N)",
            field(3)
        ),
        Malformed::Radius => format!("radius `{}`: kilometres from 0 to 50, such as 10 or 2.5", field(2)),
        Malformed::Bound => format!("bound `{}`: a whole number of results from 0 to 20", field(3)),
    }
}

/// Fields of the commands.
const IAMAT: &str = "IAMAT <client> <location> <time>";
const WHATSAT: &str = "WHATSAT <client> <radius> <bound>";
/// Bytes of a line: the largest line that a node can be configured to accept, and the mark of an invalid one.
const LINE_BYTES_MAX: usize = (64 << 10) + 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_gives_the_reason_for_each_way_to_be_invalid() {
        for (line, words) in [
            ("iamat kiwi +34-118 1", "command words are upper case: IAMAT"),
            ("HELLO", "`HELLO` is no command"),
            ("IAMAT kiwi +34-118", "3 fields, not 4: IAMAT <client> <location> <time>"),
            ("WHATSAT kiwi 1 1 1", "5 fields, not 4: WHATSAT <client> <radius> <bound>"),
            ("IAMAT kiwi 34-118 1", "location `34-118`: latitude"),
            ("IAMAT kiwi +34-118 1e9", "time `1e9`: seconds"),
            ("WHATSAT kiwi 51 1", "radius `51`: kilometres from 0 to 50"),
            ("WHATSAT kiwi 1 21", "bound `21`: a whole number"),
            ("WHATSAT kiwi 1 2", "no location of kiwi"),
            ("IAMAT kiwi +34-118 1", "not confirmed"),
        ] {
            let said = explain(line.as_bytes());
            assert!(said.contains(words), "{line}: {said}");
        }
    }

    #[test]
    fn explain_finds_invalid_lines_however_they_arrive() {
        let mut lines = InvalidLines::default();
        for bytes in ["AT Riley +0.1 kiwi +34-118 1\n", "{\"a\": 1}\n", "\n", "? HEL"] {
            assert_eq!(lines.add(bytes.as_bytes()), None, "{bytes}");
        }
        assert!(lines.add(b"LO\n").unwrap().contains("`HELLO` is no command"));
        assert_eq!(lines.count(), 1);
    }
}
