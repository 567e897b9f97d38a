//! Cost of a decision, by command, batch size and decider.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use herd_runtime::Limits;
use herd_tests::decisions::{Command, Contender, decide};

fn decisions(criterion: &mut Criterion) {
    for command in Command::ALL {
        let mut group = criterion.benchmark_group(command.name());
        for lines in [1, 8, 32] {
            let batch = command.batch(lines);
            group.throughput(Throughput::Elements(lines.into()));
            for contender in Contender::ALL {
                let mut decider = contender.decider(Limits::default());
                group.bench_with_input(BenchmarkId::new(contender.name(), lines), &batch, |bencher, batch| {
                    bencher.iter(|| decide(&mut *decider, black_box(batch)));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
