use herd_sdk::{Decision, Input, InputBatch, Mark, Moment};

use super::*;
use crate::call::Call;
use crate::log_reader::{LogBlock, LogReader};

fn context() -> LogContext {
    LogContext {
        node: "Riley".into(),
        herd: "0.1.0".into(),
        contract: "herd:logic@0.1.0".into(),
        started_ns: 5,
        share_percent: 100,
        redacted: false,
        settings: vec![],
        memory: None,
    }
}

fn guest(component: usize) -> Arc<LoggedGuest> {
    Arc::new(LoggedGuest {
        digest: herd_model::Digest::of(b"component"),
        name: "default".into(),
        version: "0.1.0".into(),
        commands: vec![],
        form: 1,
        component: Some(vec![7; component].into()),
    })
}

/// Records a call of two inputs of this many bytes together.
fn record(recording: &Recording, guest: &Arc<LoggedGuest>, random: u64, bytes: usize) {
    let line = vec![b'x'; bytes / 2];
    let inputs: InputBatch = [&line, &line].into_iter().map(|bytes| Input { bytes, mark: Mark::More }).collect();
    let decision = Decision::default();
    recording.record(
        guest,
        &NewEntry {
            generation: GenerationId(1),
            sessions: &[1, 2],
            at: Moment { now_ns: random, random: (random, 0) },
            call: Call::Inputs(&inputs),
            reads: &[],
            outcome: Ok(&decision),
        },
    );
}

/// Returns number and moment of each call, the number of guests with a component, and the decisions that were left out.
fn read(directory: &Path) -> (Vec<(u64, u64)>, usize, u64) {
    let mut log = LogReader::open(directory).unwrap();
    let (mut calls, mut components, mut lost) = (vec![], 0, 0);
    while let Some(block) = log.next_block().unwrap() {
        match block {
            LogBlock::Context(_) => {}
            LogBlock::Guest(_, guest) => components += usize::from(guest.component.is_some()),
            LogBlock::Calls(block) => {
                lost += block.lost();
                calls.extend(block.calls().map(Result::unwrap).map(|call| (call.number, call.recorded.at.now_ns)));
            }
        }
    }
    (calls, components, lost)
}

#[test]
fn recording_writes_calls_in_order_and_goes_on_after_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("Riley");
    for run in 0..2 {
        let recording = Recording::start(&directory, &RecordOptions::default(), context()).unwrap();
        (0..1000).for_each(|number| record(&recording, &guest(9), 1000 * run + number, 2000));
        recording.flush();
        assert_eq!((recording.status().recorded, recording.status().lost), (2000, 0));
    }
    let (calls, components, lost) = read(&directory);
    assert_eq!(calls, (0..2000).map(|number| (2 * number + 1, number)).collect::<Vec<_>>());
    assert_eq!((components, lost), (2, 0));
    let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777;
    let segment = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    assert_eq!((mode(&directory), mode(&segment)), (0o700, 0o600));
}

#[test]
fn recording_deletes_its_oldest_segments_and_keeps_each_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let options = RecordOptions { mib_max: 2, ..RecordOptions::default() };
    let recording = Recording::start(scratch.path(), &options, context()).unwrap();
    for number in 0..3000 {
        record(&recording, &guest(9), number, 2000);
        // So that the buffers never run out, however slow the disk of this machine is.
        if number % 100 == 0 {
            recording.flush();
        }
    }
    recording.flush();
    let bytes: u64 = crate::segment_files::list(scratch.path()).unwrap().iter().map(|(_, bytes)| bytes).sum();
    assert!((1 << 20..=2 << 20).contains(&bytes), "{bytes} bytes");
    let (calls, components, _) = read(scratch.path());
    assert!(calls[0].0 > 1 && calls.last().unwrap().1 == 2999, "{:?}", calls[0]);
    assert!(calls.windows(2).all(|pair| pair[1].0 == pair[0].0 + 2));
    assert_eq!(components, crate::segment_files::list(scratch.path()).unwrap().len(), "each segment can be read alone");
}

#[test]
fn recording_leaves_out_what_the_disk_does_not_take_and_counts_it() {
    // Its thread takes nothing.
    let scratch = tempfile::tempdir().unwrap();
    let mut recording = Recording::start(scratch.path(), &RecordOptions::default(), context()).unwrap();
    let (full, stuck) = sync_channel(BUFFERS_MAX + FLUSHES_MAX);
    let real = std::mem::replace(&mut recording.full, full);
    let shared = Arc::clone(&recording.shared);
    // The thread ends; the recording goes on without one.
    drop(real);
    while Arc::strong_count(&shared) > 2 {
        std::thread::yield_now();
    }
    let calls = 2 * BUFFERS_MAX as u64;
    for number in 0..calls {
        record(&recording, &guest(9), number, 200 << 10);
    }
    let waiting = stuck.try_iter().count() as u64;
    let lane = shared.lanes[workers::index()].lock();
    assert_eq!(waiting + u64::from(lane.head.calls), BUFFERS_MAX as u64);
    assert_eq!(lane.head.lost, 2 * (calls - BUFFERS_MAX as u64));
}

#[test]
fn recording_leaves_out_long_calls_and_components() {
    let scratch = tempfile::tempdir().unwrap();
    let options = RecordOptions { mib_max: 1, ..RecordOptions::default() };
    let recording = Recording::start(scratch.path(), &options, context()).unwrap();
    let large = guest(100 << 10);
    record(&recording, &large, 1, CALL_BYTES_MAX + 2);
    record(&recording, &large, 2, 100);
    recording.flush();
    let (calls, components, lost) = read(scratch.path());
    assert_eq!((calls, components, lost), (vec![(1, 2)], 0, 2));
}

#[test]
fn recording_replaces_no_segment_that_is_damaged() {
    let scratch = tempfile::tempdir().unwrap();
    let run = || {
        let recording = Recording::start(scratch.path(), &RecordOptions::default(), context()).unwrap();
        record(&recording, &guest(9), 1, 100);
        recording.flush();
    };
    let segments = || crate::segment_files::list(scratch.path()).unwrap();
    run();
    let (segment, _) = segments().remove(0);
    let mut damaged = std::fs::read(&segment).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    run();
    assert_eq!(std::fs::read(&segment).unwrap(), damaged);
    assert_eq!(segments().len(), 2);
}

#[test]
fn recording_samples_whole_calls() {
    let scratch = tempfile::tempdir().unwrap();
    let options = RecordOptions { share: "10%".parse().unwrap(), ..RecordOptions::default() };
    let recording = Recording::start(scratch.path(), &options, context()).unwrap();
    (0..1000).for_each(|number| record(&recording, &guest(9), number, 100));
    recording.flush();
    let recorded = recording.status().recorded;
    assert!((150..250).contains(&recorded) && recorded.is_multiple_of(2), "{recorded}");
    assert_eq!(recording.status().lost, 0);
}

#[test]
fn recording_ends_at_an_error_of_the_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("Riley");
    let recording = Recording::start(&directory, &RecordOptions::default(), context()).unwrap();
    std::fs::remove_dir(&directory).unwrap();
    record(&recording, &guest(9), 1, 100);
    recording.flush();
    assert!(recording.status().failed);
    record(&recording, &guest(9), 2, 100);
    recording.flush();
    assert_eq!((recording.status().recorded, recording.status().lost), (0, 2));
}
