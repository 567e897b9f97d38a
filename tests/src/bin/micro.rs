//! What one decision costs: the component, warm, with its deadline on, against the same logic linked in natively.
//!
//! Thread processor time, the smallest of several samples, because everything that disturbs makes a sample larger. Read the
//! ratios; the absolute numbers are those of this machine at this moment.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use herd::DEFAULT_GUEST;
use herd::runtime::{ComponentDecider, Engine, Limits, Warmth};
use herd_logic::Herd;
use herd_sdk::native::{Decider, MemoryRecords, Native};
use herd_sdk::{Input, Logic, Mark, Moment, Settings};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let engine = Engine::new(Limits::default()).expect("this machine runs guests");
    let records = || Arc::new(MemoryRecords::default());
    let mut component = ComponentDecider::load(&engine, DEFAULT_GUEST, settings.clone(), records(), Warmth::Warm)
        .expect("the default guest loads");
    let mut native = Native::new(Herd::configure(&settings).expect("there are no settings"), records());
    println!("{:<28}{:>14}{:>14}{:>10}", "IAMAT, ns a line", "component", "native", "ratio");
    for lines in [1, 8, 32, 62] {
        let input = batch(lines);
        let component = ns_per_line(&mut component, &input, lines);
        let native = ns_per_line(&mut native, &input, lines);
        println!("{:<28}{component:>14.0}{native:>14.0}{:>10.2}", format!("batch of {lines}"), component / native);
    }
}

fn batch(lines: u32) -> Vec<u8> {
    let line = |number| format!("IAMAT bench-{number} +34.068930-118.445127 1479413884.{:09}\n", number * 7919);
    (0..lines).map(line).collect::<String>().into_bytes()
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds for people")]
fn ns_per_line(decider: &mut dyn Decider, input: &[u8], lines: u32) -> f64 {
    let at = Moment { now_ns: 1_479_413_885_000_000_000, random: (1, 2) };
    let calls = CALLS_PER_SAMPLE.div_ceil(lines);
    let sample = |decider: &mut dyn Decider| {
        let before = processor_time();
        for _ in 0..calls {
            let decided = decider.input(at, Input { bytes: black_box(input), mark: Mark::More });
            let _ = black_box(decided.expect("no guest faults"));
        }
        processor_time().saturating_sub(before)
    };
    sample(decider);
    let best = (0..SAMPLES).map(|_| sample(decider)).min().unwrap_or_default();
    best.as_nanos() as f64 / f64::from(calls * lines)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

const CALLS_PER_SAMPLE: u32 = 20_000;
const SAMPLES: u32 = 20;
