//! Task of a link: a loop that reads frames and a loop that writes them. The end of either ends the link.
//!
//! Owns the connection, the pace of frames, pings, and sending every record to a peer that has just linked. Knows nothing
//! of which links exist, and does not look into reports. Two loops in one task, because a write that waits for a slow
//! peer must not keep this node from reading: two nodes that did so could wait for each other.
//!
//! Bounds: bytes and reports of a frame, silence of the peer, duration of a write, one pong that waits.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, StreamExt};
use herd_replication::{ReportBatch, WireReport};
use herd_sys::clock::unix_now;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::clock_offset::ClockOffset;
use super::frame::{Frame, FrameError};
use super::handshake::FramedStream;
use super::host::PeersHost;
use super::limits::LinkLimits;
use super::link::Link;
use super::link_queue::LinkQueue;

/// Runs a link to its end. Once `link.ending` is cancelled, sends the reports that wait and a goodbye, and returns.
///
/// Not cancel safe: a frame may be cut in the middle.
///
/// # Errors
///
/// The reason why the link ended, unless this node or the peer ended it on purpose.
pub(super) async fn run(
    host: &dyn PeersHost,
    limits: &LinkLimits,
    link: &Link,
    frames: FramedStream,
) -> Result<(), LinkError> {
    let (sink, stream) = frames.split();
    // From the reader to the writer, which owns the sink. One pong waits at most: the peer sends its next ping a whole
    // interval later.
    let (pongs, pongs_due) = mpsc::channel(1);
    let read = read_frames(host, limits, link, stream, pongs);
    let written = write_frames(host, limits, link, sink, pongs_due);
    end_of_either(read, written).await
}

/// Waits until one direction of a link ends, and returns how the link ended.
async fn end_of_either(
    read: impl Future<Output = Result<(), LinkError>>,
    written: impl Future<Output = Result<(), LinkError>>,
) -> Result<(), LinkError> {
    let mut read = pin!(read);
    let written = tokio::select! {
        // The reader first: when the peer closes, its last frame says why, and a write would only fail.
        biased;
        read = &mut read => return read,
        written = written => written,
    };
    let Err(LinkError::Io(broken)) = written else { return written };
    // The peer may have said goodbye and closed just after the reader looked. A connection that broke has no more to read than
    // what has arrived, so this ends soon.
    match timeout(LAST_FRAMES_MAX, read).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(LinkError::Io(broken)),
    }
}

/// Reason why a link ended. The nodes connect again.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection without a goodbye: its process ended.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer sent nothing, not even a ping: it hangs, or the network is down.
    #[error("the peer was silent for {0:?}")]
    Silent(Duration),
    /// The peer read nothing: it is stopped or overloaded.
    #[error("the peer read nothing for {0:?}")]
    Stalled(Duration),
    /// The peer sent a malformed frame.
    #[error("the peer sent {0}")]
    Malformed(#[from] FrameError),
    /// The peer sent reports that the node cannot take.
    #[error("the peer sent {0}")]
    Reports(String),
    /// The peer sent a message that the node cannot take.
    #[error("the peer sent {0}")]
    Message(String),
    /// The peer sent a second hello.
    #[error("the peer sent a second hello")]
    UnexpectedHello,
    /// The peer refused the link after the handshake.
    #[error("the peer refused: {0}")]
    Refused(String),
}

/// Reads frames and hands them to the node, until the peer says goodbye.
async fn read_frames(
    host: &dyn PeersHost,
    limits: &LinkLimits,
    link: &Link,
    mut stream: SplitStream<FramedStream>,
    pongs: mpsc::Sender<Frame>,
) -> Result<(), LinkError> {
    // Any frame counts as a sign of life. A peer pings once per interval, so one ping may be late.
    let silence_max = limits.ping() * 2;
    loop {
        let received = timeout(silence_max, stream.next()).await.map_err(|_| LinkError::Silent(silence_max))?;
        match Frame::decode(received.ok_or(LinkError::Closed)??.freeze())? {
            Frame::Reports(frame) => host.receive_reports(&link.peer, &frame).map_err(LinkError::Reports)?,
            // A full channel means that the peer pings faster than it reads; that ping stays unanswered. Waiting here
            // would tie the reader to the writer.
            Frame::Ping(sent_ns) => drop(pongs.try_send(Frame::Pong(sent_ns, now_ns()))),
            Frame::Pong(sent_ns, peer_ns) => {
                *link.clock_offset.lock() = ClockOffset::measure(sent_ns, peer_ns, now_ns());
            }
            Frame::Message(message) => host.receive_message(&link.peer, &message).map_err(LinkError::Message)?,
            Frame::Goodbye => return Ok(()),
            Frame::Refused(why) => return Err(LinkError::Refused(why)),
            Frame::Hello(_) => return Err(LinkError::UnexpectedHello),
        }
        // A peer that always has a frame ready must not keep this worker from its other tasks.
        tokio::task::coop::consume_budget().await;
    }
}

