//! Recorder of the last decisions of a node, on which a candidate is rehearsed.
//!
//! Each worker writes to a lane of its own, so that recording costs a copy of the input and no wait.
//!
//! Knows nothing of rehearsals. Bounds: a lane holds the last [`DECISIONS_MIN`] decisions and the rest of their first call, but
//! never more than [`LANE_BYTES_MAX`].

use std::collections::VecDeque;
use std::sync::Arc;

use herd_recording::{Call, Read, RecordedCall};
use herd_sdk::Moment;
use herd_sys::workers;
use parking_lot::Mutex;

/// Recorder of a node.
pub(crate) struct Recorder {
    lanes: Box<[Mutex<Lane>]>,
}

/// Calls of one worker, oldest first.
#[derive(Default)]
struct Lane {
    calls: VecDeque<Arc<RecordedCall>>,
    decisions: usize,
    bytes: usize,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { lanes: (0..workers::slots()).map(|_| Mutex::default()).collect() }
    }

    /// Records a decided call, and returns the recording for other users.
    pub(crate) fn record(&self, at: Moment, call: &Call<'_>, reads: Vec<Read>) -> Arc<RecordedCall> {
        let mut lane = self.lanes[workers::index()].lock();
        lane.decisions += call.decisions();
        lane.bytes += size(call, &reads);
        let mut evicted = None;
        while lane.is_over_limit() {
            evicted = lane.evict_oldest();
        }
        // Its buffers are used again, unless a shadow still holds the recording.
        let room = evicted.and_then(Arc::into_inner).map(|evicted: RecordedCall| evicted.call);
        let recorded = Arc::new(RecordedCall { at, call: call.copy_into(room), reads });
        lane.calls.push_back(Arc::clone(&recorded));
        recorded
    }

    /// Returns the last calls of the node over all workers, oldest first: [`DECISIONS_MIN`] decisions and the rest of their
    /// first call.
    pub(crate) fn calls(&self) -> Vec<Arc<RecordedCall>> {
        let lanes = self.lanes.iter().map(|lane| lane.lock());
        let mut calls: Vec<Arc<RecordedCall>> =
            lanes.flat_map(|lane| lane.calls.iter().cloned().collect::<Vec<_>>()).collect();
        calls.sort_by_key(|call| call.at.now_ns);
        let mut decisions = 0;
        let newest = calls.iter().rev().take_while(|call| {
            let wanted = decisions < DECISIONS_MIN;
            decisions += call.call.as_call().decisions();
            wanted
        });
        let older = calls.len() - newest.count();
        calls.split_off(older)
    }
}

impl Lane {
    /// Returns whether the oldest call has to go.
    fn is_over_limit(&self) -> bool {
        let Some(oldest) = self.calls.front() else { return false };
        self.decisions - oldest.call.as_call().decisions() >= DECISIONS_MIN || self.bytes > LANE_BYTES_MAX
    }

    fn evict_oldest(&mut self) -> Option<Arc<RecordedCall>> {
        let oldest = self.calls.pop_front()?;
        let call = oldest.call.as_call();
        self.decisions -= call.decisions();
        self.bytes -= size(&call, &oldest.reads);
        Some(oldest)
    }
}

fn size(call: &Call<'_>, reads: &[Read]) -> usize {
    call.bytes() + reads.iter().map(Read::bytes).sum::<usize>()
}

/// Decisions of each lane, so that a node has a thousand even if one worker made them all.
const DECISIONS_MIN: usize = 1024;
/// Room for a thousand inputs of the usual length.
const LANE_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use herd_sdk::{Input, InputBatch, Mark};

    use super::*;

    fn batch(bytes: &[u8], inputs: usize) -> InputBatch {
        (0..inputs).map(|_| Input { bytes, mark: Mark::More }).collect()
    }

    #[test]
    fn recorder_keeps_the_last_thousand_decisions() {
        let recorder = Recorder::new();
        for number in 0..1000_u64 {
            let at = Moment { now_ns: number, random: (0, 0) };
            recorder.record(at, &Call::Inputs(&batch(b"line\n", 10)), vec![]);
        }
        let calls = recorder.calls();
        let decisions: usize = calls.iter().map(|call| call.call.as_call().decisions()).sum();
        assert!((DECISIONS_MIN..DECISIONS_MIN + 10).contains(&decisions), "{decisions}");
        assert_eq!(calls.last().unwrap().at.now_ns, 999, "the newest is there");
    }

    #[test]
    fn recorder_returns_the_newest_calls_of_all_workers() {
        let recorder = Recorder::new();
        for lane in 0..2_u64 {
            for number in 0..1000 {
                let at = Moment { now_ns: 2 * number + lane, random: (0, 0) };
                let recorded = RecordedCall { at, call: Call::Inputs(&batch(b"line\n", 1)).copy(), reads: vec![] };
                let lanes = recorder.lanes.len();
                let mut lane = recorder.lanes[lane as usize % lanes].lock();
                lane.calls.push_back(Arc::new(recorded));
            }
        }
        let times: Vec<u64> = recorder.calls().iter().map(|call| call.at.now_ns).collect();
        assert_eq!(times, (2000 - DECISIONS_MIN as u64..2000).collect::<Vec<_>>());
    }

    #[test]
    fn recorder_is_bounded_by_bytes() {
        let recorder = Recorder::new();
        let long = vec![b'x'; 64 << 10];
        for _ in 0..200 {
            recorder.record(Moment::default(), &Call::Inputs(&batch(&long, 1)), vec![]);
        }
        let bytes: usize = recorder.calls().iter().map(|call| call.call.as_call().bytes()).sum();
        assert!(bytes <= LANE_BYTES_MAX && bytes > LANE_BYTES_MAX / 2, "{bytes}");
    }
}
