//! Link codec: encoding a report, once for all links, and decoding a frame of reports at a peer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use herd_replication::{Head, LaneId, ReportFrame, Stamp, WireReport};

fn frames(criterion: &mut Criterion) {
    let report = WireReport {
        head: Head::of(Stamp { lane: LaneId(3), seq: 1_000_000 }),
        key: b"bench-12345",
        reign: 0,
        rank: &[7; 41],
        form: 1,
        record: b"AT Riley +0.000786730 bench-12345 +34.068930-118.445127 1795504736.781759850",
        extension: b"",
    };
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode a report", |bencher| {
        bencher.iter(|| {
            let mut encoded = Vec::new();
            black_box(&report).encode(&mut encoded);
            encoded
        });
    });
    let mut encoded = Vec::new();
    (0..REPORTS).for_each(|_| report.encode(&mut encoded));
    let frame = ReportFrame::new(encoded.into());
    let lane = |number| Some(LaneId(number));
    group.throughput(Throughput::Elements(REPORTS as u64));
    group.bench_function("decode a frame of 32 reports", |bencher| bencher.iter(|| black_box(&frame).reports(lane)));
    group.finish();
}

const REPORTS: usize = 32;

criterion_group!(benches, frames);
criterion_main!(benches);
