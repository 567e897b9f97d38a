//! Links to a node of the next version of the link protocol, which is made up: it says more in every way that this version allows.

use bytes::Bytes;
use herd_model::Kept;

use super::pair::Pair;
use crate::replica::{NewRecord, Replica};
use crate::stamp::LaneId;
use crate::varint::{Reader, put_bytes};
use crate::wire_report::WireReport;

/// Flag of a report that has an extension, and flags of its optional numbers.
const EXTENSION: u8 = 8;
const NUMBERS: [u8; 2] = [1, 2];
const REPORTS: u8 = 18;

/// Adds to the frames that a node has sent what the next version would: frames of kinds that it has left for that in front of each, and an
/// extension in every report.
fn say_more(pair: &mut Pair, from: usize) -> usize {
    let sent: Vec<(u8, Bytes)> = pair.flight[from].drain(..).collect();
    let mut extended = 0;
    for ((kind, body), later) in sent.into_iter().zip((28..=31).cycle()) {
        pair.flight[from].push_back((later, Bytes::from_static(b"of the next version")));
        let body = if kind == REPORTS { extend(&body, &mut extended) } else { body };
        pair.flight[from].push_back((kind, body));
    }
    extended
}

/// Adds an extension to each report of a frame.
fn extend(body: &[u8], extended: &mut usize) -> Bytes {
    let (mut reader, mut out) = (Reader(body), Vec::new());
    while !reader.is_empty() {
        let start = reader.0;
        WireReport::read(&mut reader, |lane| Some(LaneId(lane))).unwrap();
        let report = &start[..start.len() - reader.0.len()];
        let mut head = Reader(report);
        let flags = head.byte().unwrap();
        let numbers = 2 + NUMBERS.iter().filter(|flag| flags & **flag != 0).count();
        (0..numbers).for_each(|_| _ = head.number().unwrap());
        let at = report.len() - head.0.len();
        out.push(flags | EXTENSION);
        out.extend(&report[1..at]);
        put_bytes(&mut out, b"of the next version");
        out.extend(&report[at..]);
        *extended += 1;
    }
    out.into()
}

fn keep(replica: &Replica, key: &[u8], expires_at: u64) {
    let new = NewRecord { key, rank: b"1", form: 1, record: b"AT", expires_at, only: None };
    assert!(matches!(replica.keep(0, new).kept, Kept::Applied(_)));
}

#[test]
fn link_to_the_next_version_skips_what_it_does_not_know() {
    let mut pair = Pair::new();
    for number in 0..200 {
        let key = format!("k{number}{}", if number % 16 == 0 { "!" } else { "" });
        keep(&pair.nodes[number % 2].replica, key.as_bytes(), if number % 3 == 0 { 1 << 40 } else { 0 });
    }
    let _ = pair.nodes[0].replica.forget(b"k7", 1 << 40);
    pair.tick(1_000_000);
    let (mut extended, mut rounds) = (0, 0);
    loop {
        let mut is_busy = false;
        for index in 0..2 {
            is_busy |= !pair.turn(index).is_empty() || pair.refresh(index);
            if index == 0 {
                extended += say_more(&mut pair, 0);
            }
            pair.deliver(index);
        }
        if !is_busy {
            break;
        }
        rounds += 1;
        assert!(rounds < 1000, "never quiet");
    }
    assert!(extended >= 101, "{extended}");
    let keys = |index: usize| pair.records(index).into_iter().map(|record| record.key).collect::<Vec<_>>();
    assert_eq!((keys(0).len(), keys(0)), (200, keys(1)));
    for index in 0..2 {
        assert_eq!((pair.status(index).proof_age_s, pair.status(index).repairs), (Some(0), 0));
    }
}
