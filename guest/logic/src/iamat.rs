//! `IAMAT`: a client says where it is.

use crate::cursor::Cursor;
use crate::location::Location;
use crate::time::ClientTime;

/// What an `IAMAT` line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iamat<'a> {
    /// The client's name for itself.
    pub client: &'a [u8],
    /// Where it is.
    pub location: Location<'a>,
    /// When it was there, by its own clock.
    pub time: ClientTime<'a>,
    /// The three as one text, if that is how they stand in an `AT` line: with single blanks between them.
    verbatim: Option<&'a [u8]>,
}

impl<'a> Iamat<'a> {
    /// Puts a report together.
    #[must_use]
    pub fn new(client: &'a [u8], location: Location<'a>, time: ClientTime<'a>) -> Self {
        Self { client, location, time, verbatim: None }
    }

    /// Reads what stands at the start of a text if it is written as most are, and says how long it is.
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

    /// Writes `<client> <location> <time>`, the client's own bytes.
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
        fn fast_path_says_what_its_fields_say(
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
