//! Turn of one input: its commands in order, and the geo set that they are changing.
//!
//! Owns reads and writes of records, and their limits in one call. It must not know how requests are encoded.
//!
//! Consecutive `GEOADD`s to one set become one record: each would write the whole set, and a pipeline of a hundred would write
//! megabytes. Their replies follow the keep and are tied to it.

use std::ops::ControlFlow;

use herd_sdk::{Context, KeepIndex};

use crate::command;
use crate::geohash::Geohash;
use crate::places::{self, Placed, Placing};
use crate::rank::Ranker;
use crate::reply;
use crate::request::Argument;
use crate::value::{FORM, PLACES, Value};

/// Commands of one input.
pub(crate) struct Turn<'t, 'c> {
    pub(crate) context: &'t mut Context<'c>,
    pub(crate) node: &'t str,
    ranker: &'t Ranker,
    order: Order,
    /// Memory for a rank, so that a write allocates none.
    rank: Vec<u8>,
    open: Option<OpenSet>,
}

/// Geo set that commands of this input change.
struct OpenSet {
    key: Vec<u8>,
    seen: Option<Vec<u8>>,
    /// The record, which begins with its type.
    record: Vec<u8>,
    /// True if the set has to be kept.
    is_changed: bool,
    /// Numbers that are the replies of the commands.
    replies: Vec<u64>,
}

/// Order of the writes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By the clock of the node. A `SET` looks nothing up.
    Clock,
    /// By the clock, and above the record that the node has. Each `SET` costs a look-up.
    Seen,
}

/// Current value of a key, with its record.
pub(crate) struct Stored {
    rank: Vec<u8>,
    record: Vec<u8>,
}

impl Stored {
    /// Returns the value. A mark of deletion is none.
    pub(crate) fn value(&self) -> Option<Value<'_>> {
        Value::parse(&self.record).filter(|&value| value != Value::Deleted)
    }
}

/// Error of a command. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The key holds another type of value.
    WrongType,
    /// The call has read or written as much as it may.
    TryAgain,
    /// An empty key, which no record can have.
    EmptyKey,
    /// The geo set would exceed its limit.
    SetFull,
}

impl Refusal {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::TryAgain => "TRYAGAIN Too much to read or write at once; send fewer commands in one pipeline",
            Self::EmptyKey => "ERR empty keys are not supported",
            Self::SetFull => "ERR the geo set would exceed 64 KiB, the limit of one record; use several sets",
        }
    }
}

impl<'t, 'c> Turn<'t, 'c> {
    pub(crate) fn new(ranker: &'t Ranker, order: Order, node: &'t str, context: &'t mut Context<'c>) -> Self {
        Self { context, node, ranker, order, rank: vec![], open: None }
    }

