//! Record table with many keys in random order: processor time per keep and per look-up, by threads and size of batches; time and
//! memory of filling it; how long a snapshot holds a lock.
//!
//!     cargo bench -p herd-replication --bench keeps -- [KEYS] [SECONDS]
//!
//! waits so many seconds once the table is filled, for the kernel to collapse its pages into huge ones.
//!
//! Criterion has no say here: what is measured are cache misses, so a run needs a table far larger than the caches, filled once. The
//! time is that of the thread on its processor and includes making the keys, which has a line of its own.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use herd_model::{GenerationId, Ticket};
use herd_replication::{ArrivalOutcome, LaneId, NewRecord, NoJournal, RecordLimits, Replica, ReplicaConfig, Stamp};
use herd_sdk::Records;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (keys, seconds) = (arguments.next().unwrap_or(1_000_000), arguments.next().unwrap_or(0));
    let before = resident_bytes();
    let limits = RecordLimits { keys_max: usize::MAX, mib_max: usize::MAX };
    let replica = Arc::new(Replica::new(
        ReplicaConfig { limits, arrivals: 1 << 16, ..ReplicaConfig::for_tests("Riley") },
        NoJournal,
    ));
    fill(&replica, keys);
    let own = (KEY_BYTES + RANK_BYTES + RECORD.len()) as f64;
    println!("{:.1} bytes per key beyond its own {own}", (resident_bytes() - before) as f64 / keys as f64 - own);
    std::thread::sleep(Duration::from_secs(seconds));
    println!("{} MiB in huge pages", huge_page_kib() >> 10);
    for _ in 0..RUNS {
        snapshot(&replica);
    }
    for operation in [Operation::None, Operation::Keep, Operation::TracedKeep, Operation::Hit, Operation::Miss] {
        for (threads, batch) in [(1, 1), (1, 32), (2, 1), (2, 32)] {
            let mut times = [(); RUNS].map(|()| run(&replica, keys, threads, batch, operation));
            times.sort_by(f64::total_cmp);
            let [lowest, median, ..] = times;
            println!("{operation:?}, {threads} threads, batches of {batch:2}: {lowest:4.0} ns, median {median:4.0}");
        }
    }
}

/// Operation on every key of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    None,
    /// Keeps a higher record of a known key.
    Keep,
    /// Does that, and notes the arrival, as a node does for a client.
    TracedKeep,
    /// Finds a known key, and copies its record.
    Hit,
    /// Looks an unknown key up.
    Miss,
}

/// Keys of a batch.
struct Batch([[u8; KEY_BYTES]; 64]);

impl Batch {
    /// Makes the key of a number: all are different.
    fn set(&mut self, at: usize, number: u64) {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for (digit, byte) in self.0[at][..16].iter_mut().enumerate() {
            *byte = b"0123456789abcdef"[(mixed >> (digit * 4)) as usize & 15];
        }
    }
}

fn fill(replica: &Replica, keys: u64) {
    let mut batch = Batch([*KEY; 64]);
    let began = processor_ns();
    let mut longest = 0;
    for number in 0..keys {
        batch.set(0, number);
        let keep_began = processor_ns();
        let _ = black_box(replica.keep(0, record(&batch.0[0], &[0; RANK_BYTES])));
        longest = longest.max(processor_ns() - keep_began);
    }
    println!("first keep of a key: {} ns, longest {} us", (processor_ns() - began) / keys, longest / 1000);
}

/// Takes a snapshot. Each part of it holds the lock of a shard for nearly as long as it takes.
fn snapshot(replica: &Arc<Replica>) {
    let (mut snapshot, mut part_ns, mut bytes) = (replica.snapshot(), Vec::new(), 0);
    loop {
        let began = processor_ns();
        let has_more = snapshot.next(|_, payload| bytes += payload.len());
        part_ns.push(processor_ns() - began);
        if !has_more {
            break;
        }
    }
    part_ns.sort_unstable();
    let (parts, total) = (part_ns.len(), part_ns.iter().sum::<u64>());
    let [mean, longest] = [total / parts as u64, part_ns[parts - 1]].map(|ns| ns / 1000);
    println!(
        "snapshot of {} MiB: {} ms; {parts} parts of {mean} us, longest {longest} us",
        bytes >> 20,
        total / 1_000_000
    );
}

/// Returns the nanoseconds per key of the slowest thread.
fn run(replica: &Replica, keys: u64, threads: u64, batch: usize, operation: Operation) -> f64 {
    // Ranks rise from run to run, so that every record wins.
    static RANK: AtomicU64 = AtomicU64::new(1);
    let start = Barrier::new(threads as usize);
    let run = |thread: u64| {
        let mut random = 0x1234_5678_9abc + thread * 7919 + RANK.load(Ordering::Relaxed);
        let mut chosen = Batch([*KEY; 64]);
        let mut rank = [0; RANK_BYTES];
        start.wait();
        let began = processor_ns();
        for _ in 0..KEYS_PER_RUN / batch {
            for at in 0..batch {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let number = (random >> 20) % keys;
                chosen.set(at, if operation == Operation::Miss { keys + number } else { number });
            }
            if batch > 1 && operation != Operation::None {
                replica.table().prefetch(chosen.0[..batch].iter().map(|key| &key[..]));
            }
            rank[..8].copy_from_slice(&RANK.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            for key in &chosen.0[..batch] {
                match operation {
                    Operation::None => _ = black_box(key),
                    Operation::Keep => _ = black_box(replica.keep(thread as usize, record(key, &rank))),
                    Operation::TracedKeep => {
                        let Ticket { lane, seq, .. } = replica.keep(thread as usize, record(key, &rank)).ticket;
                        let (stamp, client) = (Stamp { lane: LaneId(lane), seq }, Some(([192, 0, 2, 7], 4711).into()));
                        let (outcome, generation) = (ArrivalOutcome::Applied, GenerationId(1));
                        replica.arrivals().note_client(thread as usize, stamp, outcome, generation, client, random);
                    }
                    Operation::Hit | Operation::Miss => _ = black_box(replica.table().find(&[key])),
                }
            }
        }
        processor_ns() - began
    };
    let slowest = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("a keep does not panic")).max()
    });
    slowest.unwrap_or_default() as f64 / KEYS_PER_RUN as f64
}

fn record<'a>(key: &'a [u8], rank: &'a [u8]) -> NewRecord<'a> {
    NewRecord { key, rank, form: 1, record: RECORD, expires_at: 0, only: None }
}

/// Returns the processor time of this thread, which other load on the machine does not add to.
fn processor_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn huge_page_kib() -> usize {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|pages| pages.split(' ').nth(1)?.parse::<usize>().ok());
    pages.expect("Linux tells the resident pages") * rustix::param::page_size()
}

const KEY: &[u8; KEY_BYTES] = b"0123456789abcdef.edu";
const KEY_BYTES: usize = 20;
/// As long as a rank of the default logic.
const RANK_BYTES: usize = 41;
const RECORD: &[u8] = b"AT Riley +0.000786730 kiwi-12345 +34.068930-118.445127 1795504736.781759850";
const KEYS_PER_RUN: usize = 600_000;
const RUNS: usize = 3;
