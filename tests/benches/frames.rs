//! The codec of links: encoding a report once for all links, as it is done for every one that wins.
//!
//! What a peer does, decoding a frame and its reports, is private to `herd::peers` so far.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use herd::peers::WireReport;

fn frames(criterion: &mut Criterion) {
    let report = WireReport {
        key: b"bench-12345",
        reign: 0,
        rank: &[7; 41],
        form: 1,
        record: b"AT Riley +0.000786730 bench-12345 +34.068930-118.445127 1795504736.781759850",
        origin: "Riley",
    };
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode a report", |bencher| bencher.iter(|| black_box(&report).encode()));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
