//! Mending in turns: how much of it a link sends and reads at a time.

use super::pair::{Pair, put, put_record};

/// Kinds of frames.
const MEND: u8 = 24;
const MENDED: u8 = 25;

/// Lets both nodes go on until Jaquez has found what differs and sends the first part of it.
fn mending(pair: &mut Pair) {
    pair.nodes[0].machine.prove(1000);
    for _ in 0..20 {
        if pair.turn(0).contains(&MEND) {
            return;
        }
        pair.refresh(0);
        pair.deliver(0);
        let _ = pair.turn(1);
        pair.refresh(1);
        pair.deliver(1);
    }
    panic!("nothing to mend");
}

/// Goal: records of a bucket are sent in parts, at once one after the other, by the node that leads and by the one that it asks. Method:
/// 1.2 MB in one bucket of each, of which a turn sends 256 KiB.
#[test]
fn mending_sends_a_part_of_the_bytes_per_turn() {
    let mut pair = Pair::new();
    for (index, node) in pair.nodes.iter().enumerate() {
        for number in 0..20 {
            put_record(&node.replica, format!("{index}-{number}").as_bytes(), b"1", &[b'x'; 60_000], 0);
        }
    }
    mending(&mut pair);
    let bytes_of = |pair: &Pair, index: usize| pair.flight[index].iter().map(|(_, body)| body.len()).sum::<usize>();
    assert!((60_000..600_000).contains(&bytes_of(&pair, 0)));
    assert!(pair.nodes[0].has_more);
    pair.deliver(0);
    for index in [1, 0] {
        let mut turns = 0;
        while turns == 0 || pair.nodes[index].has_more {
            turns += 1;
            let before = bytes_of(&pair, index);
            let kinds = pair.turn(index);
            let sent = bytes_of(&pair, index) - before;
            assert!(sent < 600_000, "{sent}");
            assert_eq!(kinds.contains(&MENDED), index == 1 && !pair.nodes[1].has_more, "by the node that was asked");
        }
        assert!(turns > 1, "{turns}");
    }
    pair.settle();
    assert_eq!((pair.records(0).len(), pair.records(0)), (40, pair.records(1)));
    assert_eq!(([0, 1].map(|index| pair.status(index).repairs), pair.status(0).reports_sent), ([1, 1], 20));
}

/// Goal: a turn reads a part of a large table, also where little of it is sent. Method: one record that differs among more than are read
/// in a turn.
#[test]
fn mending_reads_a_part_of_the_table_per_turn() {
    let mut pair = Pair::new();
    for (index, node) in pair.nodes.iter().enumerate() {
        for number in 0..20_000 - index {
            put(&node.replica, format!("k{number}").as_bytes(), b"1", 0);
        }
    }
    mending(&mut pair);
    assert!(pair.nodes[0].has_more, "16,384 were read");
    let _ = pair.turn(0);
    assert!(!pair.nodes[0].has_more);
    pair.settle();
    assert_eq!(pair.records(0), pair.records(1));
}
