use super::*;

fn stamp(seq: u64) -> Stamp {
    Stamp { lane: LaneId(7), seq }
}

fn noted(seq: u64, at_ns: u64, source: Source) -> Noted {
    let (generation, outcome) = (Some(GenerationId(2)), ArrivalOutcome::Applied);
    Noted { stamp: stamp(seq), at_ns, source, generation, outcome, client: None }
}

#[test]
fn arrivals_are_found_by_stamp_in_the_order_of_their_times() {
    let arrivals = Arrivals::new(2, 1000);
    let (jaquez, juzang) = (arrivals.source_of("Jaquez"), arrivals.source_of("Juzang"));
    assert_eq!((jaquez, arrivals.source_of("Jaquez")), (Source(3), jaquez));
    let client = Some("192.0.2.7:4711".parse().unwrap());
    arrivals.note(1, Noted { outcome: ArrivalOutcome::Known, ..noted(5, 30, juzang) });
    arrivals.note_client(0, stamp(5), ArrivalOutcome::Applied, GenerationId(9), client, 10);
    arrivals.note(1, noted(6, 20, jaquez));
    arrivals.note(0, Noted { generation: None, outcome: ArrivalOutcome::Quarantined, ..noted(5, 20, jaquez) });
    let at = |at_ns, way, generation: Option<u64>, outcome| Arrival {
        at_ns,
        way,
        generation: generation.map(GenerationId),
        outcome,
    };
    let found = [
        at(10, Way::Client(client), Some(9), ArrivalOutcome::Applied),
        at(20, Way::Peer("Jaquez".into()), None, ArrivalOutcome::Quarantined),
        at(30, Way::Peer("Juzang".into()), Some(2), ArrivalOutcome::Known),
    ];
    assert_eq!(arrivals.find(stamp(5)), found);
    assert_eq!(arrivals.find(Stamp { lane: LaneId(8), seq: 5 }), [], "the same number in another lane");
    assert_eq!(arrivals.complete_since_ns(), None);
}

#[test]
fn arrivals_read_back_at_their_limits() {
    let long = Stamp { lane: LaneId(u32::MAX), seq: Stamp::SEQ_MAX };
    for client in [None, Some("[2001:db8::1]:65535".parse().unwrap()), Some("255.255.255.255:1".parse().unwrap())] {
        for outcome in
            [ArrivalOutcome::Applied, ArrivalOutcome::Known, ArrivalOutcome::Quarantined, ArrivalOutcome::Outranked]
        {
            let (source, generation) = (Source(u16::MAX), Some(GenerationId(u32::MAX.into())));
            let noted = Noted { stamp: long, at_ns: u64::MAX, source, generation, outcome, client };
            assert_eq!(Noted::of(noted.words()), noted);
        }
    }
    assert_eq!(Noted { generation: None, ..noted(1, 1, Source::CLIENT) }.words()[2], 7 << 32);
}

#[test]
fn arrivals_that_were_overwritten_are_gone_and_said_to_be() {
    let arrivals = Arrivals::new(1, 20);
    assert_eq!(arrivals.capacity(), 20);
    for seq in 1..=19 {
        arrivals.note(0, noted(seq, 100 + seq, Source::CLIENT));
    }
    assert_eq!((arrivals.find(stamp(1)).len(), arrivals.complete_since_ns()), (1, None));
    for seq in 20..=45 {
        arrivals.note(0, noted(seq, 100 + seq, Source::CLIENT));
    }
    let kept: Vec<u64> = (1..=45).filter(|&seq| !arrivals.find(stamp(seq)).is_empty()).collect();
    assert_eq!(kept, (27..=45).collect::<Vec<_>>());
    assert_eq!(arrivals.complete_since_ns(), Some(127));
}

#[test]
fn arrivals_of_other_threads_take_no_room_of_workers() {
    let arrivals = Arrivals::new(1, 1000);
    arrivals.note(0, noted(1, 1, Source::CLIENT));
    for seq in 2..=1000 {
        arrivals.note_operator(stamp(seq), seq);
    }
    assert_eq!(arrivals.find(stamp(1)).len(), 1);
    assert_eq!(arrivals.find(stamp(1000))[0].way, Way::Operator);
}

#[test]
fn arrivals_that_are_off_take_no_room() {
    let arrivals = Arrivals::new(4, 0);
    arrivals.note(0, noted(1, 1, Source::CLIENT));
    arrivals.note_operator(stamp(1), 1);
    assert_eq!((arrivals.are_noted(), arrivals.capacity(), arrivals.find(stamp(1)).len()), (false, 0, 0));
}

#[test]
fn arrivals_that_are_found_are_bounded_and_the_earliest() {
    let arrivals = Arrivals::new(1, 10_000);
    for at_ns in 0..1000 {
        arrivals.note(0, noted(1, at_ns, Source::CLIENT));
    }
    let found = arrivals.find(stamp(1));
    assert_eq!((found.len(), found[0].at_ns, found[FOUND_MAX - 1].at_ns), (FOUND_MAX, 0, FOUND_MAX as u64 - 1));
}

/// Goal: a reader never sees half of one arrival and half of another. Method: a thread overwrites a short ring with arrivals all of whose
/// words follow from their number, while the reader looks, until it has written many.
#[test]
fn arrivals_are_read_whole_while_they_are_overwritten() {
    let arrivals = Arrivals::new(1, 4);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 1..=WRITTEN {
                let client = Some(SocketAddr::new(Ipv6Addr::from(PREFIX | u128::from(seq) << 32).into(), seq as u16));
                arrivals.note(0, Noted { client, ..noted(seq, seq, Source(seq as u16)) });
            }
        });
        while arrivals.rings[0].complete.load(Ordering::Acquire) < WRITTEN {
            arrivals.rings[0].read(|words| {
                let noted = Noted::of(words);
                let (seq, client) = (noted.stamp.seq, noted.client.unwrap());
                let IpAddr::V6(v6) = client.ip() else { panic!("{client}") };
                assert_eq!((noted.at_ns, noted.source.0, client.port()), (seq, seq as u16, seq as u16));
                assert_eq!(u128::from(v6), PREFIX | u128::from(seq) << 32);
            });
        }
    });
}

/// Of the addresses of clients. Without it one of them would be an address of version 4, mapped.
const PREFIX: u128 = 0x2001_0db8 << 96;
/// Arrivals that are written while they are read: some tens of milliseconds.
const WRITTEN: u64 = 2_000_000;
