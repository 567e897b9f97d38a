//! Tests of the record table: which record wins, which one guests see, and when there is room.

use herd_model::{Kept, Reign};

use super::*;
use crate::shard::OfferedBy;
use crate::stamp::Stamp;

/// A table with the offers that the tests make.
struct Table(RecordTable);

impl std::ops::Deref for Table {
    type Target = RecordTable;

    fn deref(&self) -> &RecordTable {
        &self.0
    }
}

impl Table {
    fn keep_from_client(&self, key: &[u8], form: u32, rank: &[u8], record: &[u8]) -> Kept {
        self.offer(key, Rank { reign: Reign(0), rank, record, form }, OfferedBy::Client).kept
    }

    fn keep_from_peer(&self, key: &[u8], rank: Rank<'_>) -> Kept {
        self.offer(key, rank, OfferedBy::Peer).kept
    }

    fn offer(&self, key: &[u8], rank: Rank<'_>, by: OfferedBy) -> Offered {
        self.0.offer(Offer { key, rank, head: head(), by }, |_| ())
    }

    fn wins(&self, key: &[u8], rank: Rank<'_>) -> bool {
        let Rank { reign, rank, record, form } = rank;
        self.0.wins(&WireReport { head: head(), key, reign: reign.0, rank, form, record, extension: b"" })
    }

    fn quarantine(&self, report: Quarantined) -> Kept {
        self.0.quarantine(report, |_| ()).kept
    }
}

fn head() -> Head {
    Head::of(Stamp { lane: LaneId(0), seq: 1 })
}

fn table(keys_max: usize) -> Table {
    Table(RecordTable::new(RecordLimits { keys_max, mib_max: 1 }, 7, 9))
}

fn visible(table: &RecordTable, key: &[u8]) -> Option<Vec<u8>> {
    table.find(&[key]).remove(0).map(|found| found.bytes)
}

fn quarantined(rank: &[u8], record: &[u8]) -> Quarantined {
    let (key, rank, record) = (b"k".to_vec(), rank.to_vec(), record.to_vec());
    Quarantined { head: head(), key, reign: Reign(0), rank, form: 0, record }
}

