//! Record table under contention: threads keep new records, each under keys of its own or all under the same keys.
//!
//! The time is that of one keep per thread. Without contention, and with a processor per thread, it does not depend on the number
//! of threads.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use herd_replication::{NewRecord, NoJournal, Replica, ReplicaConfig};

const RECORD: &[u8] = b"AT Riley +0.000786730 bench-12345 +34.068930-118.445127 1795504736.781759850";

fn records(criterion: &mut Criterion) {
    for (name, shared) in [("records, different keys", false), ("records, same keys", true)] {
        let mut group = criterion.benchmark_group(name);
        for threads in [1, 2, 4] {
            group.bench_with_input(BenchmarkId::new("threads", threads), &threads, |bencher, &threads| {
                bencher.iter_custom(|keeps| keep(threads, keeps, shared));
            });
        }
        group.finish();
    }
}

/// Has every thread keep `keeps` records and returns the time of the slowest.
fn keep(threads: u64, keeps: u64, shared: bool) -> Duration {
    let workers = usize::try_from(threads).unwrap_or(1);
    let replica = Replica::new(ReplicaConfig { workers, ..ReplicaConfig::for_tests("Riley") }, NoJournal);
    let keys: Vec<Vec<u8>> = (0..threads * KEYS).map(|number| format!("bench-{number}").into_bytes()).collect();
    let start = Barrier::new(usize::try_from(threads).unwrap_or(1));
    std::thread::scope(|scope| {
        let run = |thread: u64| {
            let first = if shared { 0 } else { thread * KEYS };
            let (replica, keys, start) = (&replica, &keys, &start);
            let worker = usize::try_from(thread).unwrap_or_default();
            scope.spawn(move || {
                start.wait();
                let began = Instant::now();
                for number in 0..keeps {
                    let key = &keys[usize::try_from(first + number % KEYS).unwrap_or_default()];
                    // As long as a rank of the default logic, and rising with every round, so that every record wins.
                    let mut rank = [0; 41];
                    rank[4..12].copy_from_slice(&number.to_be_bytes());
                    rank[40] = u8::try_from(thread).unwrap_or_default();
                    let new = NewRecord { key, rank: &rank, form: 1, record: RECORD, expires_at: 0, only: None };
                    let _ = black_box(replica.keep(worker, new));
                }
                began.elapsed()
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        let times = running.into_iter().map(|thread| thread.join().expect("a keep does not panic"));
        times.max().unwrap_or_default()
    })
}

/// Keys per thread: enough that every shard has some.
const KEYS: u64 = 4096;

criterion_group!(benches, records);
criterion_main!(benches);
