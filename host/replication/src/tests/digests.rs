//! Digests of a table that changes: sums of leaves, and how many leaves there are.

use std::sync::Arc;

use super::pair::put;
use crate::digest_tree::Buckets;
use crate::journal::NoJournal;
use crate::replica::{Replica, ReplicaConfig};

fn replica() -> Replica {
    Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal)
}

fn put_all(replica: &Replica, count: u32, rank: &[u8]) {
    (0..count).for_each(|number| assert!(put(replica, &number.to_be_bytes(), rank, 0)));
}

/// Removes the records from a number on.
fn remove_from(replica: &Replica, first: u32) {
    let table = replica.table();
    let removed =
        (0..table.shards()).map(|shard| table.remove(shard, |report, _| report.key >= &first.to_be_bytes()[..]));
    assert!(removed.sum::<usize>() > 0);
}

fn refresh(replica: &Replica) -> Arc<Buckets> {
    replica.table().digests().refresh(&**replica.table(), 0)
}

/// Goal: sums that are brought up to date are those of a table that is added up anew. Method: all records replaced again and again, then
/// one of them, then some removed.
#[test]
fn sums_follow_every_change_of_the_table() {
    let changing = replica();
    for rank in [b"1", b"2", b"3", b"4"] {
        put_all(&changing, 1024, rank);
        assert_eq!(refresh(&changing).bits, 4, "as many records as before");
    }
    assert!(put(&changing, &7_u32.to_be_bytes(), b"5", 0));
    refresh(&changing);
    remove_from(&changing, 1000);
    let sums = refresh(&changing);
    let anew = replica();
    put_all(&anew, 1000, b"4");
    assert!(put(&anew, &7_u32.to_be_bytes(), b"5", 0));
    let expected = refresh(&anew);
    assert_eq!(expected.bits, 3);
    for depth in 0..=3 {
        for prefix in 0..1 << depth {
            assert_eq!(sums.get(depth, prefix), expected.get(depth, prefix), "{depth} {prefix}");
        }
    }
}

#[test]
fn leaves_stay_until_half_of_them_would_do_twice_over() {
    let replica = replica();
    put_all(&replica, 1024, b"1");
    assert_eq!(refresh(&replica).bits, 4);
    let bits = |count| {
        remove_from(&replica, count);
        refresh(&replica).bits
    };
    // 16 leaves stay where 8 would do, which have 64 records or more each, and not where 4 would do.
    assert_eq!([bits(1023), bits(512), bits(511), bits(64), bits(63)], [4, 4, 2, 0, 0]);
    (63..256_u32).for_each(|number| assert!(put(&replica, &number.to_be_bytes(), b"1", 0)));
    assert_eq!(refresh(&replica).bits, 2, "and become more at once");
}