/// Writes what waits for the peer, turn by turn, until the link is told to end.
async fn write_frames(
    host: &dyn PeersHost,
    limits: &LinkLimits,
    link: &Link,
    mut sink: SplitSink<FramedStream, Bytes>,
    mut pongs_due: mpsc::Receiver<Frame>,
) -> Result<(), LinkError> {
    // The first tick is immediate, so a link begins with a ping and its clock offset is known after one round trip.
    let mut pings = interval(limits.ping());
    // After a stall one ping suffices, not all that were missed.
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Next part of the record table to send. A new link sends every record, because the peer may have been away, and so
    // does one whose queue was dropped; the peer drops by rank what it has. Part by part, one per turn: the whole table
    // would be gigabytes in memory, and live reports and messages would wait behind it.
    let mut part_due = Some(0);
    // Earliest time of the next small frame of reports. A frame costs both sides more than a report in it, so reports that
    // follow within a moment share one. The first report after a pause is sent at once: on a quiet herd, latency counts.
    let mut next_frame_at = Instant::now();
    loop {
        // Restarts from the first part: records of the parts sent so far may be among the dropped reports.
        if link.queue.outbox().take_behind() {
            part_due = Some(0);
        }
        // Every turn sends all that waits, so the order decides only what a busy link must not neglect. The end first,
        // or a drain would take its whole grace period. Then pong and ping: they are rare, and behind reports, which may
        // always be ready, they would never be sent. Records last: the arm is ready while parts are left.
        let ending = tokio::select! {
            biased;
            () = link.ending.cancelled() => true,
            Some(pong) = pongs_due.recv() => {
                send(&mut sink, pong.encode()).await?;
                false
            }
            _ = pings.tick() => {
                send(&mut sink, Frame::Ping(now_ns()).encode()).await?;
                false
            }
            () = link.queue.messages_queued() => false,
            () = reports_due(&link.queue, next_frame_at) => false,
            () = std::future::ready(()), if part_due.is_some() => false,
        };
        send_messages(&mut sink, &link.queue).await?;
        let mut reports = link.queue.outbox().take();
        // Live reports are in front of the part. Both may hold a record of the same key; rank decides at the peer.
        if let Some(part) = part_due {
            part_due = host.records_part(part, &mut reports).then_some(part + 1);
        }
        if !reports.is_empty() {
            next_frame_at = Instant::now() + FRAME_INTERVAL_MIN;
        }
        send_reports(&mut sink, &link.queue, &reports).await?;
        log_traffic(host, link, &reports);
        // After the reports. The goodbye tells the peer that the link ended on purpose, so it logs no fault.
        if ending {
            return send(&mut sink, Frame::Goodbye.encode()).await;
        }
    }
}

/// Waits until reports wait and a frame may be sent. Cancel safe: a wake-up may be consumed, but the reports stay, and the
/// turn that cancels this takes them.
async fn reports_due(queue: &LinkQueue, next_frame_at: Instant) {
    queue.reports_queued().await;
    if Instant::now() < next_frame_at {
        // Enough reports for a frame need not wait for more.
        tokio::select! {
            () = tokio::time::sleep_until(next_frame_at) => {}
            () = queue.frame_filled() => {}
        }
    }
}

/// Sends the messages that wait.
async fn send_messages(sink: &mut impl FrameSink, queue: &LinkQueue) -> Result<(), LinkError> {
    for message in queue.take_messages() {
        send(sink, Frame::Message(message).encode()).await?;
    }
    Ok(())
}

