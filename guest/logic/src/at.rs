//! `AT` lines: the reply to an `IAMAT`, the record of a client, and the report to peers.
//!
//! Owns reading and writing the six fields. It must not judge which report is newer. The host bounds the line.

use crate::cursor::Cursor;
use crate::fields::fields;
use crate::iamat::Iamat;
use crate::location::Location;
use crate::time::{ClientTime, parse_skew, skew, write_skew};

/// Fields of an `AT` line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtLine<'a> {
    /// Name of the node that received the report from the client.
    pub node: &'a [u8],
    /// Receipt time minus client time, in nanoseconds.
    pub skew_ns: i128,
    /// Name of the client.
    pub client: &'a [u8],
    /// Location of the client.
    pub location: Location<'a>,
    /// Time of the location, by the client's clock.
    pub time: ClientTime<'a>,
}

impl<'a> AtLine<'a> {
    /// Writes `AT <node> <skew> <client> <location> <time>`, without a newline. The last three fields are the
    /// client's own bytes.
    #[inline]
    pub fn write(out: &mut Vec<u8>, node: &[u8], received_ns: u64, iamat: &Iamat<'_>) {
        out.extend_from_slice(b"AT ");
        out.extend_from_slice(node);
        out.push(b' ');
        write_skew(out, received_ns, iamat.time.ns());
        out.push(b' ');
        iamat.write(out);
    }

    /// Parses a line of exactly six valid fields, without its newline.
    ///
    /// ```
    /// let at = herd_logic::AtLine::parse(b"AT Riley +0.5 kiwi +34-118 1479413884").unwrap();
    /// assert_eq!((at.client, at.skew_ns), (&b"kiwi"[..], 500_000_000));
    /// ```
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        Self::parse_fast(line).or_else(|| Self::parse_fields(line))
    }

    /// Returns the time at which the node received the report, in nanoseconds since the Unix epoch. None if no clock has it.
    #[must_use]
    pub fn received_ns(&self) -> Option<u64> {
        let client_ns = i128::try_from(self.time.ns()).ok()?;
        u64::try_from(client_ns.checked_add(self.skew_ns)?).ok()
    }

    /// Fast path: parses a line in the notation that a node writes, with single blanks.
    #[inline]
    fn parse_fast(line: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::after(b"AT ", line)?;
        let node = cursor.field()?;
        cursor.blank()?;
        let skew_ns = skew(cursor.sign()?, cursor.time()?)?;
        cursor.blank()?;
        let client = cursor.field()?;
        cursor.blank()?;
        let location = cursor.location()?;
        cursor.blank()?;
        let time = cursor.time()?;
        cursor.end()?;
        Some(Self { node, skew_ns, client, location, time })
    }

    /// General path: splits the fields first and accepts any white space.
    fn parse_fields(line: &'a [u8]) -> Option<Self> {
        let mut fields = fields(line);
        if fields.next()? != b"AT" {
            return None;
        }
        let at = Self {
            node: fields.next()?,
            skew_ns: parse_skew(fields.next()?)?,
            client: fields.next()?,
            location: Location::parse(fields.next()?)?,
            time: ClientTime::parse(fields.next()?)?,
        };
        fields.next().is_none().then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parsing_returns_the_written_fields() {
        let location = Location::parse(b"+34.068930-118.445127").unwrap();
        let time = ClientTime::parse(b"1520023934.918963997").unwrap();
        let mut out = vec![];
        AtLine::write(&mut out, b"Riley", 1_520_023_935_182_837_383, &Iamat::new(b"ki\xffwi", location, time));
        assert_eq!(out, b"AT Riley +0.263873386 ki\xffwi +34.068930-118.445127 1520023934.918963997");
        let skew_ns = 263_873_386;
        assert_eq!(AtLine::parse(&out), Some(AtLine { node: b"Riley", skew_ns, client: b"ki\xffwi", location, time }));
        for wrong in ["AT Riley 0.1 a +1+1 1", "AT Riley +0.1 a +1+1", "AT Riley +0.1 a +1+1 1 1", "IAMAT a +1+1 1", ""]
        {
            assert_eq!(AtLine::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn fast_path_agrees_with_the_general_path(
            line in "AT [!-~]{1,9} [+-]?[0-9]{1,3}(\\.[0-9]{0,10})? [!-~\u{80}]{1,12} [+-][0-9]{1,9}[+-][0-9]{1,3}(\\.[0-9]{1,9})?[ \t][0-9]{1,20} ?",
        ) {
            let (fast, general) = (AtLine::parse_fast(line.as_bytes()), AtLine::parse_fields(line.as_bytes()));
            prop_assert_eq!(fast.or(general), general);
            prop_assert!(fast.is_some() || general.is_none() || line.contains('\t') || line.ends_with(' '), "{:?}", line);
        }
    }
}
