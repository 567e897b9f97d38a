//! Records in redis, over one connection that all sessions of the node share.
//!
//! Commands of all sessions that are ready in one turn of the loop are written together. Redis replies in the order of commands,
//! so a queue of waiting sessions replaces request numbers.
//!
//! A value is the rank, padded so that its order is kept, followed by the record. A script compares and sets, so the higher value
//! stays and two nodes that take reports of one client agree, as two nodes of a herd do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use anyhow::{Result, bail};
use herd_logic::FORM;
use herd_sdk::Found;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use crate::resp::{self, Reply};

/// Handle of the redis connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    queue: Rc<Queue>,
    /// Digest by which redis identifies the script.
    script: Rc<[u8]>,
}

#[derive(Default)]
struct Queue {
    out: RefCell<Vec<u8>>,
    waiting: RefCell<VecDeque<oneshot::Sender<Reply>>>,
    more: Notify,
}

impl Store {
    /// Takes over a connection and loads the script. The returned future drives the connection and ends with it.
    ///
    /// # Errors
    ///
    /// Redis refuses the script, or the connection ends.
    pub(crate) async fn over(stream: TcpStream) -> Result<(Self, impl Future<Output = Result<()>>)> {
        stream.set_nodelay(true)?;
        let queue = Rc::new(Queue::default());
        let mut connection = Box::pin(transfer(stream, Rc::clone(&queue)));
        let load =
            queue.ask(3, |out| [&b"SCRIPT"[..], b"LOAD", SCRIPT].iter().for_each(|part| resp::argument(out, part)));
        let loaded = tokio::select! {
            loaded = load => loaded,
            ended = &mut connection => return ended.map(|()| unreachable!("it ends with an error")),
        };
        let Ok(Reply::Bytes(digest)) = loaded else { bail!("redis does not take the script: {loaded:?}") };
        Ok((Self { queue, script: digest.into() }, connection))
    }

    /// Stores each record whose rank wins. Returns whether redis accepted the call.
    pub(crate) async fn keep(&self, records: &[(&[u8], &[u8], &[u8])]) -> bool {
        let reply = self.queue.ask(3 + 2 * records.len(), |out| {
            resp::argument(out, b"EVALSHA");
            resp::argument(out, &self.script);
            resp::argument(out, records.len().to_string().as_bytes());
            records.iter().for_each(|(key, ..)| resp::argument(out, key));
            let mut value = Vec::with_capacity(256);
            for (_, rank, record) in records {
                value.clear();
                write_value(&mut value, rank, record);
                resp::argument(out, &value);
            }
        });
        matches!(reply.await, Ok(Reply::Number(_)))
    }

    /// Looks up the records under these keys.
    pub(crate) async fn find(&self, keys: &[Vec<u8>]) -> Vec<Option<Found>> {
        let reply = self.queue.ask(1 + keys.len(), |out| {
            resp::argument(out, b"MGET");
            keys.iter().for_each(|key| resp::argument(out, key));
        });
        let Ok(Reply::List(values)) = reply.await else { return vec![None; keys.len()] };
        values.iter().map(|value| if let Reply::Bytes(value) = value { found(value) } else { None }).collect()
    }
}

impl Queue {
    /// Queues a command. The receiver fails if the connection ends first.
    fn ask(&self, arguments: usize, write: impl FnOnce(&mut Vec<u8>)) -> oneshot::Receiver<Reply> {
        let (sender, reply) = oneshot::channel();
        let out = &mut *self.out.borrow_mut();
        resp::begin(out, arguments);
        write(out);
        self.waiting.borrow_mut().push_back(sender);
        self.more.notify_one();
        reply
    }
}

/// Writes queued commands and hands replies to the sessions that wait for them.
async fn transfer(stream: TcpStream, queue: Rc<Queue>) -> Result<()> {
    let (mut out, mut written, mut input) = (Vec::new(), 0, Vec::new());
    loop {
        if written == out.len() {
            out.clear();
            written = 0;
            std::mem::swap(&mut out, &mut *queue.out.borrow_mut());
        }
        while written < out.len() {
            match stream.try_write(&out[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let wanted = if written < out.len() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        tokio::select! {
            ready = stream.ready(wanted) => drop(ready?),
            () = queue.more.notified() => continue,
        }
        input.reserve(READ_BYTES);
        match stream.try_read_buf(&mut input) {
            Ok(0) => bail!("it closed the connection"),
            Ok(_) => hand_out(&mut input, &queue)?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn hand_out(input: &mut Vec<u8>, queue: &Queue) -> Result<()> {
    let mut done = 0;
    while let Some((reply, length)) = resp::reply(&input[done..]).map_err(anyhow::Error::msg)? {
        done += length;
        let Some(waiting) = queue.waiting.borrow_mut().pop_front() else { bail!("an answer to nothing") };
        // Fails if the session has ended; then the reply has no use.
        let _ = waiting.send(reply);
    }
    input.drain(..done);
    Ok(())
}

fn write_value(out: &mut Vec<u8>, rank: &[u8], record: &[u8]) {
    let rank = &rank[..rank.len().min(RANK_BYTES)];
    out.extend_from_slice(rank);
    out.resize(RANK_BYTES, 0);
    // The length orders two ranks that differ only in trailing zeros: the shorter one is lower, as without padding.
    out.push(u8::try_from(rank.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(record);
}

fn found(value: &[u8]) -> Option<Found> {
    let (rank, rest) = value.split_at_checked(RANK_BYTES)?;
    let (length, record) = rest.split_first()?;
    Some(Found { rank: rank.get(..usize::from(*length))?.to_vec(), form: FORM, bytes: record.to_vec() })
}

/// Greatest length of a rank, from the contract.
const RANK_BYTES: usize = 64;
const READ_BYTES: usize = 64 << 10;
/// Compare-and-set by bytes: Lua compares strings by the locale, which `tests/bench/peers/balancer/start` sets to C.
const SCRIPT: &[u8] = b"for i, key in ipairs(KEYS) do
  local old = redis.call('GET', key)
  if not old or old < ARGV[i] then redis.call('SET', key, ARGV[i]) end
end
return #KEYS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_as_rank_then_record_and_read_back() {
        let pairs: [(&[u8], &[u8]); 6] =
            [(b"", b"z"), (b"\x00", b"a"), (b"\x00\x00", b""), (b"a", b"b"), (b"a", b"ba"), (b"a\x00", b"a")];
        let value = |(rank, record): &(&[u8], &[u8])| {
            let mut value = vec![];
            write_value(&mut value, rank, record);
            value
        };
        let values: Vec<Vec<u8>> = pairs.iter().map(value).collect();
        assert!(values.is_sorted());
        for ((rank, record), value) in pairs.iter().zip(&values) {
            assert_eq!(found(value), Some(Found { rank: rank.to_vec(), form: FORM, bytes: record.to_vec() }));
        }
    }
}
