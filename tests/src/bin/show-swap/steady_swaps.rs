//! A swap every 100 ms, in windows that alternate with quiet ones, under the same load in both.
//!
//! The bar is a ratio of p99 times. If the quiet windows differ among themselves by more, that difference is the bar.

use std::time::{Duration, Instant};

use anyhow::Result;
use herd_tests::load::{Load, Running, quantile_us};
use herd_tests::{Bar, DEFAULT_GUEST, Herd, Operator, Reporter, Rounds, Row, WATCH, eventually};

pub(crate) const ROW: Row = Row {
    name: "steady-swaps",
    figures: &[
        Bar { figure: "a swap each 100 ms: p99 against quiet windows", bar: "at most 1.2, or as quiet ones" },
        Bar { figure: "a swap each 100 ms: longest pause of a worker", bar: "at most 100 us" },
        Bar { figure: "a swap each 100 ms: wrong, missing, dropped", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let up = herd.up();
    let nodes = vec![("Riley".to_string(), herd.address("Riley"))];
    let running = Load { nodes, sessions_per_node: 32, askers_per_node: 0, rate: Some(RATE) }.start();
    eventually("the load", || if running.answered() > 5_000 { Ok(()) } else { Err("it is not there yet".into()) });
    let mut swapper = Swapper::new(herd.operator("Riley"))?;
    let (mut quiet, mut swapped) = (Vec::new(), Vec::new());
    // Warm-up: compiles both guests.
    window(&running, || swapper.swap_until(WINDOW))?;
    swapper.forget();
    for _ in 0..PAIRS {
        quiet.push(window(&running, || {
            std::thread::sleep(WINDOW);
            Ok(())
        })?);
        swapped.push(window(&running, || swapper.swap_until(WINDOW))?);
    }
    let outcome = running.stop();
    let every_other = |skip| Rounds::of(quiet.iter().skip(skip).step_by(2).copied()).median();
    let (one, other) = (every_other(0), every_other(1));
    let noise = one.max(other) / one.min(other);
    let (quiet, swapped) = (Rounds::of(quiet), Rounds::of(swapped));
    let ratio = swapped.median() / quiet.median();
    let value = format!("{ratio:.2} (quiet by quiet {noise:.2})");
    reporter.show("a swap each 100 ms: p99 against quiet windows", value, ratio <= noise.max(1.2));
    reporter.tell("p99 of windows without a swap", quiet.text(0, " us"));
    reporter.tell("p99 of windows with swaps", swapped.text(0, " us"));
    let Swapper { pauses_us, first_calls_us, swaps_ms, .. } = swapper;
    let (pauses, first_calls) = (Rounds::of(pauses_us), Rounds::of(first_calls_us));
    let longest = pauses.largest();
    reporter.show("a swap each 100 ms: longest pause of a worker", format!("{longest:.1} us"), longest <= 100.0);
    reporter.tell("pause, of the slower worker of each swap", pauses.text(1, " us"));
    reporter.tell("first calls with all that is in them", first_calls.text(0, " us"));
    reporter.tell("a swap, from its request to its answer", Rounds::of(swaps_ms).text(1, " ms"));
    let failed = format!("{} of {}", outcome.failed, outcome.answered);
    reporter.show("a swap each 100 ms: wrong, missing, dropped", failed, outcome.failed == 0);
    outcome.failures.iter().for_each(|failure| reporter.tell("  failure", failure));
    drop(up);
    Ok(())
}

/// Runs an action and returns the p99 of the answers meanwhile, in microseconds.
fn window(running: &Running, mut meanwhile: impl FnMut() -> Result<()>) -> Result<f64> {
    drop(running.take_times_us());
    meanwhile()?;
    Ok(quantile_us(&running.take_times_us(), 0.99) as f64)
}

/// Swaps one node between two guests and reads the activation times of each generation before the next swap.
struct Swapper {
    operator: Operator,
    guests: [Vec<u8>; 2],
    swaps_ms: Vec<f64>,
    pauses_us: Vec<f64>,
    first_calls_us: Vec<f64>,
}

impl Swapper {
    fn new(operator: Operator) -> Result<Self> {
        let guests = [std::fs::read(WATCH)?, std::fs::read(DEFAULT_GUEST)?];
        Ok(Self { operator, guests, swaps_ms: vec![], pauses_us: vec![], first_calls_us: vec![] })
    }

    /// Discards the measurements so far, which include compilation.
    fn forget(&mut self) {
        [&mut self.swaps_ms, &mut self.pauses_us, &mut self.first_calls_us].into_iter().for_each(Vec::clear);
    }

    /// Swaps on a low-priority thread, because an operator that competes with the clients for a processor would distort the times.
    fn swap_until(&mut self, end: Duration) -> Result<()> {
        std::thread::scope(|scope| {
            let swapping = scope.spawn(|| {
                rustix::process::nice(LOW_PRIORITY)?;
                self.swap_here(end)
            });
            swapping.join().expect("swapping does not panic")
        })
    }

    fn swap_here(&mut self, end: Duration) -> Result<()> {
        let began = Instant::now();
        for number in 1_u32.. {
            let asked = Instant::now();
            self.operator.swap(&self.guests[self.swaps_ms.len() % 2])?;
            self.swaps_ms.push(asked.elapsed().as_secs_f64() * 1e3);
            let due = EVERY * number;
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            // By now every worker has called the generation. If the swap took so long that one has not, the times are missing and
            // are not counted.
            let active = self.operator.status()?["generations"]["active"].take();
            if let Some((pause, call)) = active["pause_us_max"].as_f64().zip(active["first_call_us_max"].as_f64()) {
                self.pauses_us.push(pause);
                self.first_calls_us.push(call);
            }
            if began.elapsed() >= end {
                break;
            }
        }
        Ok(())
    }
}

/// Niceness of the swapping thread, that of a node's own background threads.
const LOW_PRIORITY: i32 = 10;
const PAIRS: usize = 6;
const WINDOW: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_millis(100);
/// Answers per second: a node in use, far from its limit, so that p99 does not measure a queue.
const RATE: f64 = 4_000.0;