    /// Performs a command. Breaks if it ends the session.
    #[inline]
    pub(crate) fn perform(&mut self, arguments: &[Argument<'_>]) -> ControlFlow<()> {
        command::perform(self, arguments)
    }

    /// Ends the turn.
    pub(crate) fn finish(&mut self) {
        self.close_set();
    }

    /// Replies with an error and ends the session.
    pub(crate) fn refuse(&mut self, why: &str) {
        self.close_set();
        reply::error(self.context, why);
        self.context.close();
    }

    /// Returns the record that a write without a look-up of its own must rank above, if writes do that.
    pub(crate) fn read_for_order(&mut self, key: &[u8]) -> Result<Option<Stored>, Refusal> {
        match self.order {
            Order::Clock => {
                self.close_set();
                Ok(None)
            }
            Order::Seen => self.read(key),
        }
    }

    /// Returns the value of a key.
    pub(crate) fn read(&mut self, key: &[u8]) -> Result<Option<Stored>, Refusal> {
        self.close_set();
        self.find(key)
    }

    fn find(&mut self, key: &[u8]) -> Result<Option<Stored>, Refusal> {
        if key.is_empty() {
            return Ok(None);
        }
        if self.context.read_bytes() > READ_BYTES_MAX || self.context.output_bytes() > OUTPUT_BYTES_MAX {
            return Err(Refusal::TryAgain);
        }
        Ok(self.context.record(key).map(|found| Stored { rank: found.rank, record: found.bytes }))
    }

    /// Keeps a value in place of the one that was read.
    pub(crate) fn keep(&mut self, key: &[u8], seen: Option<&Stored>, value: Value<'_>) -> Result<KeepIndex, Refusal> {
        if key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        self.rank_above(seen.map(|seen| &*seen.rank));
        Ok(self.context.keep(key, &self.rank, FORM, |out| value.write(out)))
    }

    fn rank_above(&mut self, seen: Option<&[u8]>) {
        self.ranker.rank(self.context.now_ns(), self.context.keeps(), seen, &mut self.rank);
    }

    /// Places members in a geo set: all of them, or none with an error. The reply is the number of new ones, or with `counts_moved` of
    /// changed ones.
    pub(crate) fn place<'m>(
        &mut self,
        key: &[u8],
        members: impl Iterator<Item = (&'m [u8], Geohash)>,
        placing: Placing,
        counts_moved: bool,
    ) -> Result<(), Refusal> {
        if key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        if self.open.as_ref().is_none_or(|open| open.key != key) {
            self.close_set();
            self.open = Some(self.open_set(key)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        // The error of a later member takes back the earlier ones.
        let before = (members.size_hint().0 > 1).then(|| open.record.clone());
        let (mut count, mut is_changed) = (0, false);
        for (member, geohash) in members {
            match places::place(&mut open.record, 1, member, geohash, placing) {
                Some(placed) => {
                    is_changed |= placed != Placed::Unchanged;
                    count += u64::from(placed == Placed::Added || (counts_moved && placed == Placed::Moved));
                }
                None => {
                    if let Some(before) = before {
                        open.record = before;
                    }
                    return Err(Refusal::SetFull);
                }
            }
        }
        open.is_changed |= is_changed;
        open.replies.push(count);
        Ok(())
    }

    fn open_set(&mut self, key: &[u8]) -> Result<OpenSet, Refusal> {
        let stored = self.find(key)?;
        let is_set = match stored.as_ref().and_then(Stored::value) {
            None => false,
            Some(Value::Places(_)) => true,
            Some(_) => return Err(Refusal::WrongType),
        };
        let (seen, record) = stored.map_or((None, vec![]), |stored| (Some(stored.rank), stored.record));
        let record = if is_set { record } else { vec![PLACES] };
        Ok(OpenSet { key: key.to_vec(), seen, record, is_changed: false, replies: vec![] })
    }

    /// Keeps the geo set that is open and sends the replies that wait for it.
    pub(crate) fn close_set(&mut self) {
        let Some(open) = self.open.take() else { return };
        let keep = open.is_changed.then(|| {
            self.rank_above(open.seen.as_deref());
            self.context.keep(&open.key, &self.rank, FORM, |out| out.extend_from_slice(&open.record))
        });
        for number in open.replies {
            self.reply_to_write(keep, |out| reply::write_integer(out, number));
        }
    }

    /// Replies to a write. The reply is sent once the keep was accepted.
    pub(crate) fn reply_to_write(&mut self, keep: Option<KeepIndex>, write: impl FnOnce(&mut Vec<u8>)) {
        match keep {
            Some(keep) => self.context.reply_if_kept(keep, write, |out| out.extend_from_slice(reply::NOT_KEPT)),
            None => self.context.reply_with(write),
        }
    }
}

/// Output of a call above which commands that read or write records are refused. A decision may have 8 MiB, but its buffer doubles as
/// it grows, and old and new one must fit into an instance of 16 MiB.
const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// Bytes of records read in one call. Copying them takes about 3 ms of the 10 that a call has.
const READ_BYTES_MAX: usize = 8 << 20;