/// Sends reports, frame by frame, and between two frames the messages that were queued meanwhile: a swap waits for them, and the
/// reports may fill hundreds of frames. The reports progress all the same, by a frame for each full queue of messages.
async fn send_reports(sink: &mut impl FrameSink, queue: &LinkQueue, reports: &ReportBatch) -> Result<(), LinkError> {
    for body in reports.bodies(FRAME_REPORT_BYTES_MAX, FRAME_REPORTS_MAX) {
        send_messages(sink, queue).await?;
        send(sink, Frame::of_reports(body)).await?;
    }
    Ok(())
}

/// The sending half of a connection.
trait FrameSink: Sink<Bytes, Error = io::Error> + Unpin {}

impl<S: Sink<Bytes, Error = io::Error> + Unpin> FrameSink for S {}

/// Sends one frame.
async fn send(sink: &mut impl FrameSink, frame: Bytes) -> Result<(), LinkError> {
    timeout(WRITE_TIMEOUT, sink.send(frame)).await.map_err(|_| LinkError::Stalled(WRITE_TIMEOUT))??;
    Ok(())
}

/// Writes the reports that were sent to the traffic log, if there is one.
fn log_traffic(host: &dyn PeersHost, link: &Link, reports: &ReportBatch) {
    let Some(traffic) = host.traffic() else { return };
    for report in reports.iter().filter_map(|report| postcard::from_bytes::<WireReport<'_>>(report).ok()) {
        traffic.sent_to_peer(&link.peer, report.record);
    }
}

/// Nanoseconds since the Unix epoch, by this node's clock.
fn now_ns() -> u64 {
    u64::try_from(unix_now().as_nanos()).unwrap_or(u64::MAX)
}

/// Time between two frames of reports, unless enough for a frame wait earlier. A report may wait for it on each link of its
/// way, which adds a few milliseconds at most in a herd of the usual width, and less in a busy one.
const FRAME_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Longest write. A peer that reads nothing for so long counts as gone; it gets every record when it links again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to read what had arrived when a write found the connection broken.
const LAST_FRAMES_MAX: Duration = Duration::from_secs(1);
/// Bytes of reports in a frame. A single longer report gets a frame of its own.
const FRAME_REPORT_BYTES_MAX: usize = 256 << 10;
/// Reports in a frame: as many as one call of the peer's guest decides within its deadline.
const FRAME_REPORTS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use futures_util::sink;

    use super::*;

    /// Goal: a message waits for one frame of reports at most, whatever number of reports is under way. Method: a sink that queues a
    /// message while it takes the first of several frames of reports.
    #[tokio::test]
    async fn message_overtakes_the_reports_that_are_being_sent() {
        let queue = LinkQueue::new(1 << 20);
        let mut reports = ReportBatch::default();
        let record = vec![b'x'; FRAME_REPORT_BYTES_MAX];
        for key in [b"a", b"b", b"c"] {
            reports.add(&WireReport { key, reign: 0, rank: b"", form: 1, record: &record, origin: "Riley" });
        }
        let mut sent = Vec::new();
        let mut sink = Box::pin(sink::unfold((), |(), frame: Bytes| {
            if sent.is_empty() {
                assert!(queue.push_message(Bytes::from_static(b"prepare")));
            }
            sent.push(Frame::decode(frame).unwrap());
            std::future::ready(Ok::<(), io::Error>(()))
        }));
        send_reports(&mut sink, &queue, &reports).await.unwrap();
        drop(sink);
        assert_eq!(sent.len(), 4);
        assert_eq!(sent[1], Frame::Message(Bytes::from_static(b"prepare")));
    }

    #[tokio::test]
    async fn link_that_breaks_behind_a_goodbye_ended_on_purpose() {
        let broken = || async { Err(LinkError::Io(io::ErrorKind::BrokenPipe.into())) };
        let goodbye = async {
            tokio::task::yield_now().await;
            Ok(())
        };
        assert!(end_of_either(goodbye, broken()).await.is_ok());
        let closed = async {
            tokio::task::yield_now().await;
            Err(LinkError::Closed)
        };
        assert!(matches!(end_of_either(closed, broken()).await, Err(LinkError::Io(_))));
    }
}
