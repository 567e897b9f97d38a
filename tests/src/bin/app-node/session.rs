//! Session of a client: read, decide, store the records in redis, and only then answer.
//!
//! One read is decided and answered before the next, which bounds what a session holds to a read and an unfinished line.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use herd_logic::Herd;
use herd_sdk::{Decision, Effect, Found, Input, Mark, Moment, Progress, Records, decide_inputs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::store::Store;

/// Serves a client until its input or its connection ends.
pub(crate) async fn serve(mut stream: TcpStream, logic: Rc<Herd>, store: Store) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut replies) = (Vec::with_capacity(READ_BYTES), Vec::new());
    let (mut ended, mut reads) = (false, true);
    loop {
        if reads {
            input.reserve(READ_BYTES);
            ended = stream.read_buf(&mut input).await? == 0;
        }
        let mut whole = input.len();
        let mut mark = if ended { Mark::End } else { Mark::More };
        reads = true;
        if let Some((start, shown)) = over_limit(&input) {
            // The lines before the overlong one are decided as usual; of the overlong line only the beginning is passed on.
            (whole, mark) = if start == 0 { (shown, Mark::Overlong) } else { (start, Mark::More) };
            reads = false;
        }
        let (progress, decision) = decide(&logic, &store, Input { bytes: &input[..whole], mark }).await;
        input.drain(..progress.consumed);
        let closes = perform(&decision, &store, &mut replies).await;
        stream.write_all(&replies).await?;
        replies.clear();
        if closes || mark == Mark::End {
            return stream.shutdown().await;
        }
    }
}

/// Decides, and decides again after fetching records that were missing: a decision is pure, so it cannot wait for redis.
async fn decide(logic: &Herd, store: &Store, input: Input<'_>) -> (Progress, Decision) {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    // The default logic uses no randomness.
    let at = Moment { now_ns: u64::try_from(now_ns).unwrap_or(u64::MAX), random: (0, 0) };
    let fetched = Fetched::default();
    loop {
        let decision = decide_inputs(at, &fetched, logic, std::iter::once(input), input.bytes.len());
        let progress = decision.progress().expect("one input was decided");
        let missing = fetched.missing.take();
        if missing.is_empty() {
            return (progress, decision);
        }
        let found = store.find(&missing).await;
        fetched.known.borrow_mut().extend(missing.into_iter().zip(found));
    }
}

/// Stores the keeps in redis, then appends the replies. Returns whether the session ends.
async fn perform(decision: &Decision, store: &Store, replies: &mut Vec<u8>) -> bool {
    let keeps = decision.effects.iter().filter_map(|effect| match effect {
        Effect::Keep(keep) => Some((decision.bytes(keep.key), decision.bytes(keep.rank), decision.bytes(keep.bytes))),
        _ => None,
    });
    let keeps: Vec<_> = keeps.collect();
    let kept = keeps.is_empty() || store.keep(&keeps).await;
    let mut closes = false;
    for effect in &decision.effects {
        let span = match effect {
            Effect::Reply(reply) => reply.tie.filter(|_| !kept).map_or(reply.bytes, |tie| tie.otherwise),
            Effect::Fetch(fetch) => fetch.otherwise,
            Effect::Close => {
                closes = true;
                continue;
            }
            _ => continue,
        };
        replies.extend_from_slice(decision.bytes(span));
    }
    closes
}

/// Finds the first line over the limit: its start, and the end of the part that may be passed on.
fn over_limit(input: &[u8]) -> Option<(usize, usize)> {
    if input.len() <= LINE_BYTES_MAX {
        return None;
    }
    let mut start = 0;
    for line in input.split(|&byte| byte == b'\n') {
        // One byte more for a carriage return, which is not part of the line.
        if line.len() > LINE_BYTES_MAX + 1 {
            return Some((start, start + LINE_BYTES_MAX));
        }
        start += line.len() + 1;
    }
    None
}

/// Records fetched for one decision, and the keys that were looked up in vain.
#[derive(Default)]
struct Fetched {
    known: RefCell<HashMap<Vec<u8>, Option<Found>>>,
    missing: RefCell<Vec<Vec<u8>>>,
}

impl Records for Fetched {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let known = self.known.borrow();
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(known.get(*key).cloned().unwrap_or_else(|| {
                self.missing.borrow_mut().push(key.to_vec());
                None
            }));
        }
        found
    }
}

const READ_BYTES: usize = 4 << 10;
const LINE_BYTES_MAX: usize = 64 << 10;
