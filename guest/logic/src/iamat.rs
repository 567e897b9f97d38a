//! The `IAMAT` command: a client reports its location.
//!
//! Owns the command's fields and its fast path. It must not know ranks, records or replies. The host bounds the line.

use crate::cursor::Cursor;
use crate::location::Location;
use crate::time::ClientTime;

/// Fields of an `IAMAT` line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iamat<'a> {
    /// Name that the client gives itself.
    pub client: &'a [u8],
    /// Location of the client.
    pub location: Location<'a>,
    /// Time of the location, by the client's clock.
    pub time: ClientTime<'a>,
    /// The three fields as one slice, if single blanks separate them as in an `AT` line. Saves copying them one by one.
    verbatim: Option<&'a [u8]>,
}

impl<'a> Iamat<'a> {
    /// Creates a report from its fields.
    #[must_use]
    pub fn new(client: &'a [u8], location: Location<'a>, time: ClientTime<'a>) -> Self {
        Self { client, location, time, verbatim: None }
    }

    /// Fast path: parses a report with single blanks at the start of a text. Returns it and its length.
    #[inline(always)]
    pub(crate) fn parse_prefix(text: &'a [u8]) -> Option<(Self, usize)> {
        let mut cursor = Cursor::after(b"IAMAT ", text)?;
        let start = cursor.at();
        let client = cursor.field()?;
        cursor.blank()?;
        let location = cursor.location()?;
        cursor.blank()?;
        let time = cursor.time()?;
        let end = cursor.at();
        Some((Self { client, location, time, verbatim: text.get(start..end) }, end))
    }

    /// Writes `<client> <location> <time>` in the client's own bytes.
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(verbatim) = self.verbatim {
            return out.extend_from_slice(verbatim);
        }
        out.extend_from_slice(self.client);
        for field in [self.location.text(), self.time.text()] {
            out.push(b' ');
            out.extend_from_slice(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::Command;

    proptest! {
        #[test]
        fn fast_path_agrees_with_the_general_path(
            line in "IAMAT [!-~\u{80}]{1,12}[ \t]{1,2}[+-]?[0-9]{0,10}\\.?[0-9]{0,10}[+-][0-9]{1,3}(\\.[0-9]{1,9})? [0-9]{1,20}(\\.[0-9]{0,10})? ?",
        ) {
            let general = Command::parse_fields(line.as_bytes());
            let fast = Iamat::parse_prefix(line.as_bytes()).filter(|&(_, end)| end == line.len()).map(|(iamat, _)| iamat);
            prop_assert_eq!(Command::parse(line.as_bytes()), fast.map_or(general, Command::Iamat));
            if let Some(fast) = fast {
                prop_assert_eq!(general, Command::Iamat(Iamat { verbatim: None, ..fast }));
                let (mut verbatim, mut one_by_one) = (vec![], vec![]);
                fast.write(&mut verbatim);
                Iamat { verbatim: None, ..fast }.write(&mut one_by_one);
                prop_assert_eq!(verbatim, one_by_one);
            } else if let Command::Iamat(_) = general {
                prop_assert!(line.contains('\t') || line.contains("  ") || line.ends_with(' '), "{:?}", line);
            }
        }
    }
}