#[test]
fn table_keeps_the_highest_reign_rank_and_record_in_any_order_of_arrival() {
    let offers: [(u64, &[u8], &[u8]); 4] = [(0, b"2", b"a"), (0, b"2", b"b"), (0, b"10", b"z"), (1, b"0", b"c")];
    let digests: Vec<_> = (0..offers.len())
        .map(|first| {
            let table = table(9);
            for &(reign, rank, record) in offers.iter().cycle().skip(first).take(offers.len()) {
                let _ = table.keep_from_peer(b"k", Rank { reign: Reign(reign), rank, record, form: 0 });
            }
            assert_eq!(visible(&table, b"k").unwrap(), b"c");
            table.status().digest
        })
        .collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn table_does_not_apply_an_equal_record_again() {
    let table = table(9);
    assert_eq!(table.keep_from_client(b"k", 0, b"1", b"a"), Kept::Applied(Reign(0)));
    assert_eq!(table.keep_from_client(b"k", 0, b"1", b"a"), Kept::Outranked);
    assert!(!table.wins(b"k", Rank { reign: Reign(0), rank: b"1", record: b"a", form: 0 }));
    assert!(table.wins(b"k", Rank { reign: Reign(0), rank: b"1", record: b"b", form: 0 }));
}

#[test]
fn table_gives_a_client_record_the_reign_of_its_key() {
    let table = table(9);
    let _ = table.keep_from_peer(b"k", Rank { reign: Reign(7), rank: b"1", record: b"", form: 0 });
    assert_eq!(table.keep_from_client(b"k", 0, b"2", b"a"), Kept::Applied(Reign(7)));
}

#[test]
fn limits_refuse_a_new_key_to_clients_only() {
    let table = table(1);
    assert_eq!(table.keep_from_client(b"a", 0, b"1", b"x"), Kept::Applied(Reign(0)));
    assert_eq!(table.keep_from_client(b"b", 0, b"1", b"x"), Kept::NoRoom);
    assert_eq!(table.keep_from_client(b"a", 0, b"2", b"x"), Kept::Applied(Reign(0)));
    let rank = Rank { reign: Reign(0), rank: b"1", record: b"x", form: 0 };
    assert_eq!(table.keep_from_peer(b"b", rank), Kept::Applied(Reign(0)));
    assert_eq!(table.status().keys, 2);
}

#[test]
fn limits_refuse_growth_of_a_known_key() {
    let table = table(9);
    let record = vec![b'x'; 600 << 10];
    assert_eq!(table.keep_from_client(b"a", 0, b"1", &record), Kept::Applied(Reign(0)));
    assert_eq!(table.keep_from_client(b"b", 0, b"1", b"x"), Kept::Applied(Reign(0)));
    assert_eq!(table.keep_from_client(b"b", 0, b"2", &record), Kept::NoRoom);
    assert_eq!(table.keep_from_client(b"a", 0, b"2", &record), Kept::Applied(Reign(0)), "it does not grow");
}

#[test]
fn table_orders_records_that_differ_in_form_only() {
    let (left, right) = (table(9), table(9));
    let offer = |table: &Table, form| {
        let _ = table.keep_from_peer(b"k", Rank { reign: Reign(0), rank: b"1", record: b"x", form });
    };
    for form in [1, 2] {
        offer(&left, form);
        offer(&right, 3 - form);
    }
    assert_eq!(left.status().digest, right.status().digest);
    assert_eq!(left.find(&[b"k"])[0].as_ref().unwrap().form, 2);
}

#[test]
fn quarantined_report_counts_in_the_digest_and_is_not_visible() {
    let (left, right) = (table(9), table(9));
    for table in [&left, &right] {
        let _ = table.keep_from_client(b"k", 0, b"1", b"old");
    }
    let before = left.status().digest;
    assert_eq!(left.quarantine(quarantined(b"2", b"new")), Kept::Applied(Reign(0)));
    assert_eq!(left.quarantine(quarantined(b"2", b"new")), Kept::Outranked);
    assert_eq!(visible(&left, b"k").unwrap(), b"old");
    assert_ne!(left.status().digest, before);
    let _ = right.keep_from_peer(b"k", Rank { reign: Reign(0), rank: b"2", record: b"new", form: 0 });
    assert_eq!(left.status().digest, right.status().digest, "a node on which it is visible holds the same records");
    assert_eq!(left.keep_from_client(b"k", 0, b"1x", b"lower"), Kept::Outranked);
    assert_eq!(left.keep_from_client(b"k", 0, b"3", b"newer"), Kept::Applied(Reign(0)));
    assert_eq!((left.status().quarantined, visible(&left, b"k").unwrap()), (0, b"newer".to_vec()));
}

/// Goal: the counts by form follow every change of the table. Method: new keys, replacements with and without a change of form,
/// records that do not win, and a quarantined report, which guests do not read.
#[test]
fn forms_are_counted_as_records_come_and_change() {
    let table = table(9);
    let keep = |key: &[u8], form, rank: &[u8]| table.keep_from_client(key, form, rank, b"x");
    let counts = || table.form_counts().into_iter().collect::<Vec<_>>();
    assert_eq!(counts(), []);
    for key in [b"a", b"b", b"c"] {
        let _ = keep(key, 1, b"1");
    }
    assert_eq!(counts(), [(1, 3)]);
    assert_eq!(keep(b"a", 2, b"2"), Kept::Applied(Reign(0)));
    assert_eq!(keep(b"b", 1, b"2"), Kept::Applied(Reign(0)));
    assert_eq!(keep(b"b", 7, b"1"), Kept::Outranked);
    let other = Rank { reign: Reign(0), rank: b"9", record: b"y", form: u32::MAX };
    assert_eq!(table.keep_from_peer(b"d", other), Kept::Applied(Reign(0)));
    let _ = table.quarantine(quarantined(b"9", b"y"));
    assert_eq!(counts(), [(1, 2), (2, 1), (u32::MAX, 1)]);
    for key in [b"b", b"c"] {
        let _ = keep(key, 2, b"3");
    }
    assert_eq!(counts(), [(2, 3), (u32::MAX, 1)]);
    assert_eq!(table.status().forms, table.form_counts());
}

/// Goal: a forgotten key counts in no form, or a guest would be refused, or said to leave a record unread, for a record that nobody reads.
#[test]
fn forms_do_not_count_a_forgotten_key() {
    let table = table(9);
    let counts = || table.form_counts().into_iter().collect::<Vec<_>>();
    let forget = |key: &[u8]| {
        let (rank, head) =
            (Rank { reign: Reign(0), rank: b"", record: b"", form: 0 }, Head { tombstone: true, ..head() });
        let _ = table.0.offer(Offer { key, rank, head, by: OfferedBy::Forget }, |_| ());
    };
    for key in [b"a", b"b"] {
        let _ = table.keep_from_client(key, 1, b"1", b"x");
    }
    for key in [b"a", b"c"] {
        forget(key);
    }
    assert_eq!((counts(), table.status().keys), (vec![(1, 1)], 3));
    assert_eq!(table.keep_from_client(b"a", 2, b"1", b"x"), Kept::Applied(Reign(1)));
    assert_eq!(counts(), [(1, 1), (2, 1)]);
}

#[test]
fn report_wins_against_a_quarantined_one_or_else_against_the_readable_one_below_it() {
    let table = table(9);
    let _ = table.keep_from_client(b"k", 0, b"2", b"x");
    let _ = table.quarantine(quarantined(b"4", b"x"));
    let wins = |rank: &[u8]| table.wins(b"k", Rank { reign: Reign(0), rank, record: b"x", form: 0 });
    let ranks: [&[u8]; 5] = [b"1", b"2", b"3", b"4", b"5"];
    assert_eq!(ranks.map(wins), [false, false, true, false, true]);
    let highest = table.highest(b"k", |rank, _| rank.rank.to_vec());
    assert_eq!((highest.unwrap(), table.highest(b"other", |_, _| ())), (b"4".to_vec(), None));
}

#[test]
fn keys_are_spread_over_the_shards_and_visited_with_quarantined_reports() {
    let table = table(1000);
    for key in 0..1000_u32 {
        let _ = table.keep_from_client(&key.to_le_bytes(), 0, b"1", b"x");
    }
    let records_of = |shard| {
        let mut records = 0;
        table.visit(shard, |_, _| records += 1);
        records
    };
    let counts: Vec<usize> = (0..table.shards()).map(records_of).collect();
    assert_eq!((counts.iter().sum::<usize>(), table.keys()), (1000, 1000));
    assert!(counts.iter().filter(|count| **count > 0).count() > table.shards() / 2);
    let _ = table.quarantine(quarantined(b"1", b"x"));
    assert_eq!((0..table.shards()).map(records_of).sum::<usize>(), 1001);
}
