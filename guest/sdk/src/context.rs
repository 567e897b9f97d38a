//! Context of one call: what a guest may read, and the decision it builds.
//!
//! Owns the decision until [`Context::finish`]. It must not perform an effect or read a clock: time, randomness and
//! records are given. The [limits](crate::limits) are checked by the host after the call, so the methods here never fail.

use std::cell::{Cell, RefCell};

use crate::decided_keeps::DecidedKeeps;
use crate::decision::Decision;
use crate::effect::{Effect, FanOut, Fetch, Keep, Level, Method, Note, Publish, Reply, Span, Tie};
use crate::effects::Effects;
use crate::event::{Found, Moment, Progress};
use crate::records::Records;

/// Number of a keep within a decision, to tie replies and publishes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepIndex(u32);

/// Context of one call. Its methods add effects to the decision; the host performs them in the same order after the call
/// returned.
///
/// ```
/// use herd_sdk::native::MemoryRecords;
/// use herd_sdk::{Context, Effect, Moment};
///
/// let records = MemoryRecords::default();
/// let mut context = Context::new(Moment { now_ns: 5, random: (0, 0) }, &records);
/// let keep = context.keep(b"kiwi", b"rank", 1, |out| out.extend(b"here"));
/// context.reply_if_kept(keep, |out| out.extend(b"OK\n"), |out| out.extend(b"FULL\n"));
/// context.publish_if_kept(keep, b"topic", b"kiwi moved\n");
///
/// // The keep is visible to the rest of the call, though the host has not performed it yet.
/// assert_eq!(context.record(b"kiwi").unwrap().bytes, b"here");
///
/// let decision = context.finish();
/// records.apply(&decision);
/// assert!(matches!(decision.effects.iter().next(), Some(Effect::Keep(_))));
/// ```
pub struct Context<'a> {
    at: Moment,
    records: &'a dyn Records,
    pub(crate) decision: Decision,
    /// Number of keeps of the call so far.
    pub(crate) keeps: u32,
    /// Bytes of output of the call that are not in the decision: those of a context around this one.
    output_before: usize,
    /// Index of the keeps, brought up to date by look-ups: logic that looks nothing up pays nothing for it.
    decided: RefCell<DecidedKeeps>,
    read_bytes: Cell<usize>,
}

/// Position in a decision under construction. See [`Context::keeps_since`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    words: usize,
    keeps: u32,
}

impl<'a> Context<'a> {
    /// Begins a call.
    pub fn new(at: Moment, records: &'a dyn Records) -> Self {
        Self::with_decision(at, records, Decision::default())
    }

    /// Begins a call and reserves memory for its decision.
    #[inline]
    pub(crate) fn with_capacity(at: Moment, records: &'a dyn Records, output_bytes: usize, words: usize) -> Self {
        let decision = Decision { output: Vec::with_capacity(output_bytes), effects: Effects::with_capacity(words) };
        Self::with_decision(at, records, decision)
    }

    fn with_decision(at: Moment, records: &'a dyn Records, decision: Decision) -> Self {
        let (decided, read_bytes) = (RefCell::default(), Cell::new(0));
        Self { at, records, decision, keeps: 0, output_before: 0, decided, read_bytes }
    }

    /// Begins a part of the call of `outer`, with a decision of its own. Keeps are numbered from those of `outer` on, and bytes counted,
    /// so that ranks and limits hold for the whole call.
    pub(crate) fn within(outer: &Context<'_>, records: &'a dyn Records) -> Self {
        Self {
            keeps: outer.keeps,
            output_before: outer.output_bytes(),
            read_bytes: Cell::new(outer.read_bytes()),
            ..Self::new(outer.at, records)
        }
    }

