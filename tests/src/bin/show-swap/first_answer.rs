//! Time to the first answer of new logic: from a changed file, with compilation, and from a swap whose code is cached.
//!
//! Observed by a client that repeats a command that only one of two guests knows. It has sent more than a thousand before, so a
//! candidate has that many recorded decisions to rehearse.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::{Bar, Client, DEFAULT_GUEST, Herd, Reporter, Rounds, Row, WAIT_MAX, WATCH};

pub(crate) const ROW: Row = Row {
    name: "first-answer",
    figures: &[
        Bar { figure: "changed file to first new answer, compiled", bar: "at most 400 ms" },
        Bar { figure: "swap to first new answer, code in memory", bar: "at most 5 ms" },
        Bar { figure: "swap to first new answer, code on disk", bar: "at most 5 ms" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    from_a_changed_file(reporter)?;
    let [watch, default] = [fs::read(WATCH)?, fs::read(DEFAULT_GUEST)?];
    // The code of the active and the previous generation is in memory: two guests by turns are always there, four by turns are
    // loaded from disk.
    let two = [watch.clone(), default.clone()];
    from_the_cache(reporter, "swap to first new answer, code in memory", &two)?;
    let four = [numbered(&watch, 1), numbered(&default, 1), numbered(&watch, 2), numbered(&default, 2)];
    from_the_cache(reporter, "swap to first new answer, code on disk", &four)
}

/// Measures a herd of five that watches a file; the client is at the node that swaps last.
fn from_a_changed_file(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five();
    let file = herd.scratch().path("guest.wasm");
    let mut up = herd.up_watching(&file);
    up.await_line("herd ready");
    let mut asker = Asker::new(herd.client(herd.names().last().copied().unwrap_or_default()));
    let mut times_ms = Vec::new();
    for round in 0..WATCH_ROUNDS {
        // The digest differs each time, because a known guest would not be compiled again.
        let (guest, watches) = if round % 2 == 0 { (WATCH, true) } else { (DEFAULT_GUEST, false) };
        let next = herd.scratch().write("next.wasm", numbered(&fs::read(guest)?, 10 + round));
        let renamed = Instant::now();
        fs::rename(next, &file)?;
        times_ms.push(asker.until(watches, renamed)?);
    }
    let times = Rounds::of(times_ms);
    reporter.show("changed file to first new answer, compiled", times.text(0, " ms"), times.median() <= 400.0);
    Ok(())
}

/// Measures swaps to guests by turns, of which every other one knows WATCH.
fn from_the_cache(reporter: &mut Reporter<'_>, figure: &str, guests: &[Vec<u8>]) -> Result<()> {
    let herd = Herd::of_one();
    let up = herd.up();
    let operator = herd.operator("Riley");
    for guest in guests {
        operator.swap(guest)?;
    }
    let mut asker = Asker::new(herd.client("Riley"));
    let mut times_ms = Vec::new();
    for round in 0..CACHE_ROUNDS {
        let guest = &guests[round % guests.len()];
        times_ms.push(std::thread::scope(|scope| {
            let (begin, began) = std::sync::mpsc::sync_channel(1);
            let operator = &operator;
            let swapping = std::thread::Builder::new().spawn_scoped(scope, move || {
                let posted = Instant::now();
                let _ = begin.send(posted);
                (operator.swap(guest), posted.elapsed().as_secs_f64() * 1e3)
            })?;
            let took = asker.until(round % 2 == 0, began.recv()?)?;
            swapping.join().expect("swapping does not panic").0?;
            anyhow::Ok(took)
        })?);
    }
    drop(up);
    let times = Rounds::of(times_ms);
    reporter.show(figure, times.text(1, " ms"), times.median() <= 5.0);
    Ok(())
}

/// A client that sends a command that only some guests know.
struct Asker {
    client: Client,
}

impl Asker {
    fn new(client: Client) -> Self {
        let mut asker = Self { client };
        for _ in 0..DECISIONS {
            asker.watches();
        }
        asker
    }

    /// Polls until the logic knows WATCH, or does not, as wanted. Returns the milliseconds since `since`.
    fn until(&mut self, watches: bool, since: Instant) -> Result<f64> {
        while self.watches() != watches {
            ensure!(since.elapsed() < WAIT_MAX, "there is no answer by new logic within {WAIT_MAX:?}");
        }
        let took = since.elapsed();
        // Lets the swap finish and its files reach the disk, so that they do not disturb the next round.
        std::thread::sleep(Duration::from_millis(50));
        Ok(took.as_secs_f64() * 1e3)
    }

    fn watches(&mut self) -> bool {
        self.client.ask("UNWATCH nobody") == "OK"
    }
}

/// Gives a guest another digest by appending a custom section with a number, which does not change its meaning.
fn numbered(guest: &[u8], number: u8) -> Vec<u8> {
    const CUSTOM: u8 = 0;
    [guest, &[CUSTOM, 3, 1, b'n', number]].concat()
}

const WATCH_ROUNDS: u8 = 9;
const CACHE_ROUNDS: usize = 40;
/// More decisions than a worker records.
const DECISIONS: usize = 1_100;
