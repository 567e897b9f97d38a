//! Replay of a whole log: one thread reads it, others repeat its calls.
//!
//! Knows nothing of what is printed but the progress. Bounds: [`BLOCKS_MAX`] blocks that wait for a thread.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::anyhow;
use herd_recording::{CallsBlock, LogBlock, LogError, LogReader};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::guest::{Guests, LoadedGuest, ThreadReplayer};
use super::tally::Tally;

/// Result of a replay.
pub(super) struct Replayed {
    pub(super) tally: Tally,
    /// Name of the node.
    pub(super) node: String,
    /// Guests that decided now, for people.
    pub(super) guests: Vec<String>,
    /// Decisions that are not in the log.
    pub(super) lost: u64,
    /// Look-ups of keys that were not looked up at the time.
    pub(super) missing: u64,
    pub(super) seconds: f64,
    /// Where the log is damaged. What is before that was replayed, and perhaps a few blocks behind it.
    pub(super) damage: Option<LogError>,
}

/// Calls of a block, with the guest of each generation that decides in it.
struct Job {
    block: CallsBlock,
    guests: Vec<(u64, LoadedGuest)>,
}

/// Result of one thread.
#[derive(Default)]
struct Worked {
    tally: Tally,
    missing: u64,
    /// A call of the log that cannot be decoded.
    damage: Option<LogError>,
}

impl Replayed {
    pub(super) fn json(&self) -> Value {
        let Self { tally, node, guests, lost, missing, seconds, damage } = self;
        json!({
            "node": node, "guests": guests, "calls": tally.calls, "decisions": tally.decisions, "lines": tally.lines,
            "same": tally.same, "exact": tally.exact, "different": tally.different, "not_compared": tally.not_compared,
            "lost": lost, "missing_reads": missing, "seconds": seconds, "damage": damage.as_ref().map(ToString::to_string),
            "decisions_per_s": tally.decisions as f64 / seconds, "differences": tally.json(),
        })
    }
}

/// Replays everything that is left of a log, up to where it is damaged.
///
/// # Errors
///
/// A guest does not load.
pub(super) fn replay_all(log: &mut LogReader, guests: &mut Guests, threads: usize) -> anyhow::Result<Replayed> {
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{wide_bar} {percent} %, {eta} left").ok();
        ProgressBar::new(log.progress().0).with_style(style.unwrap_or_else(ProgressStyle::default_bar))
    });
    let (jobs, waiting) = sync_channel(BLOCKS_MAX);
    let (waiting, stopped) = (Arc::new(Mutex::new(waiting)), AtomicBool::new(false));
    let stopped = &stopped;
    let (mut lost, mut named, mut seconds) = (0_u64, Vec::<String>::new(), 0.0);
    let mut damage = None;
    let results = std::thread::scope(|scope| {
        let start = |_: usize| {
            let waiting = Arc::clone(&waiting);
            scope.spawn(move || work(&waiting, stopped))
        };
        let workers: Vec<_> = (0..threads).map(start).collect();
        // The threads alone hold the receiver from here on: once the last of them has stopped at an error, sending fails rather than wait.
        drop(waiting);
        let mut began = None;
        let mut feed = || -> anyhow::Result<()> {
            loop {
                let block = match log.next_block() {
                    Ok(Some(block)) => block,
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        damage = Some(error);
                        return Ok(());
                    }
                };
                match block {
                    LogBlock::Context(context) => guests.enter(context)?,
                    LogBlock::Guest(generation, guest) => guests.add(generation, guest)?,
                    LogBlock::Calls(block) => {
                        // Loading guests is not replaying.
                        began.get_or_insert_with(Instant::now);
                        lost = lost.saturating_add(block.lost());
                        let deciding = guests.deciding()?;
                        for (_, guest) in &deciding {
                            let text = guest.text();
                            if !named.contains(&text) {
                                named.push(text);
                            }
                        }
                        // Every thread has stopped at an error, which is below.
                        if jobs.send(Job { block, guests: deciding }).is_err() || stopped.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                    }
                }
                bar.iter().for_each(|bar| bar.set_position(log.progress().1));
            }
        };
        let fed = feed();
        drop(jobs);
        let results: Vec<_> =
            workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))).collect();
        seconds = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        fed.map(|()| results)
    });
    bar.iter().for_each(ProgressBar::finish_and_clear);
    let (mut tally, mut missing) = (Tally::default(), 0);
    for result in results? {
        let Worked { tally: counted, missing: missed, damage: damaged } = result??;
        tally.merge(counted);
        missing += missed;
        // A call that cannot be decoded is before anything that the reader came to.
        damage = damaged.or(damage);
    }
    let node = guests.context().map_or(String::new(), |context| context.node.clone());
    Ok(Replayed { tally, node, guests: named, lost, missing, seconds: seconds.max(1e-9), damage })
}

/// Repeats the calls of blocks until there are none, or one of them cannot be decoded.
fn work(waiting: &Mutex<Receiver<Job>>, stopped: &AtomicBool) -> anyhow::Result<Worked> {
    let mut worked = Worked::default();
    let mut replayers: Vec<(LoadedGuest, ThreadReplayer)> = vec![];
    loop {
        let job = waiting.lock().map_err(|_| anyhow!("a thread panicked"))?.recv();
        let Ok(Job { block, guests }) = job else { break };
        if stopped.load(Ordering::Relaxed) {
            continue;
        }
        // Those of other settings are done with: each holds an instance.
        replayers.retain(|(known, replayer)| {
            let is_needed = guests.iter().any(|(_, guest)| known.is(guest));
            worked.missing += if is_needed { 0 } else { replayer.missing_reads() };
            is_needed
        });
        let mut replay = || -> anyhow::Result<()> {
            let mut last: Option<(u64, usize)> = None;
            for call in block.calls() {
                let call = match call {
                    Ok(call) => call,
                    Err(error) => {
                        stopped.store(true, Ordering::Relaxed);
                        worked.damage = Some(error);
                        return Ok(());
                    }
                };
                let index = match last {
                    Some((generation, index)) if generation == call.generation.0 => index,
                    _ => {
                        let guest = guests.iter().find(|(generation, _)| *generation == call.generation.0);
                        let guest = guest
                            .ok_or_else(|| anyhow!("the log names no guest for generation {}", call.generation))?;
                        replayer_of(&mut replayers, &guest.1)
                    }
                };
                last = Some((call.generation.0, index));
                let decided = replayers[index].1.repeat(&call.recorded)?;
                worked.tally.compare(&call, &decided);
            }
            Ok(())
        };
        if let Err(error) = replay() {
            stopped.store(true, Ordering::Relaxed);
            return Err(error);
        }
    }
    worked.missing += replayers.iter().map(|(_, replayer)| replayer.missing_reads()).sum::<u64>();
    Ok(worked)
}

fn replayer_of(replayers: &mut Vec<(LoadedGuest, ThreadReplayer)>, guest: &LoadedGuest) -> usize {
    if let Some(index) = replayers.iter().position(|(known, _)| known.is(guest)) {
        return index;
    }
    replayers.push((guest.clone(), guest.replayer()));
    replayers.len() - 1
}

/// Blocks that wait for a thread, of 256 KiB each.
const BLOCKS_MAX: usize = 16;
