//! One call of a guest: what it may look at, and the decision it builds.

use crate::decision::Decision;
use crate::effect::{Effect, FanOut, Fetch, Keep, Level, Method, Note, Publish, Reply, Span, Tie};
use crate::effects::Effects;
use crate::event::{Found, Moment, Progress};
use crate::records::Records;

/// Which keep of a decision, to tie something to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepIndex(u32);

/// One call. Everything that a guest decides goes through it, in the order in which it is to be performed.
pub struct Context<'a> {
    at: Moment,
    records: &'a dyn Records,
    decision: Decision,
    /// How many keeps there are so far.
    keeps: u32,
}

/// How far a decision had come at some time. See [`Context::keeps_since`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    words: usize,
    keeps: u32,
}

impl<'a> Context<'a> {
    /// Begins a call.
    pub fn new(at: Moment, records: &'a dyn Records) -> Self {
        Self { at, records, decision: Decision::default(), keeps: 0 }
    }

    /// Begins a call with memory for its decision.
    #[inline]
    pub(crate) fn with_capacity(at: Moment, records: &'a dyn Records, output_bytes: usize, words: usize) -> Self {
        let decision = Decision { output: Vec::with_capacity(output_bytes), effects: Effects::with_capacity(words) };
        Self { at, records, decision, keeps: 0 }
    }

    /// The time of this call, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.at.now_ns
    }

    /// 128 bits, fresh for each input, batch of reports or answer.
    #[must_use]
    pub fn random(&self) -> (u64, u64) {
        self.at.random
    }

    /// The record under a key, what this call has decided to keep included.
    #[must_use]
    pub fn record(&self, key: &[u8]) -> Option<Found> {
        let kept = self.records.find(&[key]).into_iter().next().flatten();
        self.decided(key).into_iter().chain(kept).max_by(|a, b| (&a.rank, &a.bytes).cmp(&(&b.rank, &b.bytes)))
    }

    /// Sends bytes to the session.
    pub fn reply(&mut self, bytes: &[u8]) {
        self.reply_with(|out| out.extend_from_slice(bytes));
    }

    /// Sends to the session what `write` puts behind the bytes it is given.
    pub fn reply_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let bytes = self.decision.write(write);
        self.decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
    }

    /// Sends `bytes` to the session if the keep is accepted, `otherwise` if not.
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

    /// Keeps a record if it wins, and then tells every peer.
    pub fn keep(&mut self, key: &[u8], rank: &[u8], form: u32, bytes: impl FnOnce(&mut Vec<u8>)) -> KeepIndex {
        let key = self.decision.copy(key);
        let rank = self.decision.copy(rank);
        let bytes = self.decision.write(bytes);
        self.push_keep(Keep { key, rank, form, bytes, fan_out: FanOut::Everyone })
    }

    /// Keeps a record if it wins, and then tells these peers at once, the others by repair.
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

    /// Keeps a record if it wins, and sends the session the same bytes with `end` behind them if it is accepted,
    /// `otherwise` if not. What `bytes` writes is written once and pointed at twice.
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

    /// Asks an upstream with a get. `token` comes back with the answer; `otherwise` is the reply when
    /// nobody can decide it.
    pub fn fetch(&mut self, upstream: &str, path: &str, token: &[u8], otherwise: &[u8]) {
        self.request(upstream, Method::Get, path, b"", token, otherwise);
    }

    /// Asks an upstream with a post.
    pub fn fetch_post(&mut self, upstream: &str, path: &str, body: &[u8], token: &[u8], otherwise: &[u8]) {
        self.request(upstream, Method::Post, path, body, token, otherwise);
    }

    /// The session joins a topic.
    pub fn subscribe(&mut self, topic: &[u8]) {
        let topic = self.decision.copy(topic);
        self.decision.effects.push(Effect::Subscribe(topic));
    }

    /// The session leaves a topic.
    pub fn unsubscribe(&mut self, topic: &[u8]) {
        let topic = self.decision.copy(topic);
        self.decision.effects.push(Effect::Unsubscribe(topic));
    }

    /// Sends bytes to every session on a topic.
    pub fn publish(&mut self, topic: &[u8], bytes: &[u8]) {
        self.publish_tied(topic, bytes, None);
    }

    /// Sends bytes to every session on a topic if the keep is applied, that is, if it wins.
    pub fn publish_if_kept(&mut self, keep: KeepIndex, topic: &[u8], bytes: &[u8]) {
        self.publish_tied(topic, bytes, Some(keep.0));
    }

    /// Sends bytes to every session on a topic if the report of this index is applied.
    ///
    /// # Panics
    ///
    /// Never for an index into the batch of this call: a batch holds far less than 4 G reports.
    pub fn publish_if_report_kept(&mut self, report: usize, topic: &[u8], bytes: &[u8]) {
        self.publish_tied(topic, bytes, Some(u32::try_from(report).expect("index into the batch")));
    }

    /// Ends the session once its replies are out.
    pub fn close(&mut self) {
        self.decision.effects.push(Effect::Close);
    }

    /// Writes a line into the node's log.
    pub fn note(&mut self, level: Level, text: &str) {
        let text = self.decision.copy(text.as_bytes());
        self.decision.effects.push(Effect::Note(Note { level, text }));
    }

    /// Sets the report of this index aside.
    ///
    /// # Panics
    ///
    /// Never for an index into the batch of this call: a batch holds far less than 4 G reports.
    pub fn refuse(&mut self, report: usize) {
        self.decision.effects.push(Effect::Refuse(u32::try_from(report).expect("index into the batch")));
    }

    /// How far the decision has come.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { words: self.decision.effects.words().len(), keeps: self.keeps }
    }

    /// What was decided to be kept since then, with key and record. For logic that is built on top of other logic.
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

    /// Ends the call.
    pub fn finish(self) -> Decision {
        self.decision
    }

    /// One input is decided; what follows belongs to the next.
    #[inline]
    pub(crate) fn end_input(&mut self, progress: Progress) {
        self.decision.effects.push(Effect::Done(progress));
        // Two sessions whose commands share a call must not get the same secret. The constant is that of SplitMix64: an odd
        // number whose multiples visit every value before one comes again.
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

    /// The highest record that this call has decided to keep under a key.
    fn decided(&self, key: &[u8]) -> Option<Found> {
        let keeps = self.decision.effects.iter().filter_map(|effect| match effect {
            Effect::Keep(keep) if self.decision.bytes(keep.key) == key => Some(keep),
            _ => None,
        });
        let ranked = keeps.map(|keep| (self.decision.bytes(keep.rank), self.decision.bytes(keep.bytes), keep.form));
        let (rank, bytes, form) = ranked.max()?;
        Some(Found { rank: rank.to_vec(), form, bytes: bytes.to_vec() })
    }
}
