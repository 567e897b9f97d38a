//! Classic links: `AT` lines of older programs, which carry no rank.
//!
//! Owns their grammar and their rank. A line is ranked by its own fields: the node that it names received the report, and when it did is
//! its time plus its skew. Every node computes the same rank, the named node included, so a line that comes back loses. No line has a
//! reply. It must not know who sent a line, nor read the time of the call. The host bounds the line.

use std::borrow::Cow;

use herd_sdk::Context;

use crate::at::AtLine;
use crate::fields::fields;
use crate::line::Line;
use crate::location::Location;
use crate::time::{ClientTime, parse_skew};
use crate::{FORM, Herd};

impl Herd {
    /// Keeps a line if it is a valid `AT` line, and drops any other.
    pub(crate) fn classic_line(&self, line: Line<'_>, context: &mut Context<'_>) {
        // The usual notation is kept as it came, so that every node answers with the same bytes.
        let canonical = match AtLine::parse(line.bytes) {
            Some(_) if is_canonical(line.bytes) => Cow::Borrowed(line.bytes),
            _ => match canonical(line.bytes) {
                Some(canonical) => Cow::Owned(canonical),
                None => return,
            },
        };
        let Some(at) = AtLine::parse(&canonical) else { return };
        let Some(received_ns) = at.received_ns() else { return };
        let rank = self.ranker.of_origin(at.node).rank(at.time.ns(), received_ns);
        context.keep(at.client, &rank, FORM, |out| out.extend_from_slice(&canonical));
    }
}

/// Returns whether single blanks separate the fields of a valid line, with nothing around them.
fn is_canonical(line: &[u8]) -> bool {
    line.split(|&byte| byte == b' ').count() == FIELDS
        && line.last() != Some(&b' ')
        && !line.iter().any(is_other_white_space)
}

fn is_other_white_space(byte: &u8) -> bool {
    matches!(byte, b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Writes a line with single blanks, and with a skew of at most nine decimals: older programs print floats, with up to seventeen digits.
/// The client's own fields stay as they are. Returns none if the line is invalid.
fn canonical(line: &[u8]) -> Option<Vec<u8>> {
    let fields: Vec<&[u8]> = fields(line).take(FIELDS + 1).collect();
    let [b"AT", node, skew, client, location, time] = fields[..] else { return None };
    let skew = exact_to_the_nanosecond(skew);
    parse_skew(skew)?;
    Location::parse(location)?;
    ClientTime::parse(time)?;
    Some([b"AT", node, skew, client, location, time].join(&b' '))
}

/// Cuts a number behind its ninth decimal, if only digits follow.
fn exact_to_the_nanosecond(number: &[u8]) -> &[u8] {
    let Some(point) = number.iter().position(|&byte| byte == b'.') else { return number };
    let (whole, decimals) = number.split_at(point + 1);
    if decimals.len() <= DECIMALS_MAX
        || decimals.len() > DECIMALS_OF_FLOATS_MAX
        || !decimals.iter().all(u8::is_ascii_digit)
    {
        return number;
    }
    &number[..whole.len() + DECIMALS_MAX]
}

/// `AT`, node, skew, client, location and time.
const FIELDS: usize = 6;
const DECIMALS_MAX: usize = 9;
/// Decimals of the longest notation of a double below a second.
const DECIMALS_OF_FLOATS_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herd_sdk::native::{Decider, MemoryRecords, Native};
    use herd_sdk::{Effect, Input, Logic, Mark, Moment, Settings};
    use proptest::prelude::*;

    use super::*;

    fn herd(node: &str, listener: Option<&str>) -> Native<Herd> {
        let table = listener.map(|listener| ("listener".to_string(), listener.to_string())).into_iter().collect();
        let settings = Settings { node: node.into(), table };
        Native::new(Herd::configure(&settings).unwrap(), Arc::new(MemoryRecords::default()))
    }

    /// Rank and record of the first keep of a decision on this input.
    fn kept(herd: &mut Native<Herd>, now_ns: u64, line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let at = Moment { now_ns, random: (0, 0) };
        let decision = herd.input(at, Input { bytes: &[line, b"\n"].concat(), mark: Mark::More }).unwrap();
        decision.effects.iter().find_map(|effect| match effect {
            Effect::Keep(keep) => Some((decision.bytes(keep.rank).to_vec(), decision.bytes(keep.bytes).to_vec())),
            _ => None,
        })
    }

    proptest! {
        /// Goal: nodes converge whether a report came over a link or over a classic one. Method: the line of a node, read by another.
        #[test]
        fn classic_line_ranks_as_the_node_that_it_names_ranked_it(
            received_ns in 0..u64::MAX, seconds in 0..10_u64.pow(18), fraction in "(\\.[0-9]{1,9})?", node in "[A-Z][a-z]{0,40}",
        ) {
            let line = format!("IAMAT kiwi +34-118 {seconds}{fraction}");
            let taken = kept(&mut herd(&node, None), received_ns, line.as_bytes()).unwrap();
            let read = kept(&mut herd("Other", Some("classic")), 5, &taken.1).unwrap();
            prop_assert_eq!(taken, read);
        }
    }

    #[test]
    fn classic_line_of_another_notation_is_kept_in_the_usual_one() {
        let mut herd = herd("Riley", Some("classic"));
        let mut record =
            |line: &str| kept(&mut herd, 0, line.as_bytes()).map(|(_, record)| String::from_utf8(record).unwrap());
        let usual = "AT Clark +0.263873386 kiwi +34-118 1520023934.50";
        for line in [
            usual,
            "AT Clark +0.263873386 kiwi +34-118 1520023934.50\r",
            " AT\tClark  +0.263873386 kiwi +34-118 1520023934.50 ",
            "AT Clark +0.2638733863830566 kiwi +34-118 1520023934.50",
        ] {
            assert_eq!(record(line).as_deref(), Some(usual), "{line:?}");
        }
        for line in [
            "AT Clark 0.5 kiwi +34-118 1520023934",
            "AT Clark +5e-06 kiwi +34-118 1520023934",
            "AT Clark +0.5 kiwi +34-118 1520023934 extra",
            "AT Clark +0.5 kiwi +34-118",
            "AT Clark +0.5 kiwi +91-118 1520023934",
            "AT Clark -2.0 kiwi +34-118 1",
            "AT Clark +99999999999.0 kiwi +34-118 1520023934",
            "AT Clark +0.1234567890123456789012345 kiwi +34-118 1520023934",
            "IAMAT kiwi +34-118 1520023934",
            "WHATSAT kiwi 10 5",
            "",
        ] {
            assert_eq!(record(line), None, "{line:?}");
        }
    }
}
