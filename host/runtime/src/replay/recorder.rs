//! The last decisions of a node, kept so that a candidate can be rehearsed on them.
//!
//! Each worker writes into a lane of its own, so that recording costs a copy of the input and no wait.
//!
//! Bounds: a lane holds the last [`DECISIONS_MIN`] decisions and as many more as came with them in one call, but never
//! more than [`LANE_BYTES_MAX`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use herd_sdk::Moment;

use crate::sandbox::call::{Call, Read, RecordedCall};
use herd_sys::workers as worker;

/// The last decisions of a node.
pub(crate) struct Recorder {
    lanes: Box<[Mutex<Lane>]>,
}

#[derive(Default)]
struct Lane {
    calls: VecDeque<Arc<RecordedCall>>,
    decisions: usize,
    bytes: usize,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { lanes: (0..worker::slots()).map(|_| Mutex::default()).collect() }
    }

    /// Keeps a call that was decided, and hands it out to whoever wants to look at it too.
    pub(crate) fn record(&self, at: Moment, call: &Call<'_>, reads: Vec<Read>) -> Arc<RecordedCall> {
        let mut lane = self.lanes[worker::index()].lock().unwrap_or_else(PoisonError::into_inner);
        lane.decisions += call.decisions();
        lane.bytes += size(call, &reads);
        let mut gone = None;
        while lane.is_over() {
            gone = lane.forget_oldest();
        }
        // What a shadow has not got to yet keeps its room.
        let room = gone.and_then(Arc::into_inner).map(|gone: RecordedCall| gone.call);
        let recorded = Arc::new(RecordedCall { at, call: call.copy_into(room), reads });
        lane.calls.push_back(Arc::clone(&recorded));
        recorded
    }

    /// The last calls of the node, whichever workers made them: [`DECISIONS_MIN`] decisions and as many more as came with
    /// them in one call. Oldest first.
    pub(crate) fn calls(&self) -> Vec<Arc<RecordedCall>> {
        let lanes = self.lanes.iter().map(|lane| lane.lock().unwrap_or_else(PoisonError::into_inner));
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
    /// Whether the oldest call is one too many.
    fn is_over(&self) -> bool {
        let Some(oldest) = self.calls.front() else { return false };
        self.decisions - oldest.call.as_call().decisions() >= DECISIONS_MIN || self.bytes > LANE_BYTES_MAX
    }

    fn forget_oldest(&mut self) -> Option<Arc<RecordedCall>> {
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

/// As many decisions as one worker must keep at least, so that a node has a thousand even if one worker made them all.
const DECISIONS_MIN: usize = 1024;
/// What a thousand windows of the usual length take.
const LANE_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use herd_sdk::{Input, InputBatch, Mark};

    use super::*;

    fn batch(bytes: &[u8], inputs: usize) -> InputBatch {
        (0..inputs).map(|_| Input { bytes, mark: Mark::More }).collect()
    }

    #[test]
    fn the_last_thousand_decisions_are_kept_and_not_many_more() {
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
    fn of_several_workers_the_newest_calls_are_given() {
        let recorder = Recorder::new();
        for lane in 0..2_u64 {
            for number in 0..1000 {
                let at = Moment { now_ns: 2 * number + lane, random: (0, 0) };
                let recorded = RecordedCall { at, call: Call::Inputs(&batch(b"line\n", 1)).copy(), reads: vec![] };
                let lanes = recorder.lanes.len();
                let mut lane = recorder.lanes[lane as usize % lanes].lock().unwrap();
                lane.calls.push_back(Arc::new(recorded));
            }
        }
        let times: Vec<u64> = recorder.calls().iter().map(|call| call.at.now_ns).collect();
        assert_eq!(times, (2000 - DECISIONS_MIN as u64..2000).collect::<Vec<_>>());
    }

    #[test]
    fn long_inputs_are_bounded_by_their_bytes() {
        let recorder = Recorder::new();
        let long = vec![b'x'; 64 << 10];
        for _ in 0..200 {
            recorder.record(Moment::default(), &Call::Inputs(&batch(&long, 1)), vec![]);
        }
        let bytes: usize = recorder.calls().iter().map(|call| call.call.as_call().bytes()).sum();
        assert!(bytes <= LANE_BYTES_MAX && bytes > LANE_BYTES_MAX / 2, "{bytes}");
    }
}
