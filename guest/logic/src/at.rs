//! `AT` lines: what a node answers to an `IAMAT`, keeps, and tells its peers.

use crate::line::fields;
use crate::location::Location;
use crate::time::{ClientTime, parse_skew, write_skew};

/// The fields of an `AT` line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtLine<'a> {
    /// The node that took the report from the client.
    pub node: &'a [u8],
    /// Receipt minus client time, in nanoseconds.
    pub skew_ns: i128,
    /// Who.
    pub client: &'a [u8],
    /// Where.
    pub location: Location<'a>,
    /// When, by the client's clock.
    pub time: ClientTime<'a>,
}

impl<'a> AtLine<'a> {
    /// Writes `AT <node> <skew> <client> <location> <time>`, without a newline. The last three fields are the
    /// client's own bytes.
    pub fn write(
        out: &mut Vec<u8>,
        node: &[u8],
        received_ns: u64,
        client: &[u8],
        location: Location<'_>,
        time: ClientTime<'_>,
    ) {
        // 28 bytes hold the word, the blanks and any skew of this century.
        out.reserve(28 + node.len() + client.len() + location.text().len() + time.text().len());
        out.extend_from_slice(b"AT ");
        out.extend_from_slice(node);
        out.push(b' ');
        write_skew(out, received_ns, time.ns());
        for field in [client, location.text(), time.text()] {
            out.push(b' ');
            out.extend_from_slice(field);
        }
    }

    /// Parses a line of exactly six valid fields, without its newline.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
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
    use super::*;

    #[test]
    fn a_written_line_reads_back() {
        let location = Location::parse(b"+34.068930-118.445127").unwrap();
        let time = ClientTime::parse(b"1520023934.918963997").unwrap();
        let mut out = vec![];
        AtLine::write(&mut out, b"Riley", 1_520_023_935_182_837_383, b"ki\xffwi", location, time);
        assert_eq!(out, b"AT Riley +0.263873386 ki\xffwi +34.068930-118.445127 1520023934.918963997");
        let skew_ns = 263_873_386;
        assert_eq!(AtLine::parse(&out), Some(AtLine { node: b"Riley", skew_ns, client: b"ki\xffwi", location, time }));
        for wrong in ["AT Riley 0.1 a +1+1 1", "AT Riley +0.1 a +1+1", "AT Riley +0.1 a +1+1 1 1", "IAMAT a +1+1 1", ""]
        {
            assert_eq!(AtLine::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