    /// Returns the time of this call, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.at.now_ns
    }

    /// Returns 128 random bits, fresh for each input, batch of reports or answer.
    #[must_use]
    pub fn random(&self) -> (u64, u64) {
        self.at.random
    }

    /// Returns the record under a key. Keeps of this call count as if they were applied already.
    ///
    /// Each call costs an import, about as much as parsing a line.
    #[must_use]
    pub fn record(&self, key: &[u8]) -> Option<Found> {
        // The host applies keeps after the call, so its records do not contain those of this call yet. The higher rank wins, as
        // it will when they are applied.
        let kept = self.records.find(&[key]).into_iter().next().flatten();
        self.read_bytes.set(self.read_bytes.get() + kept.as_ref().map_or(0, |found| found.bytes.len()));
        self.decided
            .borrow_mut()
            .find(&self.decision, key)
            .into_iter()
            .chain(kept)
            .max_by(|a, b| (&a.rank, &a.bytes).cmp(&(&b.rank, &b.bytes)))
    }

    /// Returns the number of keeps of this call so far, over all its inputs. In a rank, behind the time of the call, it orders the
    /// writes of one call.
    #[must_use]
    pub fn keeps(&self) -> u32 {
        self.keeps
    }

    /// Returns the number of bytes of output that this call has written so far, over all its inputs.
    ///
    /// One input may ask for more than a decision can hold: a window of 4 KiB has room for 600 questions after records of 64 KiB.
    /// Logic whose replies can be long compares this with [`OUTPUT_BYTES_MAX`](crate::limits::OUTPUT_BYTES_MAX) and refuses further
    /// commands well before it: the buffer doubles as it grows, within the memory of an instance.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.output_before + self.decision.output.len()
    }

    /// Returns the number of bytes of records that this call has looked up so far, over all its inputs. Each was copied into the guest.
    #[must_use]
    pub fn read_bytes(&self) -> usize {
        self.read_bytes.get()
    }

    /// Replies to the session.
    pub fn reply(&mut self, bytes: &[u8]) {
        self.reply_with(|out| out.extend_from_slice(bytes));
    }

    /// Replies to the session with the bytes that `write` appends. Saves the copy that [`reply`](Self::reply) makes.
    pub fn reply_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let bytes = self.decision.write(write);
        self.decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
    }

    /// Replies with `bytes` if the keep is accepted and acknowledged in time, with `otherwise` if not.
    pub fn reply_if_kept(
        &mut self,
        keep: KeepIndex,
        bytes: impl FnOnce(&mut Vec<u8>),
        otherwise: impl FnOnce(&mut Vec<u8>),
    ) {
        let bytes = self.decision.write(bytes);
        let otherwise = self.decision.write(otherwise);
        self.decision.effects.push(Effect::Reply(Reply { bytes, tie: Some(Tie { keep: keep.0, otherwise }) }));
    }

    /// Keeps a record if it wins, and then floods it to every peer.
    pub fn keep(&mut self, key: &[u8], rank: &[u8], form: u32, bytes: impl FnOnce(&mut Vec<u8>)) -> KeepIndex {
        let key = self.decision.copy(key);
        let rank = self.decision.copy(rank);
        let bytes = self.decision.write(bytes);
        self.push_keep(Keep { key, rank, form, bytes, fan_out: FanOut::Everyone })
    }

    /// Keeps a record if it wins, and then sends it to these peers at once and to the others by repair.
    pub fn keep_telling_first(
        &mut self,
        key: &[u8],
        rank: &[u8],
        form: u32,
        bytes: impl FnOnce(&mut Vec<u8>),
        peers: &[&str],
    ) -> KeepIndex {
        let key = self.decision.copy(key);
        let rank = self.decision.copy(rank);
        let bytes = self.decision.write(bytes);
        let peers = self.decision.write(|out| {
            for peer in peers {
                out.extend_from_slice(peer.as_bytes());
                out.push(b'\n');
            }
        });
        self.push_keep(Keep { key, rank, form, bytes, fan_out: FanOut::TheseFirst(peers) })
    }

    /// Keeps a record if it wins. Replies with the same bytes followed by `end` if the keep is accepted, with `otherwise` if
    /// not.
    ///
    /// The bytes are written once: the spans of record and reply overlap.
    pub fn keep_and_reply(
        &mut self,
        key: &[u8],
        rank: &[u8],
        form: u32,
        bytes: impl FnOnce(&mut Vec<u8>),
        end: &[u8],
        otherwise: impl FnOnce(&mut Vec<u8>),
    ) -> KeepIndex {
        let key = self.decision.copy(key);
        let rank = self.decision.copy(rank);
        let record = self.decision.write(bytes);
        let index = self.push_keep(Keep { key, rank, form, bytes: record, fan_out: FanOut::Everyone });
        let end = self.decision.copy(end);
        let bytes = Span { start: record.start, length: record.length + end.length };
        let otherwise = self.decision.write(otherwise);
        self.decision.effects.push(Effect::Reply(Reply { bytes, tie: Some(Tie { keep: index.0, otherwise }) }));
        index
    }

    /// Requests `path` from an upstream with GET. `token` comes back with the answer in [`Logic::answer`]. The host replies
    /// `otherwise` if no generation can decide the answer, or if the time for the reply runs out.
    ///
    /// [`Logic::answer`]: crate::Logic::answer
    pub fn fetch(&mut self, upstream: &str, path: &str, token: &[u8], otherwise: &[u8]) {
        self.request(upstream, Method::Get, path, b"", token, otherwise);
    }

    /// Requests `path` from an upstream with POST. See [`fetch`](Self::fetch).
    pub fn fetch_post(&mut self, upstream: &str, path: &str, body: &[u8], token: &[u8], otherwise: &[u8]) {
        self.request(upstream, Method::Post, path, body, token, otherwise);
    }

    /// Subscribes the session to a topic.
    pub fn subscribe(&mut self, topic: &[u8]) {
        let topic = self.decision.copy(topic);
        self.decision.effects.push(Effect::Subscribe(topic));
    }

    /// Unsubscribes the session from a topic.
    pub fn unsubscribe(&mut self, topic: &[u8]) {
        let topic = self.decision.copy(topic);
        self.decision.effects.push(Effect::Unsubscribe(topic));
    }

    /// Publishes bytes to every session of this node that subscribed to a topic.
    pub fn publish(&mut self, topic: &[u8], bytes: &[u8]) {
        self.publish_tied(topic, bytes, None);
    }

    /// Publishes bytes to a topic if the keep is applied, that is, if it wins.
    pub fn publish_if_kept(&mut self, keep: KeepIndex, topic: &[u8], bytes: &[u8]) {
        self.publish_tied(topic, bytes, Some(keep.0));
    }

    /// Publishes bytes to a topic if the report of this index is applied.
    ///
    /// # Panics
    ///
    /// If `report` exceeds `u32::MAX`, which no index into the batch of this call does.
    pub fn publish_if_report_kept(&mut self, report: usize, topic: &[u8], bytes: &[u8]) {
        self.publish_tied(topic, bytes, Some(u32::try_from(report).expect("index into the batch")));
    }

    /// Ends the session once its replies are out.
    pub fn close(&mut self) {
        self.decision.effects.push(Effect::Close);
    }

    /// Writes a line to the node's log.
    pub fn note(&mut self, level: Level, text: &str) {
        let text = self.decision.copy(text.as_bytes());
        self.decision.effects.push(Effect::Note(Note { level, text }));
    }

    /// Refuses the report of this index. The node keeps it by rank, so that all nodes agree, but quarantines it: guests do not
    /// see it until a later generation accepts it.
    ///
    /// # Panics
    ///
    /// If `report` exceeds `u32::MAX`, which no index into the batch of this call does.
    pub fn refuse(&mut self, report: usize) {
        self.decision.effects.push(Effect::Refuse(u32::try_from(report).expect("index into the batch")));
    }

    /// Returns the current position in the decision.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { words: self.decision.effects.words().len(), keeps: self.keeps }
    }

    /// Returns key and record of each keep since a checkpoint. For logic that wraps other logic.
    ///
    /// ```
    /// # use herd_sdk::{Context, Moment, native::MemoryRecords};
    /// # let records = MemoryRecords::default();
    /// # let mut context = Context::new(Moment::default(), &records);
    /// let before = context.checkpoint();
    /// context.keep(b"kiwi", b"rank", 1, |out| out.extend(b"here")); // in practice, by the wrapped logic
    /// for (keep, key, record) in context.keeps_since(before) {
    ///     context.publish_if_kept(keep, &key, &record);
    /// }
    /// ```
    #[must_use]
    pub fn keeps_since(&self, then: Checkpoint) -> Vec<(KeepIndex, Vec<u8>, Vec<u8>)> {
        let keeps = self.decision.effects.iter_from(then.words).filter_map(|effect| match effect {
            Effect::Keep(keep) => Some(keep),
            _ => None,
        });
        let copied = |(keep, index): (Keep, u32)| {
            (KeepIndex(index), self.decision.bytes(keep.key).to_vec(), self.decision.bytes(keep.bytes).to_vec())
        };
        keeps.zip(then.keeps..).map(copied).collect()
    }

    /// Ends the call and returns its decision.
    pub fn finish(self) -> Decision {
        self.decision
    }

    /// Ends the effects of one input. Further effects belong to the next input.
    #[inline]
    pub(crate) fn end_input(&mut self, progress: Progress) {
        self.decision.effects.push(Effect::Done(progress));
        // Two sessions that share a call must not receive the same secret. The increment is that of SplitMix64: it is odd, so
        // the sums visit all 2^64 values before one repeats.
        self.at.random.0 = self.at.random.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }

    fn push_keep(&mut self, keep: Keep) -> KeepIndex {
        let index = KeepIndex(self.keeps);
        self.keeps += 1;
        self.decision.effects.push(Effect::Keep(keep));
        index
    }

    fn request(&mut self, upstream: &str, method: Method, path: &str, body: &[u8], token: &[u8], otherwise: &[u8]) {
        let fetch = Fetch {
            upstream: self.decision.copy(upstream.as_bytes()),
            method,
            path: self.decision.copy(path.as_bytes()),
            body: self.decision.copy(body),
            token: self.decision.copy(token),
            otherwise: self.decision.copy(otherwise),
        };
        self.decision.effects.push(Effect::Fetch(fetch));
    }

    fn publish_tied(&mut self, topic: &[u8], bytes: &[u8], tie: Option<u32>) {
        let topic: Span = self.decision.copy(topic);
        let bytes = self.decision.copy(bytes);
        self.decision.effects.push(Effect::Publish(Publish { topic, bytes, tie }));
    }
}
