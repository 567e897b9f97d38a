//! One live link: a loop that reads and a loop that writes, side by side in one task. Either one's end ends the link.

use std::io;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use herd_replication::{ReportBatch, WireReport};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::clock_offset::ClockOffset;
use super::frame::{Frame, FrameError};
use super::handshake::FramedStream;
use super::host::PeersHost;
use super::limits::LinkLimits;
use super::link_queue::LinkQueue;
use super::peer::Link;

/// Runs a link to its end. When it is told to end, it sends the reports that wait and a goodbye first.
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
    // Answers to pings. One waits at most, because a peer sends the next one after a whole interval.
    let (pongs, pongs_due) = mpsc::channel(1);
    tokio::select! {
        biased;
        read = read_frames(host, limits, link, stream, pongs) => read,
        written = write_frames(host, limits, link, sink, pongs_due) => written,
    }
}

/// Why a link ended. It is dialed again.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer was silent for {0:?}")]
    Silent(Duration),
    #[error("the peer took nothing for {0:?}")]
    Stalled(Duration),
    #[error("the peer sent {0}")]
    Malformed(#[from] FrameError),
    #[error("the peer sent {0}")]
    Reports(String),
    #[error("the peer sent {0}")]
    Message(String),
    #[error("the peer sent a frame out of order")]
    UnexpectedHello,
    #[error("the peer refused: {0}")]
    Refused(String),
}

async fn read_frames(
    host: &dyn PeersHost,
    limits: &LinkLimits,
    link: &Link,
    mut stream: SplitStream<FramedStream>,
    pongs: mpsc::Sender<Frame>,
) -> Result<(), LinkError> {
    let silence_max = limits.ping() * 2;
    loop {
        let received = timeout(silence_max, stream.next()).await.map_err(|_| LinkError::Silent(silence_max))?;
        match Frame::decode(received.ok_or(LinkError::Closed)??.freeze())? {
            Frame::Reports(frame) => host.reports(&link.peer, &frame).map_err(LinkError::Reports)?,
            // A full channel means that the peer pings faster than it reads; it goes without.
            Frame::Ping(sent_ns) => drop(pongs.try_send(Frame::Pong(sent_ns, now_ns()))),
            Frame::Pong(sent_ns, peer_ns) => {
                *link.clock_offset.lock().unwrap_or_else(PoisonError::into_inner) =
                    ClockOffset::measure(sent_ns, peer_ns, now_ns());
            }
            Frame::Message(message) => host.message(&link.peer, &message).map_err(LinkError::Message)?,
            Frame::Goodbye => return Ok(()),
            Frame::Refused(why) => return Err(LinkError::Refused(why)),
            Frame::Hello(_) => return Err(LinkError::UnexpectedHello),
        }
        // One chatty peer must not keep this worker from its other tasks.
        tokio::task::coop::consume_budget().await;
    }
}

async fn write_frames(
    host: &dyn PeersHost,
    limits: &LinkLimits,
    link: &Link,
    mut sink: SplitSink<FramedStream, Bytes>,
    mut pongs_due: mpsc::Receiver<Frame>,
) -> Result<(), LinkError> {
    let mut pings = interval(limits.ping());
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The part of what this node holds that the peer is told of next. A peer that was away, and one whose queue was
    // dropped, hears everything again; what it knows it drops by rank.
    let mut part_due = Some(0);
    // A frame costs both sides more than the reports in it do, so what comes within a moment shares one. The first report
    // after a pause goes at once.
    let mut next_frame_at = Instant::now();
    loop {
        if link.queue.outbox().take_behind() {
            part_due = Some(0);
        }
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
        for message in link.queue.take_messages() {
            send(&mut sink, Frame::Message(message).encode()).await?;
        }
        let mut reports = link.queue.outbox().take();
        if let Some(part) = part_due {
            part_due = host.records_part(part, &mut reports).then_some(part + 1);
        }
        if !reports.is_empty() {
            next_frame_at = Instant::now() + FRAME_INTERVAL_MIN;
        }
        for body in reports.bodies(FRAME_REPORT_BYTES_MAX, FRAME_REPORTS_MAX) {
            send(&mut sink, Frame::of_reports(body)).await?;
        }
        log_traffic(host, link, &reports);
        if ending {
            return send(&mut sink, Frame::Goodbye.encode()).await;
        }
    }
}

/// Waits until there is something to send and it may be sent. Cancel safe: what is there stays there.
async fn reports_due(queue: &LinkQueue, next_frame_at: Instant) {
    queue.reports_queued().await;
    if Instant::now() < next_frame_at {
        tokio::select! {
            () = tokio::time::sleep_until(next_frame_at) => {}
            () = queue.frame_filled() => {}
        }
    }
}

async fn send(sink: &mut SplitSink<FramedStream, Bytes>, frame: Bytes) -> Result<(), LinkError> {
    timeout(WRITE_TIMEOUT, sink.send(frame)).await.map_err(|_| LinkError::Stalled(WRITE_TIMEOUT))??;
    Ok(())
}

/// Writes what was sent into the traffic log, if there is one.
fn log_traffic(host: &dyn PeersHost, link: &Link, reports: &ReportBatch) {
    let Some(traffic) = host.traffic() else { return };
    for report in reports.iter().filter_map(|report| postcard::from_bytes::<WireReport<'_>>(report).ok()) {
        traffic.sent_to_peer(&link.peer, report.record);
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Between two frames of reports, unless there are many of them before. A report waits for it once on each link of its way,
/// so it adds a few milliseconds at most in a herd of the usual width, and less in a busy one.
const FRAME_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// A peer that takes nothing for so long is as good as gone; repair finds it when it is back.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A frame of reports holds about so many bytes, and one report at least.
const FRAME_REPORT_BYTES_MAX: usize = 256 << 10;
/// One guest call decides a frame of reports within its deadline.
const FRAME_REPORTS_MAX: usize = 512;
